import type pg from 'pg';
import { OperationError, messageOf } from '../../../infra/lib/errors.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { close, connect } from '../connect.ts';

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
 * Of any number of keys only those of one query are kept.
 */
export async function checkLedger(
  access: DatabaseAccess,
  sql: string,
  keys: Iterable<string> | AsyncIterable<string>,
): Promise<LedgerCheck> {
  const check: LedgerCheck = { lost: [], duplicated: [] };
  // A query may also return one row per copy: the numbers of one key are added up.
  await lookUp(access, keyQuery(sql), keys, (key, copies) => {
    if (copies === 0) check.lost.push(key);
    if (copies > 1) check.duplicated.push(key);
  });
  return check;
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
  const check = { lost: 0, doubled: 0 };
  await lookUp(access, counterQuery(sql), Object.keys(counters), (name, value) => {
    const { from, sent, acknowledged, unknown } = counters[name] as CounterLedger;
    check.lost += Math.max(0, from + acknowledged - value);
    check.doubled += Math.max(0, value - from - Math.max(sent, acknowledged + unknown));
  });
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

/** Calls `see` with each name and the sum of its numbers, 0 for a name that is not found. Read-only. */
async function lookUp(
  access: DatabaseAccess,
  query: Query,
  names: Iterable<string> | AsyncIterable<string>,
  see: (name: string, sum: number) => void,
): Promise<void> {
  let client: pg.Client | undefined;
  try {
    for await (const wanted of batches(names)) {
      client ??= await connect(access, 'owner');
      await client.query('BEGIN READ ONLY');
      const sums = new Map(wanted.map((name) => [name, 0]));
      for (const [name, number] of await ask(client, query, wanted)) sums.set(name, (sums.get(name) ?? 0) + number);
      await client.query('ROLLBACK');
      for (const name of wanted) see(name, sums.get(name) ?? 0);
    }
  } finally {
    await close(client);
  }
}

/** Different names, as many as one query takes. */
async function* batches(names: Iterable<string> | AsyncIterable<string>): AsyncGenerator<string[]> {
  let wanted = new Set<string>();
  for await (const name of names) {
    wanted.add(name);
    if (wanted.size < batch) continue;
    yield [...wanted];
    wanted = new Set();
  }
  if (wanted.size > 0) yield [...wanted];
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
