import { setTimeout as sleep } from 'node:timers/promises';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { ownSchemas } from '../catalog.ts';
import { close, connect, rows } from '../connect.ts';

/** A lock on a table that keeps others from reading or writing it. */
export interface LockHeld {
  table: string;
  /** As PostgreSQL calls it: `AccessExclusiveLock`. */
  mode: string;
  /** From the first to the last time that it was seen, by the server's clock: it was held for at least so long. */
  ms: number;
}

const everyMs = 50;
/** Those that a write waits for; of the last one also a read. */
const modes = ['ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'];

const held = `
  SELECT format('%s %s', l.virtualtransaction, l.mode) AS holder, format('%I.%I', n.nspname, c.relname) AS table, l.mode,
    (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS at
  FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.pid <> pg_backend_pid() AND l.mode = ANY ($1)
    AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND ${ownSchemas}`;

/**
 * Runs `work`, and looks meanwhile which locks the other sessions of the database hold. Gives of each table and mode the longest, the
 * longest first. What is held for less than a look takes may be missed. Rejects if the looking broke: nothing is known then.
 */
export async function withLocksSeen<T>(
  access: DatabaseAccess,
  work: () => Promise<T>,
): Promise<{ result: T; locks: LockHeld[] }> {
  const client = await connect(access, 'admin', { applicationName: 'greenlight-migrations-watch' });
  const seen = new Map<string, LockHeld & { from: number }>();
  const stopping = new AbortController();
  const watching = (async () => {
    while (!stopping.signal.aborted) {
      for (const { holder, at, ...lock } of await rows<Omit<LockHeld, 'ms'> & { holder: string; at: number }>(
        client,
        held,
        [modes],
      )) {
        const key = `${holder} ${lock.table}`;
        const from = seen.get(key)?.from ?? at;
        seen.set(key, { ...lock, from, ms: Math.round(at - from) });
      }
      await sleep(everyMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  })();
  // Where it broke is told after the work, whose own error comes first.
  watching.catch(() => undefined);
  try {
    const result = await work();
    stopping.abort();
    await watching;
    return { result, locks: longest([...seen.values()]) };
  } finally {
    stopping.abort();
    await watching.catch(() => undefined);
    await close(client);
  }
}

function longest(seen: readonly LockHeld[]): LockHeld[] {
  const found = new Map<string, LockHeld>();
  for (const { table, mode, ms } of [...seen].sort((a, b) => b.ms - a.ms))
    if (!found.has(`${table} ${mode}`)) found.set(`${table} ${mode}`, { table, mode, ms });
  return [...found.values()];
}
