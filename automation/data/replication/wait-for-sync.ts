import { setTimeout as sleep } from 'node:timers/promises';
import { OperationError } from '../../../infra/lib/errors.ts';
import { close, connect, row } from '../connect.ts';
import type { Link } from '../link.ts';
import { refreshMaterialisedViews } from '../schema.ts';
import { lookAndFollow } from './partitions.ts';
import { noTries, revive } from './revive.ts';
import { describeDrift, endangering, SchemaWatch } from './schema-drift.ts';
import { measure, replayed, type SyncStatus } from './sync-state.ts';
import { unfollowed } from './unfollowed.ts';

/** PostgreSQL restarts a worker within 5 s (wal_retrieve_retry_interval). One that is absent for longer cannot run, ms. */
const workerMs = 15_000;
const pollMs = 200;
/** Between two looks at the schemas, ms. */
const schemaMs = 1_000;

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
        const drifts = endangering((await lookAndFollow(schema, link, source, target)).drifts, link);
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
          const left = await unfollowed(link, source, target);
          if (left !== undefined) throw broken(link, left);
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

const broken = (link: Link, problem: string): OperationError =>
  new OperationError(
    `replicating from ${link.from.colour} to ${link.to.colour}`,
    problem,
    `put that right and start the release again: ${link.to.colour} is then copied afresh; ${link.from.colour} serves on as before`,
  );
