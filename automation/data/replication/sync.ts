import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { hasCode, OperationError, messageOf } from '../../../infra/lib/errors.ts';
import { revokeWrites, sqlIdentifier } from '../../../infra/application/roles.ts';
import type { CloneOptions } from '../../../infra/platform/databases.ts';
import { close, connect, row, rows, serverVersion, withClient } from '../connect.ts';
import { identitiesOf } from '../publication/identity.ts';
import { createSlot, dropSlot, forwardNote, linkBetween, type Link, type Side } from '../link.ts';
import { requirePreconditions, type Finding } from '../publication/preconditions.ts';
import { readObjects } from '../objects/read.ts';
import { allTables, createPublication } from '../publication/publication.ts';
import { refreshMaterialisedViews } from '../schema.ts';
import { beginAt, createSubscription, dropSubscription, enableSubscription } from './subscription.ts';
import { isRecorded, recordCopied, recordExpanded } from './schema-record.ts';
import { describeDrift, endangering, SchemaWatch } from './schema-drift.ts';
import { createSlotWithSnapshot } from '../copying/snapshot.ts';
import { copyRows, type CopyRows } from '../copying/rows.ts';
import { quietEventTriggers, quietTriggers } from './triggers.ts';
import { followPartitions, isPartitionJob } from './partitions.ts';
import { noTries, revive } from './revive.ts';
import { measure, replayed, type SyncStatus } from './sync-state.ts';

export { syncStatus, type SyncStatus } from './sync-state.ts';

/** How long creating the slot may wait for open transactions, ms. */
const slotMs = 30_000;
/** The same after a physical copy, which would have to be made again. */
const slotAfterCopyMs = 300_000;
/** PostgreSQL restarts a worker within 5 s (wal_retrieve_retry_interval). One that is absent for longer cannot run, ms. */
const workerMs = 15_000;
const pollMs = 200;
/** Between two looks at the schemas, ms. */
const schemaMs = 1_000;

interface StartSync {
  /** Aborts between two steps. */
  signal?: AbortSignal | undefined;
  /** Gets findings that do not prevent the replication. */
  onWarning?: ((text: string) => void) | undefined;
}

interface StartSyncByRows extends StartSync {
  /** Bytes of tables that are copied, of those of the source. */
  onProgress?: CopyRows['onProgress'];
  /** What the schema of `to` lacks until the rows are there (`beginSchema`). */
  afterRows?: (signal?: AbortSignal) => Promise<void>;
}

/**
 * Starts the replication from `from` (live) to `to`: a copy of the rows of all tables, then every change. `to` must have the
 * schema without rows (`beginSchema`, or `copySchema`), and becomes read-only for the application. Replaces what an earlier attempt
 * left. Throws an OperationError that lists every unmet precondition, before anything is published.
 */
export const startSync = (from: Side, to: Side, options: StartSyncByRows = {}): Promise<Link> =>
  starting(
    from,
    to,
    options,
    () => requirePreconditions(from.access, to.access),
    async (link) => {
      const { signal, onProgress, afterRows } = options;
      await withClient(to.access, 'admin', (target) => target.query(revokeWrites));
      const slot = await createSlotWithSnapshot(from.access, link.name, slotMs, signal);
      try {
        await copyRows(from.access, to.access, { snapshot: slot.snapshot, signal, onProgress });
      } finally {
        await slot.close();
      }
      await afterRows?.(signal);
      await onBoth(link, async (source, target) => {
        if (!(await isRecorded(target)))
          await recordCopy(target, serverVersion(source) === serverVersion(target) ? target : source);
        await quietTriggers(source, target);
        await recordExpanded(target);
        signal?.throwIfAborted();
        await createSubscription(source, target, link, { enabled: true });
      });
    },
  );

/**
 * As `startSync`, by a physical copy: `clone` makes the cluster of `to` a copy of that of `from` as of the LSN that it is given, and
 * every change after it is replicated. The subscription is disabled until `followSync`, so that migrations meet no apply worker.
 */
export const startSyncByClone = (
  from: Side,
  to: Side,
  clone: (cutOff: CloneOptions['cutOff']) => Promise<void>,
  options: StartSync = {},
): Promise<Link> =>
  starting(
    from,
    to,
    options,
    () => requirePreconditions(from.access, undefined, { physical: true }),
    async (link) => {
      let begin: string | undefined;
      // Ends the session that waits for open transactions.
      const stop = (): void =>
        void withClient(from.access, 'admin', (other) => dropSlot(other, link.name)).catch(() => 0);
      await clone(async () => {
        options.signal?.addEventListener('abort', stop);
        const slot = (source: pg.Client): Promise<string> => createSlot(source, link.name, slotAfterCopyMs);
        begin = await withClient(from.access, 'admin', slot, { statementMs: slotAfterCopyMs }).finally(() =>
          options.signal?.removeEventListener('abort', stop),
        );
        return begin;
      });
      if (begin === undefined) throw new Error('the copy was made without a cut-off');
      const lsn = begin;
      await onBoth(link, async (source, target) => {
        await recordCopy(target);
        await quietTriggers(source, target);
        await recordExpanded(target);
        options.signal?.throwIfAborted();
        await createSubscription(source, target, link, { enabled: false });
        await beginAt(link, target, lsn);
      });
    },
  );

/**
 * Records the catalog of a copy as it was made, and switches its event triggers off. Nothing else may change it before. `as`: whose
 * words are recorded. Another version of PostgreSQL writes the same definition in another way, so there it is the copied database.
 */
export async function recordCopy(copy: pg.Client, as = copy): Promise<void> {
  const objects = await readObjects(as);
  await quietEventTriggers(copy);
  await recordCopied(copy, objects);
}

/** Enables the subscription of `startSyncByClone`. Throws an OperationError while the opposite direction runs. */
export const followSync = (link: Link): Promise<void> =>
  onBoth(link, (source, target) => enableSubscription(link, source, target));

const onBoth = <T>({ from, to }: Link, work: (source: pg.Client, target: pg.Client) => Promise<T>): Promise<T> =>
  withClient(from.access, 'admin', (source) => withClient(to.access, 'admin', (target) => work(source, target)));

/** Publishes all tables of `from`, then lets `subscribe` do the rest. Undoes all of it if that rejects. */
async function starting(
  from: Side,
  to: Side,
  { signal, onWarning }: StartSync,
  require: () => Promise<Finding[]>,
  subscribe: (link: Link) => Promise<void>,
): Promise<Link> {
  const link = linkBetween(from, to);
  await stopSync(link);
  for (const { found, cure } of await require()) onWarning?.(`${found}; ${cure}`);
  try {
    await withClient(from.access, 'admin', async (source) => {
      const tables = await allTables(source);
      signal?.throwIfAborted();
      await createPublication(source, link.name, tables, forwardNote, await identitiesOf(source));
    });
    await subscribe(link);
    return link;
  } catch (error) {
    await stopSync(link).catch(() => undefined);
    if (error instanceof OperationError) throw error;
    throw new OperationError(
      'starting the replication',
      messageOf(error),
      'put that right, then repeat: what was begun is undone',
      { cause: error },
    );
  }
}

export interface WaitForSync {
  /** Timeout of the initial copy and the catch-up together, ms. */
  timeoutMs: number;
  onProgress?: (status: SyncStatus) => void;
  signal?: AbortSignal;
}

/**
 * Waits until every table is copied and everything written until then is applied, then fills the materialised views.
 * Rejects with an OperationError at the timeout, or as soon as the replication cannot succeed.
 */
export async function waitForSync(link: Link, options: WaitForSync): Promise<SyncStatus> {
  const [source, target] = await Promise.all([connect(link.from.access, 'admin'), connect(link.to.access, 'admin')]);
  const deadline = Date.now() + options.timeoutMs;
  let wanted: string | undefined;
  let workerSeen = Date.now();
  const tries = noTries();
  const schema = new SchemaWatch();
  let schemaSeen = 0;
  try {
    for (;;) {
      options.signal?.throwIfAborted();
      if (Date.now() - schemaSeen > schemaMs) {
        const found = await schema.look(link, source, target);
        const followed = found.some((drift) => isPartitionJob(drift, link))
          ? await followPartitions(link, source, target)
          : [];
        const drifts = endangering(followed.length > 0 ? await schema.look(link, source, target) : found, link);
        if (drifts.length > 0) throw broken(link, describeDrift(drifts));
        schemaSeen = Date.now();
      }
      const { worker, ...status } = await measure(link, source, target);
      options.onProgress?.(status);
      if (worker) workerSeen = Date.now();
      if (status.state === 'broken' && !(await revive(link, source, target, tries)))
        throw broken(link, status.problem ?? '');
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

/**
 * As `stopSync`, but drops the publication first. A publication can make UPDATE and DELETE fail, so the application on the
 * publishing side can write again at once, however slow the rest is.
 */
export async function withdrawSync(link: Link): Promise<void> {
  await withClient(link.from.access, 'admin', (source) =>
    source.query(`DROP PUBLICATION IF EXISTS ${sqlIdentifier(link.name)}`),
  );
  await stopSync(link);
}

/**
 * Ends the replication and removes its objects on both sides. Idempotent. Skips a side that cannot be reached and returns
 * its name; repeating this removes what is left there.
 */
export async function stopSync(link: Link): Promise<{ unreachable: string[] }> {
  const unreachable: string[] = [];
  let copySlots: string | undefined = String.raw`pg\_%\_sync\_%`;
  try {
    await withClient(link.to.access, 'admin', async (target) => {
      copySlots = await dropSubscription(target, link.name);
    });
  } catch (error) {
    if (!hasCode(error, 'unreachable')) throw error;
    unreachable.push(link.to.colour);
  }
  try {
    await withClient(link.from.access, 'admin', async (source) => {
      await dropSlot(source, link.name);
      for (const { name } of await leftByCopies(source, copySlots)) await dropSlot(source, name);
      await source.query(`DROP PUBLICATION IF EXISTS ${sqlIdentifier(link.name)}`);
    });
  } catch (error) {
    if (!hasCode(error, 'unreachable')) throw error;
    unreachable.push(link.from.colour);
  }
  return { unreachable };
}

const leftByCopies = (source: pg.Client, pattern: string | undefined): Promise<{ name: string }[]> =>
  rows(
    source,
    'SELECT slot_name AS name FROM pg_replication_slots WHERE slot_name LIKE $1 AND NOT active AND database = current_database()',
    [pattern ?? ''],
  );

const broken = (link: Link, problem: string): OperationError =>
  new OperationError(
    `replicating from ${link.from.colour} to ${link.to.colour}`,
    problem,
    `put that right and start the release again: ${link.to.colour} is then copied afresh; ${link.from.colour} serves on as before`,
  );
