import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { bareEnvironment } from './child-environment.ts';

/** Whether a process with this id exists, owned by any user. A zombie counts. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Fixed paths instead of PATH, so that the command line does not depend on the user's shell. */
const setprivPaths = ['/usr/bin/setpriv', '/bin/setpriv'];

/** Absolute path of setpriv (Linux); undefined if it is not installed. */
export const setprivPath = (): string | undefined => setprivPaths.find((path) => existsSync(path));

let supported: boolean | undefined;

/**
 * Command line that runs `argv` so that the kernel sends it `signal` when this program ends for any reason. Returns
 * `argv` unchanged where that is not available (macOS, BusyBox).
 */
export function endsWithParent(argv: string[], signal: 'INT' | 'TERM' | 'KILL'): string[] {
  const setpriv = setprivPath();
  if (setpriv === undefined) return argv;
  const prefix = [setpriv, '--pdeathsig', signal];
  supported ??=
    spawnSync(setpriv, [...prefix.slice(1), 'true'], { ...bareEnvironment(), stdio: 'ignore' }).status === 0;
  return supported ? [...prefix, ...argv] : argv;
}
