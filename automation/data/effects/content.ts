import type pg from 'pg';
import { fromTable, tablesOf, type Column, type Table } from '../catalog.ts';
import { inParallel } from '../comparison/in-parallel.ts';
import { reading, relationsOf } from '../comparison/reading.ts';
import { rowHash } from '../comparison/row-hash.ts';
import type { Snapshot } from '../comparison/snapshot.ts';
import { row } from '../connect.ts';

/** The rows of a table at one moment, as far as a change of them can be told from it. */
export interface TableContent {
  rows: number;
  /** Of them those that were written since the look before. All of them, where the table was written anew. */
  written: number;
  /** The file of each relation in which the rows lie, by OID: another one where it was written anew, or emptied. */
  files: Record<string, string>;
  /** Columns that tell a row from every other; empty where the table has no key. */
  key: string[];
  columns: ColumnContent[];
}

export interface ColumnContent {
  name: string;
  type: string;
  /**
   * Sum over all rows of the hash of key and value. A value that moves to another row changes it. What of the key is hashed is its
   * text, which a wider type does not change.
   */
  sum: string;
}

/** Whether rows were written anew that were not changed: by ALTER TABLE, CLUSTER or VACUUM FULL. */
export const isAnew = (then: TableContent, now: TableContent): boolean =>
  Object.entries(then.files).some(([relation, file]) => (now.files[relation] ?? file) !== file);

/** `keyOf`: the key of an earlier look, so that both hash the same. */
export interface Since {
  xid: string;
  keyOf: (table: string) => string[] | undefined;
}

/** By the names of the tables for SQL. Reads every row once, of as many tables at a time as the snapshot has sessions. */
export async function readContents(snapshot: Snapshot, since: Since | undefined): Promise<Map<string, TableContent>> {
  const tables = await snapshot.run((client) => tablesOf(client));
  const found = await inParallel(tables, snapshot.size, (table) => contentOf(snapshot, table, since));
  return new Map(tables.map((table, index) => [table.sql, found[index] as TableContent]));
}

function contentOf(snapshot: Snapshot, table: Table, since: Since | undefined): Promise<TableContent> {
  const before = since?.keyOf(table.sql);
  const isThere = (name: string): boolean => table.columns.some((column) => column.name === name);
  const key = before?.every(isThere) === true ? before : table.primaryKey;
  const sums = table.columns.map((column, index) => `sum(${hashOf(table, key, column)})::text AS s${index}`);
  const written = `count(*) FILTER (WHERE age(xmin) BETWEEN 0 AND age($1::xid))::float8 AS written`;
  const sql = `SELECT ${['count(*)::float8 AS rows', written, ...sums].join(', ')} FROM ${fromTable(table)}`;
  return reading({ snapshot, table, hash: '' }, async (client: pg.Client, limits) => {
    const { rows } = await client.query<Record<string, string | number | null>>({
      text: sql,
      values: [since?.xid ?? '0'],
      ...limits,
    });
    const [sum = {}] = rows;
    const files = `SELECT coalesce(json_object_agg(relid::oid, pg_relation_filenode(relid)), '{}') AS files FROM ${relationsOf}`;
    return {
      rows: Number(sum['rows']),
      written: since === undefined ? 0 : Number(sum['written']),
      files: (await row<Pick<TableContent, 'files'>>(client, files, [table.sql])).files,
      key,
      columns: table.columns.map(({ name, type }, index) => ({ name, type, sum: String(sum[`s${index}`] ?? '') })),
    };
  });
}

function hashOf(table: Table, key: string[], column: Column): string {
  const hashed = table.columns.filter(({ name }) => name === column.name || key.includes(name));
  return rowHash(
    hashed,
    hashed.map((one) => (one.name === column.name ? one : { ...one, builtIn: '' })),
  );
}
