import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { greenlight } from '../../../infra/lib/command.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { TableComparison } from '../../journal/events.ts';
import type { CompareOptions, Scope } from './compare.ts';
import { close, connect, row } from '../connect.ts';
import type { Link } from '../link.ts';
import { compareUnreplicated } from './unreplicated.ts';
import { compareSnapshots } from './restored.ts';
import { openSnapshot, Snapshot } from './snapshot.ts';
import { replayed, syncStatus } from '../replication/sync-state.ts';

/** Timeout of the catch-up of the side that follows, ms. */
const catchUpMs = 60_000;
/** How long a stopped replication is tolerated, ms. One that lost its connection is restarted within 5 s. */
const brokenMs = 10_000;
const pollMs = 50;

/**
 * Compares the side that follows with the live one, which is written to meanwhile. The reason: logical replication silently
 * skips an UPDATE or DELETE of a row that is missing on the subscriber. A row that nobody touched between two looks at one
 * side must be on the other side at the look in between. Tables that differ are compared once more, as a snapshot can show a
 * state that never existed. A transaction may be sent before it is visible, and a TRUNCATE is visible at once.
 * Changes no rows, and holds a lock only while it reads one table.
 */
export async function compareFollowing(
  link: Link,
  columns: CompareOptions['columns'],
  signal?: AbortSignal,
): Promise<TableComparison[]> {
  const first = await look(link, columns, signal);
  const different = new Set(first.filter(({ equal }) => !equal).map(({ table }) => table));
  if (different.size === 0) return first;
  const second = await look(link, columns, signal, (table) => different.has(table));
  return [...first.filter(({ equal }) => equal), ...second];
}

async function look(
  link: Link,
  columns: CompareOptions['columns'],
  signal?: AbortSignal,
  wanted?: Scope['wanted'],
): Promise<TableComparison[]> {
  const sessions: pg.Client[] = [];
  const open = async ({ access }: Link['from']): Promise<pg.Client> => {
    const client = await connect(access, 'admin');
    sessions.push(client);
    return client;
  };
  try {
    const [live, before, after] = [await open(link.from), await open(link.from), await open(link.from)];
    const [follower, copy, later] = [await open(link.to), await open(link.to), await open(link.to)];
    await openSnapshot(before);
    await caughtUp(link, live, follower, signal);
    await openSnapshot(copy);
    await openSnapshot(after);
    await caughtUp(link, live, follower, signal);
    await openSnapshot(later);
    const names = { left: link.from.colour, right: link.to.colour };
    const compared = await compareSnapshots({ before, after, copy, later }, { columns, names, wanted });
    const others = await compareUnreplicated(new Snapshot(after), new Snapshot(copy), names);
    return [...compared, ...others.filter(({ table }) => wanted?.(table) ?? true)];
  } finally {
    await Promise.all(sessions.map(close));
  }
}

/**
 * Waits until everything that is visible on the live side now has been applied. An asynchronous commit is visible before its
 * log is flushed and can be sent, so a durable message follows it. An idle subscriber reports its position only every 10 s,
 * so further messages make it report.
 */
async function caughtUp(link: Link, live: pg.Client, follower: pg.Client, signal?: AbortSignal): Promise<void> {
  const message = `SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'greenlight', 'look')`;
  await live.query(message);
  const { lsn } = await row<{ lsn: string }>(live, 'SELECT pg_current_wal_flush_lsn()::text AS lsn');
  const started = performance.now();
  while (!(await replayed(live, link.name, lsn))) {
    signal?.throwIfAborted();
    const waited = performance.now() - started;
    const { problem } = waited > brokenMs ? await syncStatus(link) : {};
    if (waited > catchUpMs || problem !== undefined) {
      throw new OperationError(
        `comparing ${link.to.colour} with ${link.from.colour}`,
        problem ?? `${link.to.colour} is still behind after ${catchUpMs} ms`,
        `repeat at a time with fewer writes; see: ${greenlight('status')}`,
      );
    }
    await follower.query(message);
    await live.query(message);
    await sleep(pollMs);
  }
}
