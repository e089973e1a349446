import type pg from 'pg';
import { requireBothWays } from '../publication/both-ways.ts';
import { row, rows } from '../connect.ts';
import { createSlot, linkBetween, type Link, type Side } from '../link.ts';
import { createPublication } from '../publication/publication.ts';
import { beginAt, createSubscription } from './subscription.ts';

/**
 * The way back: replication from the new colour to the old one, so that a rollback keeps the data that the old schema can
 * hold. It is created before writes are held, and stays disabled. PostgreSQL 15 cannot tell replicated changes from others
 * (`origin = none` needs 16), so it would send back what came forward. `startHere` durably skips all of that.
 */

/** How long creating the slot may wait for open transactions on the new side, ms. */
const slotMs = 5_000;

/** Sessions as admin on both sides of a move of writes. */
export interface Sessions {
  /** On the colour that writes leave. */
  old: pg.Client;
  /** On the colour that becomes live. */
  new: pg.Client;
}

/**
 * Creates publication, slot and a disabled subscription. A subscription of an earlier attempt must be gone (`removeLink`).
 * Leaves out columns and tables that the old schema lacks. Throws an OperationError if changes could not flow back, as
 * publishing must not break the colour that is about to go live.
 */
export async function prepareReverse(oldSide: Side, newSide: Side, sessions: Sessions): Promise<Link> {
  const link = linkBetween(newSide, oldSide);
  const { shared, identities } = await requireBothWays(sessions, { old: oldSide.colour, new: newSide.colour });
  await createPublication(sessions.new, link.name, shared, '', identities);
  await createSlot(sessions.new, link.name, slotMs);
  await createSubscription(sessions.new, sessions.old, link, { enabled: false });
  return link;
}

/** Makes the way back start at the present end of the new side's log. Call it during the hold, after the last forward change. */
export async function startHere(link: Link, sessions: Sessions): Promise<void> {
  const { lsn } = await row<{ lsn: string }>(sessions.new, 'SELECT pg_current_wal_insert_lsn()::text AS lsn');
  await beginAt(link, sessions.old, lsn);
}

/** State of the old side's subscription: `prepared` means that it exists and is disabled. */
export async function reverseState(link: Link, old: pg.Client): Promise<'missing' | 'prepared' | 'enabled'> {
  const [found] = await rows<{ on: boolean }>(old, 'SELECT subenabled AS on FROM pg_subscription WHERE subname = $1', [
    link.name,
  ]);
  if (found === undefined) return 'missing';
  return found.on ? 'enabled' : 'prepared';
}

/** Whether the publisher streams to the subscriber now. */
export async function following(link: Link, publisher: pg.Client): Promise<boolean> {
  const sql = `SELECT count(*)::int AS n FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'`;
  return (await row<{ n: number }>(publisher, sql, [link.name])).n > 0;
}
