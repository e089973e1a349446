import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { findConflict, type Conflict } from './conflict.ts';
import { close, connect, row, rows } from '../connect.ts';
import { publicationNote, type Link } from '../link.ts';
import { dangersOf } from './schema-drift.ts';

export interface SyncStatus {
  /** `broken`: it does not go on, or not correctly; `problem` says why. */
  state: 'none' | 'copying' | 'streaming' | 'broken';
  problem?: string;
  /** Whether the problem stays until somebody does something. */
  lasting?: boolean;
  tablesReady: number;
  tables: number;
  /** Bytes of log that `from` has written and `to` has not applied. */
  lagBytes: number;
  lagMs: number;
}

/** How far the replication is, and whether the schemas let it go on. Rejects only if a database cannot be reached. */
export async function syncStatus(link: Link): Promise<SyncStatus> {
  const [source, target] = await Promise.all([connect(link.from.access, 'admin'), connect(link.to.access, 'admin')]);
  try {
    const { worker, ...status } = await measure(link, source, target);
    if (status.state === 'none' || status.state === 'broken') return status;
    const problem = await dangersOf(link, source, target);
    if (problem !== undefined) return { ...status, state: 'broken', problem };
    if (worker) return status;
    return { ...status, state: 'broken', problem: 'no worker is applying changes at the moment' };
  } finally {
    await Promise.all([close(source), close(target)]);
  }
}

/** Whether the subscriber `name` has applied everything up to `lsn`. */
export async function replayed(source: pg.Client, name: string, lsn: string): Promise<boolean> {
  const sql =
    'SELECT coalesce(bool_or(replay_lsn >= $1::pg_lsn), false) AS done FROM pg_stat_replication WHERE application_name = $2';
  return (await row<{ done: boolean }>(source, sql, [lsn, name])).done;
}

/** How long a look waits for the changes before it, ms. Else there is a next one. */
const appliedMs = 2_000;
const pollMs = 20;

/** Whether everything that the source has written until now is applied, within two seconds. */
export async function appliedNow({ name }: Link, source: pg.Client): Promise<boolean> {
  const { lsn } = await row<{ lsn: string }>(source, 'SELECT pg_current_wal_insert_lsn()::text AS lsn');
  const deadline = performance.now() + appliedMs;
  while (!(await replayed(source, name, lsn))) {
    if (performance.now() > deadline) return false;
    await sleep(pollMs);
  }
  return true;
}

/** What the subscriber `name` has applied, and what is left, in bytes of the publisher's log. */
export async function lagOf(source: pg.Client, name: string): Promise<{ applied: number; behind: number }> {
  const sql = `
    SELECT pg_wal_lsn_diff(at, '0/0')::float8 AS applied, greatest(0, pg_wal_lsn_diff(pg_current_wal_flush_lsn(), at))::float8 AS behind
    FROM (SELECT coalesce(r.replay_lsn, s.confirmed_flush_lsn) AS at FROM pg_replication_slots s
      LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid WHERE s.slot_name = $1) AS slot`;
  const [found] = await rows<{ applied: number; behind: number }>(source, sql, [name]);
  return found ?? { applied: 0, behind: 0 };
}

export interface Subscription {
  enabled: boolean;
  worker: boolean;
  tables: number;
  ready: number;
  /** Since the server's statistics were last reset. */
  errors: number;
}

export const subscriptionSql = `
  SELECT s.subenabled AS enabled,
    EXISTS (SELECT FROM pg_stat_subscription w WHERE w.subid = s.oid AND w.relid IS NULL AND w.pid IS NOT NULL) AS worker,
    (SELECT count(*)::int FROM pg_subscription_rel r WHERE r.srsubid = s.oid) AS tables,
    (SELECT count(*)::int FROM pg_subscription_rel r WHERE r.srsubid = s.oid AND r.srsubstate = 'r') AS ready,
    (SELECT coalesce(sum(e.apply_error_count + e.sync_error_count), 0)::int FROM pg_stat_subscription_stats e WHERE e.subid = s.oid) AS errors
  FROM pg_subscription s WHERE s.subname = $1`;

export interface Slot {
  status: string | null;
  lag: string;
  lag_ms: number;
}

export const slotSql = `
  SELECT s.wal_status AS status,
    greatest(0, pg_wal_lsn_diff(pg_current_wal_flush_lsn(), coalesce(r.replay_lsn, s.confirmed_flush_lsn)))::bigint::text AS lag,
    coalesce(extract(epoch FROM r.replay_lag) * 1000, 0)::float8 AS lag_ms
  FROM pg_replication_slots s LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid WHERE s.slot_name = $1`;

/** As `syncStatus`, for callers with sessions of their own. `worker`: an apply worker runs now; its absence alone is not `broken`. */
export async function measure(
  link: Link,
  source: pg.Client,
  target: pg.Client,
): Promise<SyncStatus & { worker: boolean }> {
  const [subscription] = await rows<Subscription>(target, subscriptionSql, [link.name]);
  const [slot] = await rows<Slot>(source, slotSql, [link.name]);
  const note = await publicationNote(source, link.name);
  const figures = {
    tables: subscription?.tables ?? 0,
    tablesReady: subscription?.ready ?? 0,
    lagBytes: Number(slot?.lag ?? 0),
    lagMs: Math.round(slot?.lag_ms ?? 0),
    worker: subscription?.worker ?? false,
  };
  if (subscription === undefined && slot === undefined && note === undefined) return { ...figures, state: 'none' };
  const problem = await problemOf(link, source, target, subscription, slot);
  if (problem !== undefined) return { ...figures, state: 'broken', ...problem };
  return { ...figures, state: figures.tablesReady === figures.tables ? 'streaming' : 'copying' };
}

async function problemOf(
  link: Link,
  source: pg.Client,
  target: pg.Client,
  subscription: Subscription | undefined,
  slot: Slot | undefined,
): Promise<Conflict | undefined> {
  const lasting = true;
  if (subscription === undefined) return { problem: `the subscription on ${link.to.colour} is missing`, lasting };
  if (slot === undefined) return { problem: `the replication slot on ${link.from.colour} is missing`, lasting };
  // With a lost slot every table still looks ready, and the worker restarts again and again.
  if (slot.status === 'lost')
    return {
      problem: `${link.from.colour} no longer has the changes that ${link.to.colour} needs (replication slot lost)`,
      lasting,
    };
  if (!subscription.enabled && subscription.errors === 0)
    return {
      problem: `${link.to.colour} does not follow: its subscription is not enabled, as before the expand migrations of a release`,
      lasting: false,
    };
  return subscription.enabled ? undefined : findConflict(link, source, target);
}
