import { OperationError, messageOf } from '../../infra/errors.ts';
import type { DatabaseAccess } from '../../infra/platform.ts';
import { withClient } from './connect.ts';

/** Keys that are looked up at once. */
const batch = 5_000;

export interface LedgerCheck {
  /** Keys that are not there. */
  lost: string[];
  /** Keys that are there more than once. */
  duplicated: string[];
}

/**
 * Looks for acknowledged writes in the database. `sql` gets keys as `$1` (text[]) and returns `(key text, copies int)`
 * for those found. For writes whose end nobody knows, call it apart: of those, only `duplicated` is a fault.
 * A key that was acknowledged twice is a fault of the client, and counts once.
 */
export async function checkLedger(access: DatabaseAccess, sql: string, keys: readonly string[]): Promise<LedgerCheck> {
  const wanted = [...new Set(keys)];
  const copies = new Map<string, number>();
  if (wanted.length === 0) return { lost: [], duplicated: [] };
  await withClient(access, 'owner', async (client) => {
    await client.query('BEGIN READ ONLY');
    for (let at = 0; at < wanted.length; at += batch) {
      for (const [key, count] of await lookUp(client, sql, wanted.slice(at, at + batch))) {
        // A query that returns a line per row instead of a count per key means the same.
        copies.set(key, (copies.get(key) ?? 0) + count);
      }
    }
    await client.query('ROLLBACK');
  });
  return {
    lost: wanted.filter((key) => (copies.get(key) ?? 0) === 0),
    duplicated: wanted.filter((key) => (copies.get(key) ?? 0) > 1),
  };
}

async function lookUp(
  client: { query(sql: string, values: unknown[]): Promise<{ rows: unknown[] }> },
  sql: string,
  keys: string[],
): Promise<[string, number][]> {
  const todo = 'data.ledger.sql must return (key text, copies int) for the keys in $1';
  const doing = 'looking for acknowledged writes';
  const { rows } = await client.query(sql, [keys]).catch((error: unknown) => {
    throw new OperationError(doing, messageOf(error), todo, { cause: error });
  });
  return (rows as { key?: unknown; copies?: unknown }[]).map(({ key, copies }) => {
    const count = Number(copies);
    if (typeof key !== 'string' || !Number.isInteger(count))
      throw new OperationError(doing, 'the query returned something else', todo);
    return [key, count];
  });
}
