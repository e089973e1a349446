import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { OperationError } from '../../lib/errors.ts';
import { setprivPath } from '../../lib/lifetimes.ts';

/**
 * PostgreSQL refuses to run as root. Where Greenlight is root, servers run as another user; where that user cannot
 * reach the data (a clone in root's own directory), they keep one capability, and nothing else, to pass through.
 */

export interface ServerUser {
  name: string;
  uid: number;
  gid: number;
}

/** Users that servers run as, best first. */
const candidates = ['postgres', 'nobody'];

/** Number and name of what lets a process pass through directories of others; the narrower one first. */
const capabilities = [
  { bit: 2n, name: 'dac_read_search' },
  { bit: 1n, name: 'dac_override' },
];

let found: ServerUser | undefined;

/** The user that servers run as; undefined where that is the user who runs Greenlight. */
export function serverUser(): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  found ??= lookUp();
  return found;
}

function lookUp(): ServerUser {
  for (const name of candidates) {
    const id = (option: string): number =>
      Number(execFileSync('id', [option, name], { ...bareEnvironment(), stdio: ['ignore', 'pipe', 'ignore'] }));
    try {
      return { name, uid: id('-u'), gid: id('-g') };
    } catch {
      // No such user: try the next.
    }
  }
  throw new OperationError(
    'looking for a user to run PostgreSQL as',
    `it refuses to run as root, and there is no user ${candidates.join(' or ')}`,
    'add one (useradd --system postgres), or run Greenlight as an ordinary user',
  );
}

/**
 * Arguments that run `argv` so that it may work in `directory`: as they are, or behind setpriv where this is root.
 * Throws an OperationError where the server's user cannot get there.
 */
export function unprivileged(argv: string[], directory: string): string[] {
  const user = serverUser();
  if (user === undefined) return argv;
  const cannot = (found: string, todo: string): OperationError =>
    new OperationError(`running PostgreSQL as ${user.name} in ${directory}`, found, todo);
  const setpriv = setprivPath();
  if (setpriv === undefined) {
    throw cannot('setpriv is missing', 'install util-linux, or run Greenlight as an ordinary user');
  }
  const drop = [setpriv, `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', '--no-new-privs'];
  const plain = [...drop, '--inh-caps=-all'];
  if (reaches(plain, directory)) return [...plain, ...argv];
  const held = permittedCapabilities();
  for (const { bit, name } of capabilities) {
    if ((held & (1n << bit)) === 0n) continue;
    const passing = [...drop, `--inh-caps=-all,+${name}`, `--ambient-caps=-all,+${name}`];
    if (reaches(passing, directory)) return [...passing, ...argv];
  }
  throw cannot(
    `${user.name} cannot reach that directory, and root may not pass on the capability to do so here`,
    `move the project to where ${user.name} may enter, or run Greenlight as an ordinary user`,
  );
}

/** Whether a process behind `prefix` can enter `directory`, or the nearest one above it that exists. */
function reaches(prefix: string[], directory: string): boolean {
  let existing = directory;
  while (!existsSync(existing)) existing = dirname(existing);
  // Not `test -x`: access(2) leaves out the capabilities of an ordinary user.
  const [command = '', ...args] = [...prefix, 'stat', `${existing}/.`];
  return spawnSync(command, args, { ...bareEnvironment(), stdio: 'ignore', cwd: '/' }).status === 0;
}

function permittedCapabilities(): bigint {
  try {
    const mask = /^CapPrm:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return mask === undefined ? 0n : BigInt(`0x${mask}`);
  } catch {
    return 0n;
  }
}
