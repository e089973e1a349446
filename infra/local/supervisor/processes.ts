import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import type { WrongAnswer } from '../../application/health.ts';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { connects } from '../../lib/free-ports.ts';
import { poll } from '../../lib/poll.ts';
import { secrets } from '../../lib/redact.ts';
import type { Probe, Program } from './config.ts';

const probeMs = 2000;

/** Pause between two runs of a command that is a probe, and its longest duration, ms. */
const commandPauseMs = 500;
const commandMs = 10_000;
/** How many lines of a log are in a message. Node says the properties of an error after it. */
const logLines = 8;

/** Why a program is not ready. `answer`: what its health path answered instead. */
export interface Unready {
  says: string;
  answer?: WrongAnswer;
}

/** What a probe that is a command is run with. */
export type ProbeSurroundings = Pick<Program, 'env' | 'cwd' | 'secretFiles'>;

/** Runs a readiness probe once. Resolves to true or to the reason why it failed. */
export async function probe(ready: Probe, surroundings: ProbeSurroundings): Promise<true | Unready> {
  if (ready.kind === 'none') return true;
  if (ready.kind !== 'http') {
    const listens = await connects(ready.port);
    if (listens !== true) return { says: listens };
    return ready.kind === 'tcp' || runProbe(ready, surroundings);
  }
  const { url, statuses = [200] } = ready;
  try {
    const { status, location } = await askHttp(ready);
    if (statuses.includes(status)) return true;
    const { pathname, search } = new URL(url);
    return {
      says: `${url} answered ${status}`,
      answer: { path: pathname + search, wanted: statuses, status, location },
    };
  } catch (error) {
    return { says: `${url}: ${(error as Error).message || (error as NodeJS.ErrnoException).code}` };
  }
}

async function runProbe(
  { argv, within = [] }: Extract<Probe, { kind: 'command' }>,
  surroundings: ProbeSurroundings,
): Promise<true | Unready> {
  const [command = '', ...args] = [...within, ...argv];
  const result = await execa(command, args, {
    ...bareEnvironment(await withSecrets(surroundings)),
    cwd: surroundings.cwd,
    reject: false,
    all: true,
    stdin: 'ignore',
    timeout: commandMs,
  });
  if (result.exitCode === 0) return true;
  await sleep(commandPauseMs);
  const last = secrets.redact(result.all.trim().split('\n').at(-1) ?? '');
  const how = result.timedOut ? 'took too long' : `ended with ${result.exitCode ?? result.shortMessage}`;
  return { says: `the health command ${argv[0]} ${how}${last === '' ? '' : `: ${last}`}` };
}

/** The environment, with the content of the files in place of the texts that stand for it. */
async function withSecrets({ env, secretFiles = {} }: ProbeSurroundings): Promise<Record<string, string>> {
  const values = await Promise.all(
    Object.entries(secretFiles).map(async ([text, file]) => [text, await readFile(file, 'utf8')] as const),
  );
  for (const [, value] of values) secrets.register(value);
  const resolve = (value: string) => values.reduce((all, [text, secret]) => all.replaceAll(text, () => secret), value);
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, resolve(value)]));
}

async function askHttp({ url, caFile, headers = {} }: Extract<Probe, { kind: 'http' }>) {
  const ca = caFile === undefined ? undefined : await readFile(caFile);
  return await new Promise<{ status: number; location: string | undefined }>((resolve, reject) => {
    const signal = AbortSignal.timeout(probeMs);
    const agent = ca === undefined ? undefined : new Agent({ ca });
    const send = url.startsWith('https:') ? request(url, { agent, signal, headers }) : get(url, { signal, headers });
    send.on('response', (response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0, location: response.headers.location });
    });
    send.on('error', reject);
    send.end();
  });
}

/** The end of a log, for a message: without the lines of a stack, below which the error would be out of sight. */
export async function endOfLog(file: string): Promise<string> {
  const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n').map((line) => line.trim());
  const said = lines.filter((line) => line !== '' && !/^at .+\d\)?( \{)?$/.test(line));
  return secrets.redact(said.slice(-logLines).join(' | '));
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
