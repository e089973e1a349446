import type pg from 'pg';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { fromTable, ownSchemas, type Column, type Table } from '../catalog.ts';
import { row } from '../connect.ts';
import { textForms } from '../text-forms.ts';

/**
 * Compares tables as multisets: rows without order, each possibly several times. Two tables are equal if the number of their
 * rows and the sum of the rows' hashes are equal. The sum is exact (`numeric`): with XOR, an even number of copies would
 * cancel out. A row is hashed over all its bytes. `hash_record_extended` of the columns would not do: it adds up their
 * hashes, which hides values swapped between two rows, and it folds 64-bit integers and timestamps to 32 bits.
 */

/**
 * Types whose binary form depends on the value only, and is the same on every server. Others are compared as text:
 * `record_send` also writes the type's OID, which differs between servers for an enum, for example.
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

/**
 * Names of objects are shown by the search path, so it is the same wherever the schemas are. It has them all: reading a table
 * parses the functions of its indexes, and their bodies may name others without a schema.
 */
const searchPath = `SELECT set_config('search_path', concat_ws(', ', 'pg_catalog', string_agg(quote_ident(n.nspname), ', ' ORDER BY n.nspname)), true)
  FROM pg_namespace n WHERE ${ownSchemas}`;

/**
 * Starts a read-only transaction in which the session keeps seeing the database as it is now, and shows values in the same
 * form as every other such session.
 */
export async function openSnapshot(client: pg.Client): Promise<void> {
  const forms = Object.entries(textForms).map(([name, value]) => `SET LOCAL ${name} = '${value}'`);
  // The transaction may be idle for as long as a backup takes. Reading a counter here fixes the server's statistics.
  const settings = [
    ...forms,
    'SET LOCAL idle_in_transaction_session_timeout = 0',
    // Rows hidden by a policy would be missing from the comparison: with this setting it fails instead.
    'SET LOCAL row_security = off',
    'SET LOCAL stats_fetch_consistency = snapshot',
    searchPath,
  ].join('; ');
  await client.query(
    `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ${settings}; SELECT pg_stat_get_tuples_inserted(0)`,
  );
}

/** Names of the columns that both sides have, in the order of the first. */
export const sharedColumns = (columns: Column[], others: Column[]): string[] =>
  columns.map(({ name }) => name).filter((name) => others.some((other) => other.name === name));

/** SQL expression of a row's hash (64 bits) over the columns that both sides have. */
export function rowHash(columns: Column[], others: Column[]): string {
  const parts: string[] = [];
  for (const column of columns) {
    const other = others.find((o) => o.name === column.name);
    if (other === undefined) continue;
    parts.push(compared(column, other));
  }
  return hashOf(parts);
}

/** SQL expression of the hash (64 bits) over all bytes of these values. */
export const hashOf = (values: readonly string[]): string =>
  `hash_record_extended(ROW(record_send(ROW(${values.join(', ')}))), 0)`;

/** A column's value in a form that is the same on both sides, also if the type became a wider one. */
function compared(column: Column, other: Column): string {
  const name = sqlIdentifier(column.name);
  // A larger declared scale adds trailing zeros, which are not part of the value.
  if (column.type !== other.type && column.builtIn === 'numeric' && other.builtIn === 'numeric')
    return `trim_scale(${name})`;
  return column.builtIn === other.builtIn && binary.has(column.builtIn) ? name : `${name}::text`;
}

/** A table on one side: the session that reads it, and the expression that hashes its rows. */
export interface Source {
  client: pg.Client;
  table: Table;
  hash: string;
}

/** `relid`s of the table `$1` and its partitions. For a plain table `pg_partition_tree` has no row. */
export const relationsOf = `(SELECT $1::regclass AS relid UNION SELECT relid FROM pg_partition_tree($1::regclass)) AS relation`;

/** Least statement timeout for one table, ms. A table also gets 1 ms for this many bytes. */
const leastMs = 60_000;
const bytesPerMs = 5_000;
/** How much longer than the server the client waits, ms. */
const graceMs = 5_000;

/**
 * Runs `read` on one table within a snapshot. Releases the table's lock afterwards, so that a schema change waits for one
 * table only. The statement timeout depends on the table's size.
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

/** Options of `client.query`: how long the client waits for the server. */
export interface Limits {
  query_timeout: number;
}

export interface Sum {
  rows: number;
  /** Sum of the rows' hashes. */
  sum: string;
  /** With `versions`: sum of the transactions that wrote the rows; else 0. */
  written: string;
}

/** The sum of a whole table, in one pass. */
export async function sumOf(source: Source): Promise<Sum> {
  return (await sumsOf(source, 1, false)).get(0) ?? nothing;
}

export const nothing: Sum = { rows: 0, sum: '0', written: '0' };

/** Sums per bucket, in one pass. Hashes spread the rows over `buckets`, a power of two. Empty buckets are left out. */
export async function sumsOf(source: Source, buckets: number, versions: boolean): Promise<Map<number, Sum>> {
  const written = versions ? 'sum(x::text::bigint)::text' : `'0'`;
  const sql = `SELECT ${bucketOf(buckets)} AS b, count(*)::float8 AS rows, sum(h)::text AS sum, ${written} AS written
    FROM (${hashesOf(source, versions)}) AS t GROUP BY 1`;
  const found = await reading(source, (limits) => source.client.query({ text: sql, ...limits }));
  return new Map((found.rows as (Sum & { b: number })[]).map(({ b, ...sum }) => [b, sum]));
}

/** SELECT of each row's hash `h` and, with `versions`, of the transaction `x` that wrote it. */
export const hashesOf = ({ table, hash }: Source, versions: boolean): string =>
  `SELECT ${hash} AS h${versions ? ', xmin AS x' : ''} FROM ${fromTable(table)}`;

export const bucketOf = (buckets: number): string => `(h & ${buckets - 1})::int`;

/** Wanted rows per bucket, and the limits of the number of buckets. */
const rowsPerBucket = 500;
const [fewestBuckets, mostBuckets] = [64, 65_536];

/** A suitable number of buckets for `count` rows. A changed row then costs reading one bucket, not the whole table. */
export const bucketsFor = (count: number): number =>
  Math.min(mostBuckets, Math.max(fewestBuckets, 2 ** Math.ceil(Math.log2(Math.max(1, count / rowsPerBucket)))));

/** The server's estimate of the number of rows, from the last ANALYZE and the table's size. */
export async function estimatedRows({ client, table }: Source): Promise<number> {
  const sql = `SELECT coalesce(sum(greatest(c.reltuples, pg_relation_size(c.oid) / 500)), 0)::float8 AS n
    FROM ${relationsOf} JOIN pg_class c ON c.oid = relid AND c.relkind = 'r'`;
  return (await row<{ n: number }>(client, sql, [table.sql])).n;
}
