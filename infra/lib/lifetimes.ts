import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { bareEnvironment } from './child-environment.ts';

/** How long processes live: whether one still does, and how one is made to end with this program. */

/** Whether a process with this id exists, whoever runs it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Where util-linux is; not searched for in PATH, as a command must not depend on who runs it. */
const places = ['/usr/bin/setpriv', '/bin/setpriv'];

/** Absolute path of setpriv (Linux); undefined where it is not installed. */
export const setprivPath = (): string | undefined => places.find((path) => existsSync(path));

let supported: boolean | undefined;

/**
 * Arguments that run `argv` so that the kernel sends it `signal` when this program ends, however it ends. Where that
 * is not to be had (macOS, BusyBox), `argv` as it is.
 */
export function endsWithParent(argv: string[], signal: 'INT' | 'KILL'): string[] {
  const setpriv = setprivPath();
  if (setpriv === undefined) return argv;
  const prefix = [setpriv, '--pdeathsig', signal];
  supported ??=
    spawnSync(setpriv, [...prefix.slice(1), 'true'], { ...bareEnvironment(), stdio: 'ignore' }).status === 0;
  return supported ? [...prefix, ...argv] : argv;
}
