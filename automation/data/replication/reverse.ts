import type pg from 'pg';
import { requireBothWays } from '../publication/both-ways.ts';
import { row, rows } from '../connect.ts';
import { createSlot, linkBetween, type Link, type Side } from '../link.ts';
import { createPublication } from '../publication/publication.ts';
import { createSubscription } from './subscription.ts';

/**
 * The way back: replication from the new colour to the old one, so that a rollback takes along what the old schema has a place for. All of it is made
 * before writes are held, and lies still. PostgreSQL 15 cannot tell replicated changes from others (`origin = none` is 16+), so
 * what came forward would go back again: `startAt` says, durably, from which position on the old side wants changes.
 */

/** Longest wait for transactions that are open on the new side, ms. */
const slotMs = 5_000;

export interface Sessions {
  /** On the colour that is being left; becomes the subscriber. */
  old: pg.Client;
  /** On the colour that becomes live; becomes the publisher. */
  new: pg.Client;
}

/**
 * Publication, slot and a subscription that is switched off; nothing of an earlier one may be there (`removeLink`). Columns and tables that the old schema lacks are left out. Throws an OperationError
 * where changes could not flow back: publishing must not break what is about to go live.
 */
export async function prepareReverse(oldSide: Side, newSide: Side, sessions: Sessions): Promise<Link> {
  const link = linkBetween(newSide, oldSide);
  const { shared, identities } = await requireBothWays(sessions, { old: oldSide.colour, new: newSide.colour });
  await createPublication(sessions.new, link.name, shared, '', identities);
  await createSlot(sessions.new, link.name, slotMs);
  await createSubscription(sessions.new, sessions.old, link, { copyData: false, enabled: false });
  return link;
}

/**
 * Everything before the present end of the new side's log is not wanted. Inside the hold, after the last forward
 * change. A replication origin's progress survives a crash; an advanced slot would not, until its next checkpoint.
 */
export async function startHere(link: Link, sessions: Sessions): Promise<void> {
  const { lsn } = await row<{ lsn: string }>(sessions.new, 'SELECT pg_current_wal_insert_lsn()::text AS lsn');
  // The message is what makes the commit flush the log, and the progress with it.
  await sessions.old.query('SET synchronous_commit = on');
  await sessions.old.query(
    `SELECT pg_replication_origin_advance('pg_' || oid, $2::pg_lsn), pg_logical_emit_message(true, 'greenlight', 'start')
     FROM pg_subscription WHERE subname = $1`,
    [link.name, lsn],
  );
}

/** Whether the old side's subscription is there, and whether it has been switched on. */
export async function reverseState(link: Link, old: pg.Client): Promise<'missing' | 'prepared' | 'enabled'> {
  const [found] = await rows<{ on: boolean }>(old, 'SELECT subenabled AS on FROM pg_subscription WHERE subname = $1', [
    link.name,
  ]);
  if (found === undefined) return 'missing';
  return found.on ? 'enabled' : 'prepared';
}

/** Whether the publisher streams to the subscriber. */
export async function following(link: Link, publisher: pg.Client): Promise<boolean> {
  const sql = `SELECT count(*)::int AS n FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'`;
  return (await row<{ n: number }>(publisher, sql, [link.name])).n > 0;
}
