import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { stackName, type Artefact, type EnvironmentName, type EnvironmentSpec } from '../../../infra/model.ts';
import { greenlight } from '../../../infra/lib/command.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { Environment } from '../../../infra/platform/environment.ts';
import type { Platform } from '../../../infra/platform/platform.ts';
import type { ReleaseDefinition } from '../../config/schema.ts';
import type { GateResult } from '../../journal/verdict.ts';
import { runGate, type Gate } from '../../gates/run.ts';
import type { Engine, StackConfig } from '../../stacks/engine.ts';
import { resourceName } from '../../stacks/events.ts';
import { lastOf } from '../../journal/entries.ts';
import type { Kind, Placement } from './release.ts';
import type { StageId } from '../../journal/events.ts';
import { action } from '../../journal/actions.ts';
import type { Journal } from '../../journal/journal.ts';
import { rollbackRequested } from '../../journal/history.ts';
import { withJobEnvironment } from './job-environment.ts';
import { maskKeptSecrets, withSecretVersions } from './keep-secrets.ts';
import { withSecretsMasked } from './secrets.ts';
import { environmentSpec } from './spec.ts';

/** What one run of a release is given. */
export interface RunSettings {
  readonly id: string;
  readonly environment: EnvironmentName;
  readonly definition: ReleaseDefinition;
  readonly directory: string;
  readonly journal: Journal;
  readonly platform: Platform;
  readonly engine: Engine;
  readonly to: Placement;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** Shown while something is waited for; not journaled. */
  readonly waiting: (text: string) => void;
  /** Asks a person at the terminal; undefined where nobody can answer. */
  readonly ask: ((question: string) => Promise<{ yes: boolean; by: string }>) | undefined;
  /** `--yes`: approved beforehand. */
  readonly approved: boolean;
  /** `--discard-lost`: a database may be emptied that has writes which a rollback with a stated loss has left there. */
  readonly discardLost?: boolean;
  /** False once another machine has taken the environment over: then nothing may be changed any more. */
  readonly hasLock?: () => boolean;
}

export type ReleaseSettings = RunSettings & Kind;

/** Something that runs beside the stages until it is stopped. Stopping it again does nothing. */
export interface Running {
  stop(): Promise<void>;
}

/**
 * What the stages of one release share, and may not change. What a later stage needs of an earlier one is in the journal.
 * What the release replaces is no part of it: a stage that needs that is made with it.
 */
export interface ReleaseContext extends RunSettings {
  /** The build of this release. */
  readonly artefact: () => Artefact;
  readonly note: (text: string, level?: 'info' | 'warning') => void;
  readonly spec: (environment?: EnvironmentName) => EnvironmentSpec;
  /** The running environment; its foundation must be up. */
  readonly connect: (environment?: EnvironmentName) => Promise<Environment>;
  /** A directory for evidence and logs, below the release's. */
  readonly evidence: (...path: string[]) => string;
  /** Announces an action, does it, records its end. */
  readonly act: <T>(id: string, what: string, run: () => Promise<T>) => Promise<T>;
  /** Applies a stack by the engine, and records what changed. `until` ends it as well as the run's own signal. */
  readonly up: (environment: EnvironmentName, config: StackConfig, until?: AbortSignal) => Promise<void>;
  /** Runs gates one after the other, records each, and resolves to all results. A gate that `until` ends is not recorded. */
  readonly gates: (gates: readonly Gate[], until?: AbortSignal) => Promise<GateResult[]>;
  /** Counts the time of `watching` as configured observation, and not as work of the stage. Not where it rejects. */
  readonly observe: <T>(watching: () => Promise<T>) => Promise<T>;
  /** Marked traffic: begun by the first stage that needs it, and stopped at the latest with the run. */
  readonly traffic: {
    /** Does nothing where it runs already. */
    start(begin: () => Promise<Running>): Promise<void>;
    stop(): Promise<void>;
  };
  /** Whether `npm run rollback` asked this running release to go back. */
  readonly rollbackRequested: () => boolean;
}

/** One run of a release: what the stages share for as long as this program works on it. */
export interface Run {
  /** The context of one stage; observation is counted from here. */
  at(stage: StageId): { context: ReleaseContext; observedMs: () => number };
  /** Stops marked traffic and leaves the environments. */
  close(): Promise<void>;
}

export function openRun(settings: ReleaseSettings): Run {
  const environments = new Map<EnvironmentName, Promise<Environment>>();
  const connect: ReleaseContext['connect'] = (environment = settings.environment) => {
    let connecting = environments.get(environment);
    if (connecting === undefined) {
      connecting = connectTo(settings, environment);
      environments.set(environment, connecting);
    }
    return connecting;
  };
  let running: Running | undefined;
  const traffic: ReleaseContext['traffic'] = {
    async start(begin) {
      running ??= await begin();
    },
    async stop() {
      await running?.stop();
      running = undefined;
    },
  };
  return {
    at: (stage) => contextOf(settings, stage, { connect, traffic }),
    async close() {
      await traffic.stop();
      for (const environment of environments.values()) await (await environment).close();
    },
  };
}

function contextOf(
  settings: RunSettings,
  stage: StageId,
  shared: Pick<ReleaseContext, 'connect' | 'traffic'>,
): ReturnType<Run['at']> {
  const { journal, engine, platform, definition, directory, waiting } = settings;
  let observedMs = 0;

  const context: ReleaseContext = {
    ...settings,
    ...shared,

    artefact() {
      const built = lastOf(journal.entries(), 'artefact.built');
      if (built === undefined) throw new Error('the artefact is used before the build stage');
      return built.artefact;
    },

    note(text, level = 'info') {
      journal.append({ type: 'note', level, text });
    },

    spec: (environment = settings.environment) => environmentSpec(definition, environment),

    evidence(...path) {
      const evidence = join(directory, 'evidence', ...path);
      mkdirSync(evidence, { recursive: true });
      return evidence;
    },

    act(id, what, run) {
      waiting(what);
      return action(journal, `${stage}/${id}`, what, async () => {
        refuseIfLost(settings);
        // Where another machine may have to go on, it must know of the intent before the action.
        await platform.shared?.pushRelease(settings.environment, settings.id, directory);
        return run();
      });
    },

    async up(environment, config, until) {
      const signal = both(settings.signal, until);
      const name = stackName(environment, config.kind);
      if ('colour' in config && config.colour.artefact !== undefined)
        await provide(context, environment, config.colour.artefact);
      const result = await context.act(`up-${name}`, `apply stack ${name}`, async () =>
        engine.up({ environment, ...(await withSecretVersions(platform, environment, config)), signal }),
      );
      journal.append({ type: 'stack.applied', stack: name, changes: result.changes, ms: result.ms });
      for (const urn of result.orphans)
        context.note(
          `${name}: the creation of ${resourceName(urn)} was interrupted, and it was created again; look for a second one`,
          'warning',
        );
    },

    async gates(gates, until) {
      const signal = both(settings.signal, until);
      const results: GateResult[] = [];
      for (const gate of gates) {
        signal.throwIfAborted();
        waiting(gate.title);
        const result = await runGate(gate, {
          waivers: definition.waivers,
          now: new Date(),
          releaseDirectory: directory,
          expectsTables: definition.application.migrations !== undefined,
          signal,
        });
        // An interrupted gate has measured nothing. The stage is repeated by `resume`.
        signal.throwIfAborted();
        journal.append({ type: 'gate.judged', stage, gate: result });
        observedMs += result.observationMs;
        results.push(result);
      }
      return results;
    },

    async observe(watching) {
      const started = performance.now();
      const value = await watching();
      observedMs += performance.now() - started;
      return value;
    },

    rollbackRequested: () => rollbackRequested(directory),
  };
  return { context, observedMs: () => observedMs };
}

const both = (signal: AbortSignal, until: AbortSignal | undefined): AbortSignal =>
  until === undefined ? signal : AbortSignal.any([signal, until]);

/** The running environment, its secrets known to the redactor. */
export const connectTo = (
  { platform, engine, definition }: Pick<RunSettings, 'platform' | 'engine' | 'definition'>,
  environment: EnvironmentName,
): Promise<Environment> =>
  platform
    .connect(environment, environmentSpec(definition, environment), (kind) => engine.outputs(environment, kind))
    .then(async (running) => {
      await maskKeptSecrets(platform, environment);
      return withJobEnvironment(withSecretsMasked(running), { platform, definition, name: environment });
    });

function refuseIfLost({ hasLock, environment }: RunSettings): void {
  if (hasLock?.() !== false) return;
  throw new OperationError(
    `working on ${environment}`,
    'another machine has taken the environment over, as this one did not renew its lock in time',
    `let the other machine finish; see what it did: ${greenlight('status')}`,
  );
}

/** An artefact has to be where a colour's services are started from, before they are. */
export async function provide(
  context: ReleaseContext,
  environment: EnvironmentName,
  artefact: Artefact,
): Promise<void> {
  const running = await context.connect(environment);
  await context.act(`provide-${environment}`, `make ${artefact.version} ready to run on ${environment}`, () =>
    running.provide(artefact),
  );
}
