import type pg from 'pg';
import { hasCode, OperationError, messageOf } from '../../../infra/lib/errors.ts';
import { revokeWrites, sqlIdentifier } from '../../../infra/application/roles.ts';
import type { CloneOptions } from '../../../infra/platform/databases.ts';
import { serverVersion, withClient } from '../connect.ts';
import { identitiesOf } from '../publication/identity.ts';
import { createSlot, dropSlot, forwardNote, linkBetween, type Link, type Side } from '../link.ts';
import { requirePreconditions, type Finding } from '../publication/preconditions.ts';
import { readObjects } from '../objects/read.ts';
import { allTables, createPublication } from '../publication/publication.ts';
import { beginAt, createSubscription, dropSubscription, enableSubscription } from './subscription.ts';
import { isRecorded, recordCopied, recordExpanded } from './schema-record.ts';
import { createSlotWithSnapshot } from '../copying/snapshot.ts';
import { copyRows, type CopyRows } from '../copying/rows.ts';
import { quietEventTriggers, quietTriggers } from './triggers.ts';

export { syncStatus, type SyncStatus } from './sync-state.ts';
export { waitForSync, type WaitForSync } from './wait-for-sync.ts';

/** How long creating the slot may wait for open transactions, ms. */
const slotMs = 30_000;
/** The same after a physical copy, which would have to be made again. */
const slotAfterCopyMs = 300_000;
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
  try {
    await withClient(link.to.access, 'admin', (target) => dropSubscription(target, link.name));
  } catch (error) {
    if (!hasCode(error, 'unreachable')) throw error;
    unreachable.push(link.to.colour);
  }
  try {
    await withClient(link.from.access, 'admin', async (source) => {
      await dropSlot(source, link.name);
      await source.query(`DROP PUBLICATION IF EXISTS ${sqlIdentifier(link.name)}`);
    });
  } catch (error) {
    if (!hasCode(error, 'unreachable')) throw error;
    unreachable.push(link.from.colour);
  }
  return { unreachable };
}
