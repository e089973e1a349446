import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { childEnvironment } from '../../infra/lib/child-environment.ts';
import { withClient } from '../../automation/data/connect.ts';
import type { Side } from '../../automation/data/link.ts';
import type { Write } from './hold-writers.ts';

/** The books of the writers: what they sent and what is there. */
export const books = `
  CREATE TABLE writes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, writer int NOT NULL, n int NOT NULL, at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE counters (writer int PRIMARY KEY, n bigint NOT NULL DEFAULT 0);`;
export const emptyBooks = (writers: number): string =>
  `TRUNCATE writes, counters; INSERT INTO counters SELECT generate_series(0, ${writers - 1})`;

/** The machine's monotonic clock, by which the writers note their writes, ms. */
export const clock = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Starts writers that send to the entry point until `stop`, which resolves to all their writes. */
export function startWriters(
  entry: { port: number; caFile: string },
  writers: number,
  perSecond: number,
): { stop(): Promise<Write[]> } {
  const args = [entry.port, entry.caFile, writers, perSecond].map(String);
  const child = fork(join(import.meta.dirname, 'hold-writers.ts'), args, { env: childEnvironment().env, execArgv: [] });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the writers ended with ${String(code)}`);
  });
  ended.catch(() => undefined);
  return {
    async stop() {
      const told = once(child, 'message');
      child.send('stop');
      const [writes] = (await Promise.race([told, ended])) as [Write[]];
      return writes;
    },
  };
}

export interface Audit {
  acknowledged: number;
  lost: number;
  doubled: number;
  /** Without an acknowledgement: refused, or with an end that nobody knows. */
  refused: number;
}

/** What the live side has of the writes. */
export interface Found {
  rows: { writer: number; n: number; times: number }[];
  /** Per writer: its count, less its rows. */
  counts: { more: number }[];
}

/** Compares what was acknowledged with what the live side has. */
export async function audit(live: Side, writes: readonly Write[]): Promise<Audit> {
  const found = await withClient(live.access, 'owner', async (client) => {
    const rows = 'SELECT writer, n, count(*)::int AS times FROM writes GROUP BY 1, 2';
    const counts =
      'SELECT n::int - (SELECT count(*)::int FROM writes w WHERE w.writer = c.writer) AS more FROM counters c';
    return {
      rows: (await client.query<Found['rows'][number]>(rows)).rows,
      counts: (await client.query<Found['counts'][number]>(counts)).rows,
    };
  });
  return balance(writes, found);
}

/** A count that differs from its rows is a lost or a doubled write, too. A write that was refused may be there once or not. */
export function balance(writes: readonly Write[], { rows, counts }: Found): Audit {
  const acknowledged = writes.filter(([, , , , yes]) => yes);
  const there = new Set(rows.map(({ writer, n }) => `${writer}-${n}`));
  const sum = (values: number[]): number => values.reduce((all, value) => all + Math.max(0, value), 0);
  return {
    acknowledged: acknowledged.length,
    lost:
      acknowledged.filter(([writer, n]) => !there.has(`${writer}-${n}`)).length + sum(counts.map(({ more }) => -more)),
    doubled: sum(rows.map(({ times }) => times - 1)) + sum(counts.map(({ more }) => more)),
    refused: writes.length - acknowledged.length,
  };
}

/** The longest time that a writer waited for a write that was under way between two instants, ms. Throws if none was. */
export function longestWait(writes: readonly Write[], from: number, to: number): number {
  const waits = writes
    .filter(([, , sent, answered]) => sent < to && answered > from)
    .map(([, , sent, answered]) => answered - sent);
  if (waits.length === 0) throw new Error('nobody wrote while writes moved');
  return Math.max(...waits);
}
