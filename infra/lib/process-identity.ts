import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { bareEnvironment } from './child-environment.ts';

/**
 * Distinguishes a process from a later one with the same pid: its start time, in the system's own format. Undefined if
 * no such process exists or it is a zombie.
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
  // proc(5): field 2, the program's name in parentheses, may contain spaces. Field 3 is the state, field 22 the start
  // time.
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

/**
 * Why the owner of a lock is dead, as the end of a sentence. Undefined if its process lives. Only for processes of this
 * host.
 */
export function whyGone({ pid, processStart }: { pid: number; processStart: string }): string | undefined {
  const identity = processIdentity(pid);
  if (identity === undefined) return `its process ${pid} is dead`;
  if (processStart !== 'unknown' && identity !== processStart)
    return `its process ${pid} is dead, and its pid belongs to another process`;
  return undefined;
}

/**
 * Identifies the set of processes within which a pid is unique: host name, boot and, on Linux, PID namespace. The host
 * name alone is not enough for a lock that several machines share, because many are called `localhost`.
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

/**
 * The place could not be determined. It must not be compared: whether an owner is dead then follows from its lease
 * only.
 */
export const unknownPlace = 'unknown';
