import { randomBytes } from 'node:crypto';
import { OperationError } from '../lib/errors.ts';
import { removeArguments, runArguments } from './commands.ts';
import type { Engine } from './engine.ts';
import { attempt, quickMs } from './execute.ts';

/** A program that no image has: a runtime that works says so, and one that does not fails before it looks. */
const absent = '/greenlight-looks-for-a-runtime';

/**
 * The OCI runtime that runs a container here: undefined for the engine's default, otherwise `runc`. The default of Debian's
 * podman, crun, refuses hybrid control groups. Rejects with an OperationError if neither works.
 */
export async function findRuntime(engine: Engine, image: string): Promise<string | undefined> {
  const said: string[] = [];
  for (const runtime of [undefined, 'runc']) {
    const name = `greenlight-runtime-${randomBytes(4).toString('hex')}`;
    const container = { name, image, program: [absent], env: [], mounts: [], labels: {}, readOnly: true };
    const argv = runArguments(engine, { ...container, memoryMegabytes: 64, cpus: 1, runtime });
    const { all } = await attempt(engine, argv, { timeoutMs: quickMs });
    // Docker leaves a container behind that it could not start.
    await attempt(engine, removeArguments(engine.name, [name]), { timeoutMs: quickMs });
    if (all.includes(absent)) return runtime;
    said.push(`${runtime ?? 'its default runtime'}: ${all.trim().split('\n').at(-1) ?? ''}`);
  }
  throw new OperationError(
    `starting a container by ${engine.name}`,
    said.join('; '),
    `check that the engine can run containers: ${engine.name} run --rm ${image}`,
  );
}
