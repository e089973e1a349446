import { OperationError } from '../../infra/lib/errors.ts';
import { stackKinds, type EnvironmentName, type StackKind } from '../../infra/model.ts';
import type { Platform } from '../../infra/platform/platform.ts';
import { recordedElsewhere, refuseElsewhere } from './elsewhere.ts';
import type { Engine } from './engine.ts';
import { UntrustedState } from './state.ts';

export interface DestroyResult {
  /** Resources that the engine deleted, by stack kind. */
  deleted: Record<string, number>;
  /** Stacks that the engine could not take down, and why. Their resources were stopped without it. */
  withoutEngine: { kind: StackKind; why: string }[];
  /** What stays, and where. */
  kept: string[];
}

/**
 * Takes an environment down: its stacks in reverse order, then whatever is left of it on the machine. Works also when half
 * of it is missing, or when the engine's state is lost. Backups, reports and the stacks' history stay unless `keepBackups` is false.
 */
export async function destroyEnvironment(
  engine: Engine,
  platform: Platform,
  environment: EnvironmentName,
  options: { keepBackups: boolean; signal?: AbortSignal },
): Promise<DestroyResult> {
  // Asked first: at a protected resource the engine would stop half-way, with what serves users gone already.
  if (!platform.wipesAll) await refuseProtected(engine, environment);
  await refuseElsewhereIfKnown(engine, environment);
  const result: DestroyResult = { deleted: {}, withoutEngine: [], kept: [] };
  for (const kind of stackKinds.toReversed()) {
    try {
      const { changes } = await engine.destroy({
        environment,
        kind,
        ...(options.signal && { signal: options.signal }),
      });
      result.deleted[kind] = changes['delete'] ?? 0;
    } catch (error) {
      options.signal?.throwIfAborted();
      // The state is all that knows these resources: they would go on running, unknown.
      if (!platform.wipesAll) throw error;
      result.withoutEngine.push({ kind, why: (error as Error).message });
    }
  }
  result.kept = await platform.wipe(environment, options);
  const forgotten = options.keepBackups ? result.withoutEngine.map(({ kind }) => kind) : stackKinds;
  for (const kind of forgotten) await engine.forget(environment, kind);
  return result;
}

/** A damaged state cannot say where it was recorded. What is on this disk is taken down without it. */
async function refuseElsewhereIfKnown(engine: Engine, environment: EnvironmentName): Promise<void> {
  const known = await recordedElsewhere(engine, environment).catch((error: unknown) => {
    if (error instanceof UntrustedState) return undefined;
    throw error;
  });
  if (known !== undefined) await refuseElsewhere(engine, environment, `taking ${environment} down`);
}

async function refuseProtected(engine: Engine, environment: EnvironmentName): Promise<void> {
  const recorded = await Promise.all(stackKinds.map((kind) => engine.resources(environment, kind)));
  const names = new Set(recorded.flat().flatMap(({ name, protect }) => (protect === true ? [name] : [])));
  if (names.size === 0) return;
  throw new OperationError(
    `taking ${environment} down`,
    `it is protected from that: ${[...names].join(', ')}`,
    'nothing was changed; where you mean it, see "Teardown" in docs/aws.md',
  );
}
