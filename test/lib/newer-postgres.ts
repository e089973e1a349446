import { cp, realpath, symlink } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { findPostgres } from '../../infra/lib/tools.ts';
import { template } from './template-cluster.ts';

/** The version that tests of a major upgrade go to. The set-up of the tests installs it, beside the ordinary one. */
export const newerVersion = 17;

/**
 * Lets servers of this process, and of those that it starts, have that version. Where this process is root they have another user,
 * who cannot get to the tools of the project: that user is given a copy. Throws an Error if the version is not installed.
 */
export async function provideNewerPostgres(): Promise<void> {
  const found = findPostgres('postgres', newerVersion);
  if (found === undefined)
    throw new Error(`PostgreSQL ${newerVersion} is not installed: node automation/toolchain/setup.mjs test --again`);
  if (process.getuid?.() !== 0) return;
  const name = `postgres-${newerVersion}`;
  const copy = await template(name, async (path) => {
    await cp(dirname(dirname(await realpath(found))), path, { recursive: true, verbatimSymlinks: true });
    await symlink(join('bin', 'postgres'), join(path, name));
  });
  const tools = (process.env['GREENLIGHT_TOOLS'] ?? '').split(delimiter).filter((path) => path !== '');
  if (!tools.includes(copy)) process.env['GREENLIGHT_TOOLS'] = [copy, ...tools].join(delimiter);
}
