import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { get } from 'node:http';
import { execa } from 'execa';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { connects } from '../../lib/free-ports.ts';
import { poll } from '../../lib/poll.ts';
import type { Probe } from './config.ts';

const probeMs = 2000;

/** Runs a readiness probe once. Resolves to true or to the reason why it failed. */
export async function probe(ready: Probe): Promise<true | string> {
  if (ready.kind === 'none') return true;
  if (ready.kind === 'tcp') return connects(ready.port);
  try {
    const status = await httpStatus(ready.url, ready.caFile);
    return status === 200 || `${ready.url} answered ${status}`;
  } catch (error) {
    return `${ready.url}: ${(error as Error).message || (error as NodeJS.ErrnoException).code}`;
  }
}

async function httpStatus(url: string, caFile: string | undefined): Promise<number> {
  const ca = caFile === undefined ? undefined : await readFile(caFile);
  return await new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(probeMs);
    const agent = ca === undefined ? undefined : new Agent({ ca });
    const send = url.startsWith('https:') ? request(url, { agent, signal }) : get(url, { signal });
    send.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    send.on('error', reject);
    send.end();
  });
}

export interface RecordedProcess {
  pid: number;
  /** Output of `ps -o lstart`. */
  startedAt: string;
}

/** Reads the pid file that a program's script wrote. Undefined if it is missing or incomplete. */
export async function recordedProcess(file: string): Promise<RecordedProcess | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const [pid = '', ...rest] = text.trim().split('\n');
  const startedAt = rest.join(' ').trim();
  return /^\d+$/.test(pid) && startedAt !== '' ? { pid: Number(pid), startedAt } : undefined;
}

/** Whether the recorded process is running. The start times must agree within 2 s, because `ps` rounds them. */
export async function isAlive(recorded: RecordedProcess): Promise<boolean> {
  const ps = await execa('ps', ['-o', 'stat=,lstart=', '-p', String(recorded.pid)], {
    ...bareEnvironment({ LC_ALL: 'C' }),
    reject: false,
  });
  const [state = '', ...start] = ps.stdout.trim().split(/\s+/);
  if (ps.exitCode !== 0 || state === '' || state.startsWith('Z')) return false;
  return Math.abs(Date.parse(start.join(' ')) - Date.parse(recorded.startedAt)) <= 2000;
}

/**
 * Sends the signal, and SIGKILL after `seconds`. Resolves when the process has ended: true if it was running before.
 */
export async function end(recorded: RecordedProcess, signal: NodeJS.Signals, seconds: number): Promise<boolean> {
  if (!(await isAlive(recorded))) return false;
  send(recorded.pid, signal);
  const gone = async () => !(await isAlive(recorded)) || undefined;
  if (await poll(gone, { everyMs: 50, timeoutMs: seconds * 1000 })) return true;
  send(recorded.pid, 'SIGKILL');
  await poll(gone, { everyMs: 50, timeoutMs: Infinity });
  return true;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
