import { OperationError } from '../../infra/lib/errors.ts';
import { stackKinds, type EnvironmentName, type StackKind } from '../../infra/model.ts';
import type { Platform } from '../../infra/platform/platform.ts';
import { recordedElsewhere, refuseElsewhere } from './elsewhere.ts';
import type { Engine } from './engine.ts';
import { UntrustedState } from './state.ts';

export interface DestroyResult {
  /** Resources that the engine deleted, by stack kind. */
  deleted: Record<string, number>;
  /** Stacks that the engine could not destroy, and why. The platform removed their resources without it. */
  withoutEngine: { kind: StackKind; why: string }[];
  /** What was kept, and where. */
  kept: string[];
}

/**
 * Destroys an environment: its stacks in reverse order, then what is left of it. On a platform that can remove
 * everything itself (`wipesAll`) this works without the engine's state; on others a failure of the engine rejects.
 * Backups, reports and the history of the stacks are kept unless `keepBackups` is false.
 */
export async function destroyEnvironment(
  engine: Engine,
  platform: Platform,
  environment: EnvironmentName,
  options: { keepBackups: boolean; signal?: AbortSignal },
): Promise<DestroyResult> {
  // Checked first: the engine would stop at a protected resource, after it has deleted what serves users.
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
      // Only the state knows these resources. Without it they would go on running unnoticed.
      if (!platform.wipesAll) throw error;
      result.withoutEngine.push({ kind, why: (error as Error).message });
    }
  }
  result.kept = await platform.wipe(environment, options);
  const forgotten = options.keepBackups ? result.withoutEngine.map(({ kind }) => kind) : stackKinds;
  for (const kind of forgotten) await engine.forget(environment, kind);
  return result;
}

/**
 * Refuses a state of another copy of the project. A damaged state cannot tell; then only what is on this disk is
 * removed.
 */
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
    `resources are protected against deletion: ${[...names].join(', ')}`,
    'nothing was changed; to delete them, see "Teardown" in docs/aws.md',
  );
}
