import type pg from 'pg';
import { findConflict } from './conflict.ts';
import { close, connect, rows } from '../connect.ts';
import type { Link } from '../link.ts';
import { followPartitions } from './partitions.ts';
import { enableSubscription } from './subscription.ts';
import { subscriptionSql, type Subscription } from './sync-state.ts';

/** How often a replication is restarted that makes no progress. */
const mostTries = 3;

/** Restarts of one link so far. */
export interface Tries {
  /** Position that it had applied when it was last restarted. */
  at: string | undefined;
  count: number;
}

export const noTries = (): Tries => ({ at: undefined, count: 0 });

/**
 * Restarts a replication that a lost connection has stopped. `disable_on_error` is set for changes that cannot be applied,
 * which would be retried for ever. But PostgreSQL also disables a subscription when its connection breaks, as in a failover.
 * A replication stays off if it keeps stopping at the same position, or if the next change is known to conflict.
 * Partitions that only the publisher has are created first. Resolves to whether it was restarted. Rejects while the opposite direction runs. Sessions as admin.
 */
export async function revive(link: Link, source: pg.Client, target: pg.Client, tries: Tries): Promise<boolean> {
  const [subscription] = await rows<Subscription>(target, subscriptionSql, [link.name]);
  if (subscription === undefined || subscription.enabled) return false;
  const at = await appliedUpTo(link, target);
  if (at !== tries.at) Object.assign(tries, { at, count: 0 });
  if (tries.count >= mostTries) return false;
  if ((await isConflict(link, source, target)) && (await followPartitions(link, source, target)).length === 0)
    return false;
  tries.count += 1;
  await enableSubscription(link, source, target);
  return true;
}

/** As `revive`, with sessions of its own. Resolves to false if a side cannot be reached. */
export async function reviveLink(link: Link, tries: Tries): Promise<boolean> {
  const sessions = await Promise.allSettled([connect(link.from.access, 'admin'), connect(link.to.access, 'admin')]);
  const [source, target] = sessions.map((session) => (session.status === 'fulfilled' ? session.value : undefined));
  try {
    return source !== undefined && target !== undefined && (await revive(link, source, target, tries));
  } finally {
    await Promise.all([close(source), close(target)]);
  }
}

async function appliedUpTo(link: Link, target: pg.Client): Promise<string> {
  const [origin] = await rows<{ lsn: string }>(
    target,
    `SELECT coalesce(max(o.remote_lsn), '0/0')::text AS lsn FROM pg_subscription s
     LEFT JOIN pg_replication_origin_status o ON o.external_id = 'pg_' || s.oid WHERE s.subname = $1`,
    [link.name],
  );
  return origin?.lsn ?? '0/0';
}

/** If the cause cannot be found out, it counts as no conflict: a retry does no harm. */
async function isConflict(link: Link, source: pg.Client, target: pg.Client): Promise<boolean> {
  const found = await findConflict(link, source, target).catch(() => undefined);
  return found?.lasting === true;
}
