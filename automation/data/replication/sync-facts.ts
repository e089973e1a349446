import { setTimeout as sleep } from 'node:timers/promises';
import { close, connect, rows } from '../connect.ts';
import type { Link } from '../link.ts';
import { slotSql, subscriptionSql, type Slot, type Subscription } from './sync-state.ts';

/** How long to wait for a worker that is restarting, ms. It restarts after every change of its subscription. */
const restartMs = 10_000;
const pollMs = 200;

/** Reads the facts that a gate judges the replication by. A worker that does not come back in time counts as dead. */
export async function syncFacts(link: Link): Promise<SyncFacts> {
  const deadline = Date.now() + restartMs;
  for (;;) {
    const facts = await readFacts(link);
    if (facts.lagMs !== undefined || Date.now() > deadline) return facts;
    await sleep(pollMs);
  }
}

async function readFacts(link: Link): Promise<SyncFacts> {
  const [source, target] = await Promise.all([connect(link.from.access, 'admin'), connect(link.to.access, 'admin')]);
  try {
    const [subscription] = await rows<Subscription>(target, subscriptionSql, [link.name]);
    const [slot] = await rows<Slot>(source, slotSql, [link.name]);
    const tables = await rows<{ table: string; ready: boolean }>(
      target,
      `SELECT format('%s.%s', n.nspname, c.relname) AS "table", r.srsubstate = 'r' AS ready
       FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid JOIN pg_class c ON c.oid = r.srrelid
       JOIN pg_namespace n ON n.oid = c.relnamespace WHERE s.subname = $1 ORDER BY 1`,
      [link.name],
    );
    const workerAlive = subscription?.worker ?? false;
    const known = workerAlive && slot !== undefined;
    return {
      tables,
      lagMs: known ? slot.lag_ms : undefined,
      lagBytes: known ? Number(slot.lag) : undefined,
      workerAlive,
      slotStatus: slot?.status ?? undefined,
    };
  } finally {
    await Promise.all([close(source), close(target)]);
  }
}

/** The state of a replication, table by table. */
export interface SyncFacts {
  /** Published tables and whether their initial copy is complete. */
  tables: { table: string; ready: boolean }[];
  /** Milliseconds and bytes that the subscriber is behind; undefined if unknown. */
  lagMs: number | undefined;
  lagBytes: number | undefined;
  /** Whether a process applies changes right now. */
  workerAlive: boolean;
  /** `wal_status` of the slot. `reserved` and `extended` are good; `unreserved` and `lost` are not. */
  slotStatus: string | undefined;
}
