import { row, rows, withClient } from './connect.ts';
import type { Link } from './link.ts';
import { syncStatus } from './sync.ts';
import type { SyncFacts } from '../gates/data.ts';

/** What the gate on the replication judges: read from both sides, nothing taken from the other. */
export async function syncFacts(link: Link): Promise<SyncFacts> {
  const { lagBytes, lagMs } = await syncStatus(link);
  const [copied, slot] = await Promise.all([
    withClient(link.to.access, 'admin', async (target) => ({
      tables: await rows<{ table: string; ready: boolean }>(
        target,
        `SELECT r.srrelid::regclass::text AS table, r.srsubstate IN ('r', 's') AS ready
         FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid WHERE s.subname = $1 ORDER BY 1`,
        [link.name],
      ),
      worker: await row<{ alive: boolean }>(
        target,
        'SELECT coalesce(bool_or(pid IS NOT NULL), false) AS alive FROM pg_stat_subscription WHERE subname = $1 AND relid IS NULL',
        [link.name],
      ),
    })),
    withClient(link.from.access, 'admin', (source) =>
      rows<{ status: string }>(source, 'SELECT wal_status AS status FROM pg_replication_slots WHERE slot_name = $1', [
        link.name,
      ]),
    ),
  ]);
  return { tables: copied.tables, lagMs, lagBytes, workerAlive: copied.worker.alive, slotStatus: slot[0]?.status };
}
