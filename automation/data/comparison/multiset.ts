import type pg from 'pg';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { fromTable, type Column, type Table } from '../catalog.ts';
import { row } from '../connect.ts';

/**
 * A table as what it is: rows in no order, any of them several times. Two tables are equal where the number of their
 * rows and the sum of the rows' hashes are. The sum is exact (`numeric`), so that no number of copies cancels, as it
 * would with XOR. A row's hash is one of all its bytes: `hash_record_extended` of the columns themselves adds up their
 * hashes, so that values swapped between two rows would not show in a sum; and it folds whole numbers and instants of 64
 * bits to 32.
 */

/**
 * Types whose binary form is the same for the same value alone, and on every server. Others are compared as text: that
 * of an enum, for one, holds numbers of the server.
 */
const binary = new Set([
  'int2',
  'int4',
  'int8',
  'float4',
  'float8',
  'numeric',
  'bool',
  'text',
  'varchar',
  'bytea',
  'uuid',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'interval',
  'json',
  'jsonb',
  'oid',
]);

/** What values look like as text, alike in every session. The search path is what names of objects depend on. */
const textForms = {
  timezone: 'UTC',
  datestyle: 'ISO, YMD',
  intervalstyle: 'postgres',
  extra_float_digits: '3',
  bytea_output: 'hex',
  lc_monetary: 'C',
  search_path: 'pg_catalog',
};

/**
 * Starts a read-only transaction in which the session sees the database as it is now, for as long as it is open, and
 * shows values as every other such session does.
 */
export async function openSnapshot(client: pg.Client): Promise<void> {
  const forms = Object.entries(textForms).map(([name, value]) => `SET LOCAL ${name} = '${value}'`);
  // It may wait idle for as long as a backup takes; the server's counters stay as they are read here first.
  const settings = [
    ...forms,
    'SET LOCAL idle_in_transaction_session_timeout = 0',
    // Rows that a policy hides from this session would be compared as if there were none: it fails instead.
    'SET LOCAL row_security = off',
    'SET LOCAL stats_fetch_consistency = snapshot',
  ].join('; ');
  await client.query(
    `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ${settings}; SELECT pg_stat_get_tuples_inserted(0)`,
  );
}

/** Names of the columns that both have, in one order. */
export const sharedColumns = (columns: Column[], others: Column[]): string[] =>
  columns.map(({ name }) => name).filter((name) => others.some((other) => other.name === name));

/** A row's hash, 64 bits, from the columns that both sides have. */
export function rowHash(columns: Column[], others: Column[]): string {
  const parts: string[] = [];
  for (const column of columns) {
    const other = others.find((o) => o.name === column.name);
    if (other === undefined) continue;
    parts.push(compared(column, other));
  }
  return `hash_record_extended(ROW(record_send(ROW(${parts.join(', ')}))), 0)`;
}

/** A column's value as the other side has it, too, where the type became a wider one. */
function compared(column: Column, other: Column): string {
  const name = sqlIdentifier(column.name);
  // Digits behind the point that the declared scale adds are not the value's.
  if (column.type !== other.type && column.builtIn === 'numeric' && other.builtIn === 'numeric')
    return `trim_scale(${name})`;
  return column.builtIn === other.builtIn && binary.has(column.builtIn) ? name : `${name}::text`;
}

/** One side of a table: the session that sees it, and how its rows are hashed. */
export interface Source {
  client: pg.Client;
  table: Table;
  hash: string;
}

/** `relid`s of the table `$1` and its partitions: of a table without any, `pg_partition_tree` has no row. */
export const relationsOf = `(SELECT $1::regclass AS relid UNION SELECT relid FROM pg_partition_tree($1::regclass)) AS relation`;

/** Shortest limit of one reading of a table, ms; larger tables get the time for so many bytes each ms. */
const leastMs = 60_000;
const bytesPerMs = 5_000;
/** How much longer than the server the client waits, ms. */
const graceMs = 5_000;

/**
 * Lets `read` read one table within a snapshot. Afterwards the table's lock is gone: nobody's change of the schema waits
 * for longer than for this one reading. The limit of its statements follows the table's size.
 */
export async function reading<T>({ client, table }: Source, read: (limits: Limits) => Promise<T>): Promise<T> {
  const size = `SELECT sum(pg_table_size(relid))::float8 AS bytes FROM ${relationsOf}`;
  await client.query('SAVEPOINT reading');
  const { bytes } = await row<{ bytes: number }>(client, size, [table.sql]);
  const statementMs = Math.round(leastMs + bytes / bytesPerMs);
  await client.query(`SET LOCAL statement_timeout = ${statementMs}`);
  const result = await read({ query_timeout: statementMs + graceMs });
  await client.query('ROLLBACK TO SAVEPOINT reading; RELEASE SAVEPOINT reading');
  return result;
}

/** For `client.query`: how long the client waits for the server. */
export interface Limits {
  query_timeout: number;
}

export interface Sum {
  rows: number;
  /** Of the rows' hashes; with `versions` also of the transactions that wrote them. */
  sum: string;
  written: string;
}

/** The whole table, in one pass. */
export async function sumOf(source: Source): Promise<Sum> {
  return (await sumsOf(source, 1, false)).get(0) ?? nothing;
}

export const nothing: Sum = { rows: 0, sum: '0', written: '0' };

/** Rows spread over `buckets` (a power of two) by their hash, in one pass. A bucket without rows is left out. */
export async function sumsOf(source: Source, buckets: number, versions: boolean): Promise<Map<number, Sum>> {
  const written = versions ? 'sum(x::text::bigint)::text' : `'0'`;
  const sql = `SELECT ${bucketOf(buckets)} AS b, count(*)::float8 AS rows, sum(h)::text AS sum, ${written} AS written
    FROM (${hashesOf(source, versions)}) AS t GROUP BY 1`;
  const found = await reading(source, (limits) => source.client.query({ text: sql, ...limits }));
  return new Map((found.rows as (Sum & { b: number })[]).map(({ b, ...sum }) => [b, sum]));
}

/** Every row as its hash `h` and, with `versions`, the transaction `x` that wrote it. */
export const hashesOf = ({ table, hash }: Source, versions: boolean): string =>
  `SELECT ${hash} AS h${versions ? ', xmin AS x' : ''} FROM ${fromTable(table)}`;

export const bucketOf = (buckets: number): string => `(h & ${buckets - 1})::int`;

/** Rows that one bucket should hold, and how few and many buckets there may be. */
const rowsPerBucket = 500;
const [fewestBuckets, mostBuckets] = [64, 65_536];

/** How many buckets suit so many rows: a changed row makes one bucket of rows be looked at, not the whole table. */
export const bucketsFor = (count: number): number =>
  Math.min(mostBuckets, Math.max(fewestBuckets, 2 ** Math.ceil(Math.log2(Math.max(1, count / rowsPerBucket)))));

/** How many rows the server believes the table to have: from its last analysis, and its size. */
export async function estimatedRows({ client, table }: Source): Promise<number> {
  const sql = `SELECT coalesce(sum(greatest(c.reltuples, pg_relation_size(c.oid) / 500)), 0)::float8 AS n
    FROM ${relationsOf} JOIN pg_class c ON c.oid = relid AND c.relkind = 'r'`;
  return (await row<{ n: number }>(client, sql, [table.sql])).n;
}
