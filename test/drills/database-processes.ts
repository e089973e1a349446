import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Colour } from '../../infra/model.ts';
import { Layout } from '../../infra/local/lib/layout.ts';
import { dataDirectory } from '../../infra/local/postgres/create.ts';

/**
 * Processes of a colour's database server, read from `/proc`: a connection to ask the server itself would take longer than writes
 * are held. PostgreSQL names a session's process `postgres: <cluster>: <role> <database> <host> <state>`. Linux only.
 */
function processes(colour: Colour): { postmaster: number; children: { pid: number; title: string }[] } {
  const file = join(dataDirectory({ directory: new Layout('production').database(colour) }), 'postmaster.pid');
  const postmaster = Number(readFileSync(file, 'utf8').split('\n')[0]);
  const children = readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid) || parentOf(pid) !== postmaster) return [];
    return [{ pid, title: read(pid, 'cmdline').replaceAll('\0', ' ') }];
  });
  return { postmaster, children };
}

/** Kills the server with all that it has, as the loss of its machine would. Resolves to how many processes that were. */
export function killDatabase(colour: Colour): number {
  const { postmaster, children } = processes(colour);
  // The parent first, or it would start its children again.
  const all = [postmaster, ...children.map(({ pid }) => pid)];
  return all.filter((pid) => signalTo(pid, 'SIGKILL')).length;
}

/** Deletes the files of a database from under its server, as the loss of a disk would. */
export const loseDatabase = (colour: Colour): void =>
  rmSync(dataDirectory({ directory: new Layout('production').database(colour) }), {
    recursive: true,
    force: true,
    maxRetries: 20,
  });

/** Sends a signal to sessions of a role, to `most` of them; SIGTERM is what pg_terminate_backend sends. Returns how many. */
export function signalSessions(colour: Colour, role: string, signal: NodeJS.Signals, most = Infinity): number {
  const sessions = processes(colour).children.filter(({ title }) => title.includes(`: ${role} app `));
  return sessions.slice(0, most).filter(({ pid }) => signalTo(pid, signal)).length;
}

function signalTo(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false; // It has just ended.
  }
}

/** Field 4 of `stat`; the second one, the program's name in parentheses, may hold spaces. */
function parentOf(pid: number): number | undefined {
  const stat = read(pid, 'stat');
  return stat === '' ? undefined : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // It has just ended.
  }
}
