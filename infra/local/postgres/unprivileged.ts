import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { OperationError } from '../../lib/errors.ts';
import { setprivPath } from '../../lib/lifetimes.ts';

/**
 * PostgreSQL refuses to run as root. If Greenlight runs as root, servers run as another user. If that user cannot reach
 * the data, for example because the clone is in root's home, the server keeps a single capability to get there.
 */

export interface ServerUser {
  name: string;
  uid: number;
  gid: number;
}

/** Users to run servers as, in order of preference. */
const candidates = ['postgres', 'nobody'];

/** Capabilities (capabilities(7)) that allow passing through directories of other users, the narrower one first. */
const capabilities = [
  { bit: 2n, name: 'dac_read_search' },
  { bit: 1n, name: 'dac_override' },
];

let found: ServerUser | undefined;

/** The user that servers run as. Undefined if it is the user who runs Greenlight. */
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
 * Command that runs `argv` as the server's user in `directory`: unchanged, or with setpriv if this program is root.
 * Throws an OperationError if the server's user cannot reach the directory.
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
    `${user.name} cannot reach that directory, and root has no capability to pass on for it`,
    `move the project to a directory that ${user.name} can enter, or run Greenlight as an ordinary user`,
  );
}

/** Whether a process started with `prefix` can enter `directory`, or its nearest existing parent. */
function reaches(prefix: string[], directory: string): boolean {
  let existing = directory;
  while (!existsSync(existing)) existing = dirname(existing);
  // Not `test -x`, because access(2) ignores the capabilities of a user other than root.
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
