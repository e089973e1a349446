import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { applicationName, whileLost, withClient } from '../../../../automation/data/connect.ts';
import type { Side } from '../../../../automation/data/link.ts';
import { dataDirectory, startCluster } from '../../../../infra/local/postgres/cluster.ts';
import type { Rig } from './rig.ts';
import type { MemoryRouter } from './traffic.ts';

/** How long a server is stopped or away, ms: longer than the hold of the tests. */
const awayMs = 2_500;

/** A fault begins at once, and resolves when it has passed: the server runs and answers. */
export type Fault = (rig: Rig, side: Side) => Promise<void>;

const ours = `application_name LIKE '${applicationName}%' AND backend_type = 'client backend'`;
const replicating = `backend_type IN ('walsender', 'logical replication worker')`;
const application = `application_name NOT LIKE '${applicationName}%' AND backend_type = 'client backend'`;

/**
 * What may happen to a database and its sessions in a cutover, as an administrator, the kernel or the network do it. Each begins
 * synchronously: nothing of the cutover runs between a step and the fault that follows it.
 */
export const faults: Record<string, Fault> = {
  'the sessions of the release end': (_, side) => ended(side, ours, 'SIGTERM'),
  'the replication’s processes end': (_, side) => ended(side, replicating, 'SIGTERM'),
  /** The server ends all other sessions, recovers and starts again by itself. */
  'a backend is killed': (_, side) => ended(side, application, 'SIGKILL', 1),
  'a replication’s process is killed': (_, side) => ended(side, replicating, 'SIGKILL', 1),
  'the sessions of the release hang': (_, side) => hang(victims(side, ours)),
  'the server hangs': (rig, side) => hang(family(postmaster(rig, side))),
  'the server is stopped and started': (rig, side) => restarted(rig, side, 'SIGINT'),
  'the server crashes and is started': (rig, side) => restarted(rig, side, 'SIGQUIT'),
};

/** Process ids by `pg_stat_activity`, synchronously. None if the server does not answer. */
function victims({ access }: Side, which: string): number[] {
  const { host, port, database, admin } = access;
  const sql = `SELECT pid FROM pg_stat_activity WHERE ${which} AND pid <> pg_backend_pid() ORDER BY backend_start`;
  const info = `host=${host} port=${port} dbname=${database} sslmode=require connect_timeout=2 application_name=administrator`;
  const env = { PATH: process.env['PATH'], PGUSER: admin.user, PGPASSWORD: admin.password };
  try {
    const found = execFileSync('psql', ['-XAtc', sql, info], {
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return found.split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

const postmaster = ({ specs }: Rig, { colour }: Side): number =>
  Number(readFileSync(join(dataDirectory(specs[colour]), 'postmaster.pid'), 'utf8').split('\n')[0]);

/** A server and its processes. */
function family(server: number): number[] {
  const parent = (pid: number): number => {
    try {
      return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1]);
    } catch {
      return 0;
    }
  };
  const all = readdirSync('/proc').map(Number).filter(Number.isInteger);
  return [server, ...all.filter((pid) => parent(pid) === server)];
}

/** Sends a signal; no error if the process has ended. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function ended(side: Side, which: string, name: NodeJS.Signals, most?: number): Promise<void> {
  for (const pid of victims(side, which).slice(0, most)) signal(pid, name);
  return answers(side);
}

async function hang(pids: number[]): Promise<void> {
  for (const pid of pids) signal(pid, 'SIGSTOP');
  await sleep(awayMs);
  for (const pid of pids) signal(pid, 'SIGCONT');
}

async function restarted(rig: Rig, side: Side, how: 'SIGINT' | 'SIGQUIT'): Promise<void> {
  const server = postmaster(rig, side);
  signal(server, how);
  await sleep(awayMs);
  for (const pid of family(server)) signal(pid, 'SIGQUIT');
  while (family(server).some((pid) => alive(pid))) await sleep(20);
  await startCluster(rig.specs[side.colour]);
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Resolves once a server that a fault had ended answers again. */
export const answers = (side: Side): Promise<void> =>
  whileLost(performance.now() + 30_000, () => withClient(side.access, 'admin', () => Promise.resolve()));

/** Does something once, right after the router has done this. */
export function after(
  router: MemoryRouter,
  method: 'hold' | 'apply' | 'resumeWrites',
  fault: () => Promise<void>,
): void {
  const original = router[method].bind(router) as (...args: unknown[]) => Promise<void>;
  router[method] = async (...args: unknown[]) => {
    router[method] = original;
    await original(...args);
    await fault();
  };
}
