import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { bareEnvironment } from './child-environment.ts';

/**
 * What tells a process from a later one with the same pid: its start time, as the system gives it. Undefined if no
 * such process lives (a zombie does not).
 */
export function processIdentity(pid: number): string | undefined {
  return process.platform === 'linux' ? fromProc(pid) : fromPs(pid);
}

function fromProc(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The second field is the program's name in parentheses and may hold spaces; fields 3 (state) and 22 (start) count on from it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[22 - 3];
}

function fromPs(pid: number): string | undefined {
  try {
    const [state, ...start] = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      ...bareEnvironment({ LC_ALL: 'C' }),
      stdio: ['ignore', 'pipe', 'ignore'],
    })
      .trim()
      .split(/\s+/);
    return state === undefined || state === '' || state.startsWith('Z') ? undefined : start.join(' ');
  } catch {
    return undefined;
  }
}

/** Why the owner of a lock is dead: one sentence's end, or undefined if its process lives. Only for processes of this host. */
export function whyGone({ pid, processStart }: { pid: number; processStart: string }): string | undefined {
  const identity = processIdentity(pid);
  if (identity === undefined) return `its process ${pid} is dead`;
  if (processStart !== 'unknown' && identity !== processStart)
    return `its process ${pid} is dead, and the number belongs to another one`;
  return undefined;
}

/**
 * Where process numbers are the same ones: this start of this machine and, of containers, this one. Names of machines are
 * not enough where several share a lock: many are called `localhost`.
 */
export function placeOfProcesses(): string {
  if (process.platform === 'linux') {
    try {
      const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
      return `${hostname()} ${boot} ${readlinkSync('/proc/self/ns/pid')}`;
    } catch {
      return unknownPlace;
    }
  }
  try {
    const boot = execFileSync('sysctl', ['-n', 'kern.bootsessionuuid'], {
      ...bareEnvironment(),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return `${hostname()} ${boot.trim()}`;
  } catch {
    return unknownPlace;
  }
}

/** Equal to no other place: then only the end of a lease says that its owner is dead. */
export const unknownPlace = 'unknown';
