import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { OperationError } from '../../lib/errors.ts';
import { knownProcess, lives, type Run } from './record.ts';

/** Environment variable that marks a command and everything that it starts. */
export const markVariable = 'GREENLIGHT_WORKER_RUN';

const pollMs = 20;
/** Longest time for an engine to remove a container, ms. */
const clearMs = 60_000;

/**
 * Processes of a run that live: its session and group, and on Linux also those that have left both, by the mark in their environment.
 * A program that overwrites its environment is found by its session.
 */
export function processesOf({ mark, leader }: Run): number[] {
  // Once all of a session have ended, its number may be another's: then the leader is a process that the run does not know.
  const found = leader === undefined ? undefined : knownProcess(leader.pid);
  const group = found !== undefined && found.identity !== leader?.identity ? undefined : leader?.pid;
  if (process.platform !== 'linux') return group !== undefined && groupLives(group) ? [-group] : [];
  const own = `${markVariable}=${mark}`;
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      const stat = statOf(pid);
      if (stat === undefined) return false;
      return (group !== undefined && (stat.group === group || stat.session === group)) || isMarked(pid, own);
    });
}

/** proc(5): state, parent, group and session follow the name, which is in parentheses. Undefined: it has ended. */
function statOf(pid: number): { group: number; session: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, , group, session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' || state === 'X' ? undefined : { group: Number(group), session: Number(session) };
  } catch {
    return undefined;
  }
}

function isMarked(pid: number, own: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(own);
  } catch {
    // It has ended, or belongs to another user.
    return false;
  }
}

function groupLives(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids)
    try {
      process.kill(pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
}

/**
 * Ends all processes of a run: SIGTERM to its leader, then to those that outlive the leader, and SIGKILL to all that are left after
 * `graceMs`; then its container is removed. A leader that shares out its own end, as many do, is not disturbed by that. 0: SIGKILL at once. Resolves when none lives,
 * to whether any had to be killed.
 */
export async function endRun(run: Run, graceMs: number): Promise<{ killed: boolean }> {
  const ended = await endProcesses(run, graceMs);
  if (run.clear !== undefined) await clear(run.clear);
  return ended;
}

/** Removes a container, and kills what still runs in it: after its leader nothing else ends it. Rejects with an OperationError. */
async function clear([program = '', ...args]: string[]): Promise<void> {
  const { HOME } = process.env;
  const { failed, stderr, shortMessage } = await execa(program, args, {
    ...bareEnvironment({ HOME }),
    stdin: 'ignore',
    reject: false,
    timeout: clearMs,
  });
  if (!failed) return;
  const found = stderr.trim().split('\n').at(-1) ?? '';
  const todo = `check the container engine, and remove it by hand: ${[program, ...args].join(' ')}`;
  throw new OperationError('removing the container of a worker', found === '' ? (shortMessage ?? '') : found, todo);
}

async function endProcesses(run: Run, graceMs: number): Promise<{ killed: boolean }> {
  const deadline = performance.now() + graceMs;
  const { leader } = run;
  if (graceMs > 0 && leader !== undefined && lives(leader)) signal([leader.pid], 'SIGTERM');
  for (let told = false; performance.now() < deadline; await sleep(pollMs)) {
    if (leader !== undefined && lives(leader)) continue;
    const rest = processesOf(run);
    if (rest.length === 0) return { killed: false };
    if (!told) signal(rest, 'SIGTERM');
    told = true;
  }
  // Again and again: a process that forks meanwhile leaves another one behind.
  for (let killed = false; ; killed = true) {
    const left = processesOf(run);
    if (left.length === 0) return { killed };
    signal(left, 'SIGKILL');
    await sleep(pollMs);
  }
}
