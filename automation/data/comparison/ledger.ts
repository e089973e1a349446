import { OperationError, messageOf } from '../../../infra/lib/errors.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { withClient } from '../connect.ts';

/** Number of keys in one query. */
const batch = 5_000;

export interface LedgerCheck {
  /** Keys that the database lacks. */
  lost: string[];
  /** Keys that the database has more than once. */
  duplicated: string[];
}

/**
 * Looks for acknowledged writes in the database. `sql` gets keys as `$1` (text[]) and returns `(key text, copies int)` for
 * those that it finds. Check writes with an unknown outcome in a call of their own: for those, only `duplicated` is a fault.
 * A key that occurs twice in `keys` is checked once.
 */
export async function checkLedger(access: DatabaseAccess, sql: string, keys: readonly string[]): Promise<LedgerCheck> {
  const wanted = [...new Set(keys)];
  // A query may also return one row per copy: the numbers of one key are added up.
  const copies = await lookUp(access, keyQuery(sql), wanted);
  return {
    lost: wanted.filter((key) => (copies.get(key) ?? 0) === 0),
    duplicated: wanted.filter((key) => (copies.get(key) ?? 0) > 1),
  };
}

/** What the clients know about one counter. */
export interface CounterLedger {
  /** Its value before the first of these writes. */
  from: number;
  /** Increments that were about to be sent. The end of the traffic may have hidden the outcome of some. */
  sent: number;
  acknowledged: number;
  /** Increments without an answer, or with one that leaves the outcome open. */
  unknown: number;
}

export interface CounterCheck {
  /** Acknowledged increments that the rows lack. */
  lost: number;
  /** Increments that the rows have beyond those that were sent. */
  doubled: number;
}

/**
 * Compares counters with their increments. This finds an update that was overwritten by an older one, although no row is
 * missing. `sql` gets the names as `$1` (text[]) and returns `(counter text, value bigint)`; a counter that it does not return
 * counts as 0.
 */
export async function checkCounters(
  access: DatabaseAccess,
  sql: string,
  counters: Readonly<Record<string, CounterLedger>>,
): Promise<CounterCheck> {
  const values = await lookUp(access, counterQuery(sql), Object.keys(counters));
  const check = { lost: 0, doubled: 0 };
  for (const [name, { from, sent, acknowledged, unknown }] of Object.entries(counters)) {
    const value = values.get(name) ?? 0;
    check.lost += Math.max(0, from + acknowledged - value);
    check.doubled += Math.max(0, value - from - Math.max(sent, acknowledged + unknown));
  }
  return check;
}

/** A query of the release definition that returns a name and a number per row. */
interface Query {
  sql: string;
  name: string;
  number: string;
  todo: string;
}

const keyQuery = (sql: string): Query => ({
  sql,
  name: 'key',
  number: 'copies',
  todo: 'data.ledger.sql must return (key text, copies int) for the keys in $1',
});
const counterQuery = (sql: string): Query => ({
  sql,
  name: 'counter',
  number: 'value',
  todo: 'data.ledger.counters must return (counter text, value bigint) for the names in $1',
});

/** The sum of the numbers of each name. Read-only. */
async function lookUp(access: DatabaseAccess, query: Query, wanted: string[]): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  if (wanted.length === 0) return found;
  await withClient(access, 'owner', async (client) => {
    await client.query('BEGIN READ ONLY');
    for (let at = 0; at < wanted.length; at += batch) {
      for (const [name, number] of await ask(client, query, wanted.slice(at, at + batch)))
        found.set(name, (found.get(name) ?? 0) + number);
    }
    await client.query('ROLLBACK');
  });
  return found;
}

async function ask(
  client: { query(sql: string, values: unknown[]): Promise<{ rows: unknown[] }> },
  { sql, todo, ...columns }: Query,
  wanted: string[],
): Promise<[string, number][]> {
  const doing = 'looking for acknowledged writes';
  const { rows } = await client.query(sql, [wanted]).catch((error: unknown) => {
    throw new OperationError(doing, messageOf(error), todo, { cause: error });
  });
  return (rows as Record<string, unknown>[]).map((row) => {
    const [name, value] = [row[columns.name], row[columns.number]];
    const number = Number(value);
    if (typeof name !== 'string' || value === null || !Number.isInteger(number))
      throw new OperationError(doing, 'the query returned something else', todo);
    return [name, number];
  });
}
