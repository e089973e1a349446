import { appendFile, mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { move } from '../../infra/lib/atomic-file.ts';
import { greenlight } from '../../infra/lib/command.ts';
import { OperationError } from '../../infra/lib/errors.ts';
import {
  stackName,
  type ColourSpec,
  type EnvironmentName,
  type EnvironmentSpec,
  type Split,
  type StackKind,
} from '../../infra/model.ts';
import type { Platform } from '../../infra/platform/platform.ts';
import { programFor } from '../../infra/program.ts';
import { toPulumiConfig, toSecretConfig, type StackConfig } from '../../infra/stacks.ts';
import { forwardAbort } from './abort.ts';
import { drifts, type Drift } from './drift.ts';
import { EventCollector, type Progress } from './events.ts';
import { deadLocks, removeLocks, settlePending } from './recovery.ts';
import { realResources, recorded, repairCheckpoint } from './state.ts';
import { type Configuration, engineDirectory, EngineWorkspace } from './workspace.ts';

export type { StackConfig } from '../../infra/stacks.ts';
export type { Drift } from './drift.ts';
export type { Progress } from './events.ts';

export interface StackRequest {
  environment: EnvironmentName;
  kind: StackKind;
  /** Stops the run at the next safe point. */
  signal?: AbortSignal;
}
export type UpRequest = StackConfig & { environment: EnvironmentName; signal?: AbortSignal };

export interface UpResult {
  /** Number of resources by operation: `create`, `update`, `delete`, `replace`, `same`. */
  changes: Record<string, number>;
  ms: number;
  outputs: Record<string, unknown>;
  /**
   * URNs of resources that a killed engine began to create and whose id is not known. They may exist without being in
   * the state, and are created again.
   */
  orphans: string[];
}

export interface RecordedInputs {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
  /** The engine refuses to delete this resource. */
  protect?: true;
}

/**
 * The Pulumi engine. A failed run rejects with an OperationError that has the resource's name and the provider's
 * message.
 */
export interface Engine {
  /**
   * Stores the configuration and applies it to the stack. Pending operations of an interrupted run are resolved first.
   */
  up(request: UpRequest): Promise<UpResult>;
  /**
   * Updates the state from the real resources and returns the differences, which the next `up` repairs. Properties that
   * change by themselves (`EngineSettings.volatile`) are ignored.
   */
  refresh(request: StackRequest): Promise<Drift[]>;
  /**
   * Deletes all resources of the stack and keeps its history. Refuses a colour that is live by the state of the traffic
   * stack.
   */
  destroy(request: StackRequest): Promise<UpResult>;
  /** Deletes the stack's state and history, for a stack whose resources were removed without the engine. */
  forget(environment: EnvironmentName, kind: StackKind): Promise<void>;
  outputs(environment: EnvironmentName, kind: StackKind): Promise<Record<string, unknown>>;
  /** The configuration of the last complete `up`. */
  config(environment: EnvironmentName, kind: StackKind): Promise<StackConfig>;
  /** The inputs of the stack's resources, from the state. Secret inputs are encrypted. */
  resources(environment: EnvironmentName, kind: StackKind): Promise<RecordedInputs[]>;
  /** Whether the stack has any resource. */
  exists(environment: EnvironmentName, kind: StackKind): Promise<boolean>;
}

export interface EngineOptions {
  /** Masks secrets in the log. */
  redact?: (text: string) => string;
  onProgress?: (progress: Progress) => void;
}

const logBytes = 2_000_000;

export function createEngine(platform: Platform, options: EngineOptions = {}): Engine {
  const settings = platform.engine;
  const { policyPacks } = settings;
  const workspace = new EngineWorkspace(settings);
  const read = async (name: string) => (await recorded(settings, name)) ?? { resources: [], outputs: {}, pending: [] };
  const open = (name: string, configuration?: Configuration) => workspace.stack(name, configuration);

  const configurationOf = ({ environment, ...config }: UpRequest): Configuration => ({
    plain: { ...settings.stackConfig(environment), ...toPulumiConfig(platform.name, config) },
    secret: toSecretConfig(config),
  });

  /** The common part of every run: lock, pending operations, log, events, errors. */
  const run = async (
    doing: string,
    name: string,
    signal: AbortSignal | undefined,
    configuration: Configuration | undefined,
    act: (stack: Awaited<ReturnType<typeof open>>, handlers: Handlers) => Promise<unknown>,
  ): Promise<UpResult> => {
    signal?.throwIfAborted();
    const started = Date.now();
    const log = join(engineDirectory(), 'logs', `${name}.log`);
    const events = new EventCollector(name, options.onProgress, (words) => settings.cure?.(words));
    const abort = forwardAbort(signal);
    const orphans: string[] = [];
    let text = `\n${new Date().toISOString()} ${doing}\n`;
    const onOutput = (part: string) => {
      text += part;
      abort.watch(part);
    };
    try {
      const locks = await deadLocks(settings, name);
      await repairCheckpoint(settings, name);
      await removeLocks(settings, locks);
      const stack = await open(name, configuration);
      orphans.push(...(await settlePending(stack, await read(name), settings)));
      await act(stack, { onEvent: events.add, onOutput, onError: onOutput, signal: abort.signal });
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof OperationError) throw error;
      throw events.error(doing, error, log);
    } finally {
      abort.end();
      await append(log, options.redact?.(text) ?? text);
    }
    return { changes: events.changes, ms: Date.now() - started, outputs: (await read(name)).outputs, orphans };
  };

  /**
   * Refuses to destroy the live colour. `destroyEnvironment` destroys the traffic stack first, after which no colour is
   * live.
   */
  const refuseLive = async (environment: EnvironmentName, kind: StackKind): Promise<void> => {
    const { split } = (await read(stackName(environment, 'traffic'))).outputs as { split?: Split };
    if (split?.live !== kind) return;
    throw new OperationError(
      `taking ${kind} of ${environment} down`,
      'it is live by the configuration of the traffic stack',
      `nothing was changed; see who is live: ${greenlight('status')}`,
    );
  };

  return {
    up(request) {
      const name = stackName(request.environment, request.kind);
      const program = programFor(request.environment, request.kind);
      const configuration = configurationOf(request);
      return run(`applying the stack ${name}`, name, request.signal, configuration, (stack, handlers) =>
        stack.up({ ...handlers, program, policyPacks }),
      );
    },

    async refresh({ environment, kind, signal }) {
      const name = stackName(environment, kind);
      let before = await read(name);
      if (before.resources.length === 0) return [];
      await run(`refreshing the stack ${name}`, name, signal, undefined, async (stack, handlers) => {
        before = await read(name);
        await stack.refresh(handlers);
      });
      return drifts(realResources(before), realResources(await read(name)), settings.volatile);
    },

    async destroy({ environment, kind, signal }) {
      const name = stackName(environment, kind);
      if ((await read(name)).resources.length === 0) return { changes: {}, ms: 0, outputs: {}, orphans: [] };
      await refuseLive(environment, kind);
      return run(`destroying the stack ${name}`, name, signal, undefined, (stack, handlers) => stack.destroy(handlers));
    },

    async forget(environment, kind) {
      await workspace.forget(stackName(environment, kind));
    },

    async outputs(environment, kind) {
      return (await read(stackName(environment, kind))).outputs;
    },

    async config(environment, kind) {
      return fromOutputs(stackName(environment, kind), kind, (await read(stackName(environment, kind))).outputs);
    },

    async resources(environment, kind) {
      return realResources(await read(stackName(environment, kind))).map(({ type, urn, inputs = {}, protect }) => ({
        type,
        name: urn.split('::').at(-1) ?? '',
        inputs,
        ...(protect === true ? { protect } : {}),
      }));
    },

    async exists(environment, kind) {
      return realResources(await read(stackName(environment, kind))).length > 0;
    },
  };
}

interface Handlers {
  onEvent: EventCollector['add'];
  onOutput: (text: string) => void;
  onError: (text: string) => void;
  signal: AbortSignal;
}

/**
 * Reads the configuration from the outputs, which exist only after a complete `up`. The stack's own may never have been
 * applied.
 */
function fromOutputs(name: string, kind: StackKind, outputs: Record<string, unknown>): StackConfig {
  const required = (key: string): unknown => {
    if (outputs[key] !== undefined) return outputs[key];
    const found = 'it was never applied completely';
    throw new OperationError(
      `reading the stack ${name}`,
      found,
      `run: ${greenlight('resume')}, or repeat what was interrupted`,
    );
  };
  switch (kind) {
    case 'foundation':
      return { kind, spec: required('spec') as EnvironmentSpec };
    case 'traffic':
      return { kind, split: required('split') as Split };
    case 'blue':
    case 'green': {
      const colour = required('colour') as ColourSpec['colour'];
      const { artefact, settings: made, secrets } = outputs as Partial<ColourSpec>;
      const also = { ...(artefact && { artefact }), ...(made && { settings: made }), ...(secrets && { secrets }) };
      return { kind, colour: { colour, ...also } };
    }
  }
}

async function append(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  if (size > logBytes) await move(file, `${file}.1`);
  await appendFile(file, text, { mode: 0o600 });
}
