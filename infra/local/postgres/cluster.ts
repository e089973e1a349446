import { spawn } from 'node:child_process';
import { open, readFile, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import pg from 'pg';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { databaseUrl } from '../../application/database-url.ts';
import { sessionOptions } from '../../application/session-settings.ts';
import { OperationError, type ErrorCode } from '../../lib/errors.ts';
import { isFree } from '../../lib/free-ports.ts';
import { poll, until } from '../../lib/poll.ts';
import type { DatabaseAccess } from '../../platform/databases.ts';
import {
  clusterAccess,
  dataDirectory,
  deleteCluster,
  isOwn,
  serverCommand,
  type ClusterSpec,
  type OwnCluster,
} from './create.ts';

export { clusterAccess, clusterName, createCluster, dataDirectory, isCluster, serverCommand } from './create.ts';
export type { ClusterSpec, ServerCommand } from './create.ts';

/** Runs servers for the duration of a command. The supervisor runs the servers of colours. */

/** Timeouts, ms. The start includes crash recovery. */
const startMs = 60_000;
const stopMs = 30_000;
const pollMs = 25;
/** Line of `postmaster.pid`, from 0, that has the server's status. Line 0 has the process id. */
const statusLine = 7;

const pidFile = (spec: Pick<ClusterSpec, 'directory'>): string => join(dataDirectory(spec), 'postmaster.pid');

export const serverLog = (spec: Pick<ClusterSpec, 'directory'>): string => join(spec.directory, 'server.log');

/** Starts the cluster and waits until `admin` can log in. The server ends with this program, even if that is killed. */
export const startCluster = (spec: ClusterSpec): Promise<void> =>
  startServer(spec, (pid, signal) => untilReady(spec, pid, signal));

/** Starts a server that ends with this program, and waits for `ready`. If that rejects, the server is stopped again. */
export async function startServer(
  spec: ClusterSpec,
  ready: (pid: number | undefined, ended: AbortSignal) => Promise<undefined>,
): Promise<void> {
  const server = serverCommand(spec, { endWithParent: true });
  const log = await open(serverLog(spec), 'a', 0o600);
  const [command = '', ...args] = server.argv;
  const child = spawn(command, args, {
    cwd: server.cwd,
    ...bareEnvironment(server.env),
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(`it ended with ${signal ?? `exit code ${code}`}`));
  });
  await log.close();
  child.unref();
  const failed = new AbortController();
  const outcome = await Promise.race([
    ready(child.pid, failed.signal).catch((error: Error) => error),
    ended.then(async (how) => startFailed(spec, how, (await isFree(spec.port)) ? 'failed' : 'port-in-use')),
  ]);
  failed.abort();
  if (outcome === undefined) return;
  child.kill('SIGINT');
  await ended;
  throw outcome;
}

/** Checks the server's pid file before logging in, because another server could be listening on the same port. */
async function untilReady(spec: ClusterSpec, pid: number | undefined, signal: AbortSignal): Promise<undefined> {
  if (!(await poll(() => saysReady(spec, pid), { everyMs: pollMs, timeoutMs: startMs, signal })))
    throw await startFailed(spec, `it is not ready after ${startMs} ms`, 'timeout');
  await waitUntilReady(clusterAccess(spec), startMs, signal);
}

/** Whether the server of that process id says that it accepts sessions that may write; undefined until it does. */
export async function saysReady(
  spec: Pick<ClusterSpec, 'directory'>,
  pid: number | undefined,
): Promise<true | undefined> {
  const lines = (await readFile(pidFile(spec), 'utf8').catch(() => '')).split('\n');
  return (lines[0] === String(pid) && lines[statusLine]?.trim() === 'ready') || undefined;
}

async function startFailed(spec: ClusterSpec, how: string, code: ErrorCode): Promise<OperationError> {
  const log = await readFile(serverLog(spec), 'utf8').catch(() => '');
  const why = log
    .split('\n')
    .filter((line) => /FATAL|PANIC|ERROR|could not/.test(line))
    .slice(-3)
    .join('\n');
  return new OperationError(`starting the database ${spec.name}`, why === '' ? how : why, `see ${serverLog(spec)}`, {
    code,
  });
}

/** Stops the cluster if it runs (fast shutdown: ends sessions, writes a checkpoint). */
export async function stopCluster(spec: Pick<ClusterSpec, 'directory'>): Promise<void> {
  const pid = await serverPid(spec);
  if (pid === undefined) return;
  interrupt(pid);
  const doing = `stopping the database in ${spec.directory}`;
  await until(async () => (await serverPid(spec)) === undefined || `process ${pid} still runs`, {
    everyMs: pollMs,
    timeoutMs: stopMs,
    doing,
    todo: 'see its log, then repeat',
  });
}

/** Interrupts a process. One whose files are gone from under it may have ended by itself meanwhile. */
export function interrupt(pid: number): void {
  try {
    process.kill(pid, 'SIGINT');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/**
 * Process id of the cluster's server. Undefined if it is not running. The pid file is not enough: after a crash the pid
 * may belong to another server, which must not be stopped.
 */
export async function serverPid(spec: Pick<ClusterSpec, 'directory'>): Promise<number | undefined> {
  const data = dataDirectory(spec);
  try {
    const pid = Number((await readFile(pidFile(spec), 'utf8')).split('\n')[0]);
    if (!Number.isInteger(pid) || pid <= 0) return undefined;
    if (process.platform === 'linux')
      return (await readlink(`/proc/${pid}/cwd`)) === (await realpath(data)) ? pid : undefined;
    const { stdout } = await execa('ps', ['-ww', '-o', 'args=', '-p', String(pid)], bareEnvironment());
    return stdout.includes(spec.directory) ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Stops and deletes the cluster. No-op if it does not exist. Rejects as `isOwn` does. */
export async function destroyCluster(spec: OwnCluster): Promise<void> {
  if (await isOwn(spec)) await stopCluster(spec);
  await deleteCluster(spec);
}

/** Resolves once `admin` can log in. Rejects after `timeoutMs` with the last reason, or when `signal` aborts. */
export async function waitUntilReady(access: DatabaseAccess, timeoutMs: number, signal?: AbortSignal): Promise<void> {
  const loggedIn = async () => (await tryLogin(access))?.message ?? true;
  const doing = `waiting for the database on port ${access.port}`;
  const todo = "see the server's log for the reason";
  await until(loggedIn, { everyMs: pollMs, timeoutMs, signal, doing, todo });
}

async function tryLogin(access: DatabaseAccess): Promise<Error | undefined> {
  const client = new pg.Client({
    connectionString: databaseUrl(access, 'admin'),
    options: sessionOptions,
    connectionTimeoutMillis: 5000,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return undefined;
  } catch (error) {
    return error as Error;
  } finally {
    await client.end().catch(() => undefined);
  }
}
