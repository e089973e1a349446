import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { OperationError } from '../../infra/errors.ts';
import { revokeWrites } from '../../infra/roles.ts';
import { findConflict } from './conflict.ts';
import { close, connect, messageOf, row, rows, withClient } from './connect.ts';
import { schemaChanges, schemaFingerprint, type SchemaFingerprint } from './fingerprint.ts';
import {
  allTables,
  createPublication,
  createSlot,
  createSubscription,
  dropSlot,
  dropSubscription,
  linkBetween,
  publicationNote,
  type Link,
  type Side,
} from './link.ts';
import { requirePreconditions } from './preconditions.ts';
import { refreshMaterialisedViews } from './schema.ts';

export interface SyncStatus {
  /** `broken`: it does not go on by itself; `problem` says why. */
  state: 'none' | 'copying' | 'streaming' | 'broken';
  problem?: string;
  tablesReady: number;
  tables: number;
  /** Written on `from` and not applied on `to` yet. */
  lagBytes: number;
  lagMs: number;
}

/** Longest wait for open transactions when the slot is made, ms. */
const slotMs = 30_000;
/** A worker that is gone is started again within 5 s (wal_retrieve_retry_interval); longer means that it cannot run, ms. */
const workerMs = 15_000;
const pollMs = 200;

/**
 * Starts to copy all tables from `from` (live) to `to`, whose schema must be there and empty (`copySchema`), and to
 * follow every change from then on. `to` becomes read-only for the application. What an earlier attempt left is
 * replaced. Throws an OperationError that lists all preconditions that are not met, before anything is published.
 */
export async function startSync(from: Side, to: Side): Promise<Link> {
  const link = linkBetween(from, to);
  await stopSync(link);
  await requirePreconditions(from.access, to.access);
  const [source, target] = await Promise.all([connect(from.access, 'admin'), connect(to.access, 'admin')]);
  try {
    await target.query(revokeWrites);
    const fingerprint = await schemaFingerprint(source);
    await createPublication(source, link.name, await allTables(source), JSON.stringify(fingerprint));
    await createSlot(source, link.name, slotMs);
    await createSubscription(target, link, { copyData: true, enabled: true });
    return link;
  } catch (error) {
    await stopSync(link).catch(() => undefined);
    if (error instanceof OperationError) throw error;
    throw new OperationError(
      'starting the replication',
      messageOf(error),
      'put that right, then repeat: what was begun is undone',
      {
        cause: error,
      },
    );
  } finally {
    await Promise.all([close(source), close(target)]);
  }
}

export interface WaitForSync {
  /** Longest wait for the initial copy and for the lag to be gone, ms. */
  timeoutMs: number;
  onProgress?: (status: SyncStatus) => void;
  signal?: AbortSignal;
}

/**
 * Resolves once every table is copied and all that was written until then is applied; materialised views are filled
 * then. Rejects with an OperationError when the time is up, or as soon as it is clear that it cannot succeed.
 */
export async function waitForSync(link: Link, options: WaitForSync): Promise<SyncStatus> {
  const [source, target] = await Promise.all([connect(link.from.access, 'admin'), connect(link.to.access, 'admin')]);
  const deadline = Date.now() + options.timeoutMs;
  let wanted: string | undefined;
  let workerSeen = Date.now();
  try {
    for (;;) {
      options.signal?.throwIfAborted();
      const { worker, ...status } = await measure(link, source, target);
      options.onProgress?.(status);
      if (worker) workerSeen = Date.now();
      if (status.state === 'broken') throw broken(link, status.problem ?? '');
      if (Date.now() - workerSeen > workerMs) throw broken(link, 'no worker has been applying changes for 15 s');
      if (status.state === 'streaming') {
        wanted ??= (await row<{ lsn: string }>(source, 'SELECT pg_current_wal_flush_lsn()::text AS lsn')).lsn;
        if (await replayed(source, link.name, wanted)) {
          await refreshMaterialisedViews(target);
          return status;
        }
      }
      if (Date.now() > deadline) {
        throw new OperationError(
          `waiting for the data to reach ${link.to.colour}`,
          `after ${options.timeoutMs} ms ${status.tablesReady} of ${status.tables} tables are copied and ${status.lagBytes} bytes are behind`,
          'repeat at a time with fewer writes, or allow more time',
        );
      }
      await sleep(pollMs, undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
  } finally {
    await Promise.all([close(source), close(target)]);
  }
}

/** How far the replication is. Rejects only where a database cannot be reached. */
export async function syncStatus(link: Link): Promise<SyncStatus> {
  const [source, target] = await Promise.all([connect(link.from.access, 'admin'), connect(link.to.access, 'admin')]);
  try {
    const { worker, ...status } = await measure(link, source, target);
    if (status.state === 'none' || status.state === 'broken' || worker) return status;
    return { ...status, state: 'broken', problem: 'no worker is applying changes at the moment' };
  } finally {
    await Promise.all([close(source), close(target)]);
  }
}

/** Whether `to` has applied all that `from` had written up to `lsn`. */
export async function replayed(source: pg.Client, name: string, lsn: string): Promise<boolean> {
  const sql =
    'SELECT coalesce(bool_or(replay_lsn >= $1::pg_lsn), false) AS done FROM pg_stat_replication WHERE application_name = $2';
  return (await row<{ done: boolean }>(source, sql, [lsn, name])).done;
}

/**
 * Ends the replication and removes what it needed on both sides. May be repeated. A side that cannot be reached is
 * left out, and its name returned: what is there goes with it, or is removed when this is repeated.
 */
export async function stopSync(link: Link): Promise<{ unreachable: string[] }> {
  const unreachable: string[] = [];
  let copySlots: string | undefined = String.raw`pg\_%\_sync\_%`;
  try {
    await withClient(link.to.access, 'admin', async (target) => {
      copySlots = await dropSubscription(target, link.name);
    });
  } catch (error) {
    if (!cannotConnect(error)) throw error;
    unreachable.push(link.to.colour);
  }
  try {
    await withClient(link.from.access, 'admin', async (source) => {
      await dropSlot(source, link.name);
      for (const { name } of await leftByCopies(source, copySlots)) await dropSlot(source, name);
      await source.query(`DROP PUBLICATION IF EXISTS ${link.name}`);
    });
  } catch (error) {
    if (!cannotConnect(error)) throw error;
    unreachable.push(link.from.colour);
  }
  return { unreachable };
}

const cannotConnect = (error: unknown): boolean =>
  error instanceof OperationError && error.doing.startsWith('connecting');

const leftByCopies = (source: pg.Client, pattern: string | undefined): Promise<{ name: string }[]> =>
  rows(source, 'SELECT slot_name AS name FROM pg_replication_slots WHERE slot_name LIKE $1 AND NOT active AND database = current_database()', [pattern ?? '']); // prettier-ignore

interface Subscription {
  enabled: boolean;
  worker: boolean;
  tables: number;
  ready: number;
}

const subscriptionSql = `
  SELECT s.subenabled AS enabled,
    EXISTS (SELECT FROM pg_stat_subscription w WHERE w.subid = s.oid AND w.relid IS NULL AND w.pid IS NOT NULL) AS worker,
    (SELECT count(*)::int FROM pg_subscription_rel r WHERE r.srsubid = s.oid) AS tables,
    (SELECT count(*)::int FROM pg_subscription_rel r WHERE r.srsubid = s.oid AND r.srsubstate = 'r') AS ready
  FROM pg_subscription s WHERE s.subname = $1`;

interface Slot {
  status: string | null;
  lag: string;
  lag_ms: number;
}

const slotSql = `
  SELECT s.wal_status AS status,
    greatest(0, pg_wal_lsn_diff(pg_current_wal_flush_lsn(), coalesce(r.replay_lsn, s.confirmed_flush_lsn)))::bigint::text AS lag,
    coalesce(extract(epoch FROM r.replay_lag) * 1000, 0)::float8 AS lag_ms
  FROM pg_replication_slots s LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid WHERE s.slot_name = $1`;

async function measure(link: Link, source: pg.Client, target: pg.Client): Promise<SyncStatus & { worker: boolean }> {
  const [subscription] = await rows<Subscription>(target, subscriptionSql, [link.name]);
  const [slot] = await rows<Slot>(source, slotSql, [link.name]);
  const note = await publicationNote(source, link.name);
  const fingerprint = await schemaFingerprint(source);
  const figures = {
    tables: subscription?.tables ?? 0,
    tablesReady: subscription?.ready ?? 0,
    lagBytes: Number(slot?.lag ?? 0),
    lagMs: Math.round(slot?.lag_ms ?? 0),
    worker: subscription?.worker ?? false,
  };
  if (subscription === undefined && slot === undefined && note === undefined) return { ...figures, state: 'none' };
  const problem = await problemOf(link, source, target, subscription, slot, changesSince(note, fingerprint));
  if (problem !== undefined) return { ...figures, state: 'broken', problem };
  return { ...figures, state: figures.tablesReady === figures.tables ? 'streaming' : 'copying' };
}

/** Schema changes on the publisher since the publication was made; the reverse direction's schema may go on changing. */
function changesSince(note: string | undefined, now: SchemaFingerprint): string[] {
  return note === undefined || note === '' ? [] : schemaChanges(JSON.parse(note) as SchemaFingerprint, now);
}

async function problemOf(
  link: Link,
  source: pg.Client,
  target: pg.Client,
  subscription: Subscription | undefined,
  slot: Slot | undefined,
  changes: string[],
): Promise<string | undefined> {
  if (subscription === undefined) return `the subscription on ${link.to.colour} is missing`;
  if (slot === undefined) return `the replication slot on ${link.from.colour} is missing`;
  // A lost slot still shows every table as ready, and its worker comes and goes.
  if (slot.status === 'lost')
    return `${link.from.colour} no longer has the changes that ${link.to.colour} needs (replication slot lost)`;
  if (changes.length > 0)
    return `the schema of ${link.from.colour} has changed since the replication began: ${changes.join(', ')}`;
  if (!subscription.enabled) return await findConflict(link, source, target);
  return undefined;
}

const broken = (link: Link, problem: string): OperationError =>
  new OperationError(
    `replicating from ${link.from.colour} to ${link.to.colour}`,
    problem,
    `put that right and start the release again: ${link.to.colour} is then copied afresh; ${link.from.colour} serves on as before`,
  );
