import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  stackName,
  type Artefact,
  type Colour,
  type EnvironmentName,
  type EnvironmentSpec,
} from '../../../infra/model.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { Environment } from '../../../infra/platform/environment.ts';
import type { Platform } from '../../../infra/platform/platform.ts';
import type { ReleaseDefinition } from '../../config/schema.ts';
import type { GateResult } from '../../journal/verdict.ts';
import { runGate, type Gate } from '../../gates/run.ts';
import type { Engine, StackConfig } from '../../stacks/engine.ts';
import { resourceName } from '../../stacks/events.ts';
import type { StageId } from '../../journal/events.ts';
import { action } from '../../journal/actions.ts';
import type { Journal } from '../../journal/journal.ts';
import { rollbackRequested } from '../../journal/history.ts';
import { withSecretsMasked } from './secrets.ts';
import { environmentSpec } from './spec.ts';

/** Marked traffic that runs beside a release. */
export interface SyntheticTraffic {
  /** Ends the traffic; what it saw is on disk then. May be called again. */
  stop(): Promise<void>;
}

export type ReleaseKind = 'go-live' | 'release' | 'rehearsal';

/** A version in its colour. */
export interface Placement {
  colour: Colour;
  version: string;
}

export interface ReleaseSettings {
  id: string;
  kind: ReleaseKind;
  environment: EnvironmentName;
  definition: ReleaseDefinition;
  directory: string;
  journal: Journal;
  platform: Platform;
  engine: Engine;
  /** What is live; absent on a first go-live. */
  from?: Placement & { artefact: Artefact };
  to: Placement;
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
  /** Shown while something is waited for; not journaled. */
  waiting: (text: string) => void;
  /** Asks a person at the terminal; undefined where nobody can answer. */
  ask: ((question: string) => Promise<{ yes: boolean; by: string }>) | undefined;
  /** `--yes`: approved beforehand. */
  approved: boolean;
  /** False once another machine has taken the environment over: then nothing may be changed any more. */
  held?: () => boolean;
}

/** What the stages of one release share. Everything that a later stage needs of an earlier one is in the journal. */
export interface ReleaseContext extends ReleaseSettings {
  stage: StageId;
  /** Configured observation, load and scan time of the current stage, milliseconds. */
  observationMs: number;
  synthetic: SyntheticTraffic | undefined;
  /** Why the release is being undone, and whether it decided so by itself; set before any `undo`. */
  stopReason: string;
  stopAutomatic: boolean;
  /** The build of this release. */
  artefact(): Artefact;
  note(text: string, level?: 'info' | 'warning'): void;
  spec(environment?: EnvironmentName): EnvironmentSpec;
  /** The running environment; its foundation must be up. */
  connect(environment?: EnvironmentName): Promise<Environment>;
  /** A directory for evidence and logs, below the release's. */
  evidence(...path: string[]): string;
  /** Announces an action, does it, records its end. */
  act<T>(id: string, what: string, run: () => Promise<T>): Promise<T>;
  /** Applies a stack by the engine, and records what changed. */
  up(environment: EnvironmentName, config: StackConfig): Promise<void>;
  /** Runs gates one after the other, records each, and resolves to all results. */
  gates(gates: readonly Gate[]): Promise<GateResult[]>;
  /** Whether `npm run rollback` asked this running release to go back. */
  rollbackRequested(): boolean;
  close(): Promise<void>;
}

export function createContext(settings: ReleaseSettings): ReleaseContext {
  const { journal, engine, platform, definition, directory, signal, waiting } = settings;
  const environments = new Map<EnvironmentName, Promise<Environment>>();
  const spec = (environment = settings.environment) => environmentSpec(definition, environment);

  const context: ReleaseContext = {
    ...settings,
    stage: 'preflight',
    observationMs: 0,
    synthetic: undefined,
    stopReason: '',
    stopAutomatic: true,

    artefact() {
      const built = journal.entries().findLast((entry) => entry.type === 'artefact.built');
      if (built?.type !== 'artefact.built') throw new Error('the artefact is used before the build stage');
      return built.artefact;
    },

    note(text, level = 'info') {
      journal.append({ type: 'note', level, text });
    },

    spec,

    connect(environment = settings.environment) {
      let connecting = environments.get(environment);
      if (connecting === undefined) {
        connecting = connectTo(settings, environment);
        environments.set(environment, connecting);
      }
      return connecting;
    },

    evidence(...path) {
      const evidence = join(directory, 'evidence', ...path);
      mkdirSync(evidence, { recursive: true });
      return evidence;
    },

    act(id, what, run) {
      waiting(what);
      return action(journal, `${context.stage}/${id}`, what, async () => {
        refuseIfLost(settings);
        // Where another machine may have to go on, it must know of the intent before the action.
        await platform.shared?.pushRelease(settings.environment, settings.id, directory);
        return run();
      });
    },

    async up(environment, config) {
      const stack = stackName(environment, config.kind);
      if ('colour' in config && config.colour.artefact !== undefined)
        await provide(context, environment, config.colour.artefact);
      const result = await context.act(`up-${stack}`, `apply stack ${stack}`, () =>
        engine.up({ environment, ...config, signal }),
      );
      journal.append({ type: 'stack.applied', stack, changes: result.changes, ms: result.ms });
      for (const urn of result.orphans)
        context.note(
          `${stack}: ${resourceName(urn)} may exist twice: its first making was cut off; look for it`,
          'warning',
        );
    },

    async gates(gates) {
      const results: GateResult[] = [];
      for (const gate of gates) {
        signal.throwIfAborted();
        waiting(gate.title);
        const result = await runGate(gate, {
          waivers: definition.waivers,
          now: new Date(),
          releaseDirectory: directory,
        });
        journal.append({ type: 'gate.judged', stage: context.stage, gate: result });
        context.observationMs += result.observationMs;
        results.push(result);
      }
      return results;
    },

    rollbackRequested: () => rollbackRequested(directory),

    async close() {
      await context.synthetic?.stop();
      for (const environment of environments.values()) await (await environment).close();
    },
  };
  return context;
}

/** The running environment, its secrets known to the redactor. */
export const connectTo = (
  { platform, engine, definition }: Pick<ReleaseSettings, 'platform' | 'engine' | 'definition'>,
  environment: EnvironmentName,
): Promise<Environment> =>
  platform
    .connect(environment, environmentSpec(definition, environment), (kind) => engine.outputs(environment, kind))
    .then(withSecretsMasked);

function refuseIfLost({ held, environment }: ReleaseSettings): void {
  if (held?.() !== false) return;
  throw new OperationError(
    `working on ${environment}`,
    'another machine has taken it over, as this one gave no sign of life for too long',
    'let that one finish; see what it did: npm run status',
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
