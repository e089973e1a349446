import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OperationError } from '../lib/errors.ts';
import { buildArguments, removeArguments, runArguments, untagArguments } from './commands.ts';
import type { Engine } from './engine.ts';
import { attempt, execute, quickMs } from './execute.ts';
import { ownPlatform } from './platform.ts';

/** A program that no image has: a runtime that works says so, and one that does not fails before it looks. */
const absent = '/greenlight-looks-for-a-runtime';

/**
 * The OCI runtime that runs a container here: undefined for the engine's default, otherwise `runc`. The default of Debian's
 * podman, crun, refuses hybrid control groups. Rejects with an OperationError if neither works.
 */
export async function findRuntime(engine: Engine): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'greenlight-runtime-'));
  try {
    const [dockerfile, idFile] = [join(folder, 'Dockerfile'), join(folder, 'id')];
    await writeFile(dockerfile, `FROM scratch\nLABEL greenlight.runtime=${randomBytes(4).toString('hex')}\n`);
    const argv = buildArguments({ dockerfile, context: folder, args: {}, platform: ownPlatform(), idFile });
    const todo = `check that ${engine.name} can build: ${engine.name} build`;
    await execute(engine, argv, { doing: `trying ${engine.name}`, todo, timeoutMs: quickMs });
    const image = (await readFile(idFile, 'utf8')).trim();
    try {
      return await tryRuntimes(engine, image);
    } finally {
      await attempt(engine, untagArguments([image]), { timeoutMs: quickMs });
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function tryRuntimes(engine: Engine, image: string): Promise<string | undefined> {
  const said: string[] = [];
  for (const runtime of [undefined, 'runc']) {
    const name = `greenlight-runtime-${randomBytes(4).toString('hex')}`;
    const container = { name, image, program: [absent], env: [], mounts: [], labels: {}, readOnly: false };
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
    `check that the engine can run containers: ${engine.name} run --rm <image>`,
  );
}
