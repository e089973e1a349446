import type pg from 'pg';
import { fromTable, tablesOf, type Column, type Table } from '../catalog.ts';
import { inParallel } from '../comparison/in-parallel.ts';
import { longer, reading, relationsOf, type Limits } from '../comparison/reading.ts';
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

/** An earlier look. */
export interface Since {
  xid: string;
  contents: ReadonlyMap<string, TableContent>;
}

/** Values that are hashed in a millisecond at least, a tenth of what was measured: of empty ones no byte tells how long it takes. */
const valuesPerMs = 400;

/** By the names of the tables for SQL. Reads every row once, of as many tables at a time as the snapshot has sessions. */
export async function readContents(snapshot: Snapshot, since: Since | undefined): Promise<Map<string, TableContent>> {
  const tables = await snapshot.run((client) => tablesOf(client));
  const found = await inParallel(tables, snapshot.size, (table) => contentOf(snapshot, table, since));
  return new Map(tables.map((table, index) => [table.sql, found[index] as TableContent]));
}

function contentOf(snapshot: Snapshot, table: Table, since: Since | undefined): Promise<TableContent> {
  const before = since?.contents.get(table.sql);
  const isThere = (name: string): boolean => table.columns.some((column) => column.name === name);
  // As before, so that both have hashed the same.
  const key = before?.key.every(isThere) === true ? before.key : table.primaryKey;
  return reading({ snapshot, table, hash: '' }, async (client, limits) => {
    const figures = await figuresOf(client, table, since?.xid, limits);
    const isUntouched =
      figures.written === 0 &&
      figures.rows === before?.rows &&
      JSON.stringify(figures.files) === JSON.stringify(before.files);
    // No row went, and none was written: so none is another one, and only the columns may be others.
    const known = isUntouched && key === before.key ? before.columns : [];
    const columns = table.columns.map(({ name, type }): ColumnContent => {
      const same = known.find((column) => column.name === name && column.type === type);
      return same ?? { name, type, sum: '' };
    });
    if (isUntouched) return { ...figures, key, columns };
    const sums = table.columns.map((column, index) => `sum(${hashOf(table, key, column)})::text AS s${index}`);
    const { rows } = await client.query<Record<string, string | null>>({
      text: `SELECT ${sums.length === 0 ? '1' : sums.join(', ')} FROM ${fromTable(table)}`,
      ...(await longer(client, limits, (figures.rows * sums.length) / valuesPerMs)),
    });
    return {
      ...figures,
      key,
      columns: columns.map((column, index) => ({ ...column, sum: rows[0]?.[`s${index}`] ?? '' })),
    };
  });
}

/** What tells whether anything was written since the transaction `xid`, for the price of counting. */
async function figuresOf(
  client: pg.Client,
  table: Table,
  xid: string | undefined,
  limits: Limits,
): Promise<Pick<TableContent, 'rows' | 'written' | 'files'>> {
  const written = xid === undefined ? '0' : `count(*) FILTER (WHERE age(xmin) BETWEEN 0 AND age('${xid}'::xid))`;
  const { rows } = await client.query<Pick<TableContent, 'rows' | 'written'>>({
    text: `SELECT count(*)::float8 AS rows, (${written})::float8 AS written FROM ${fromTable(table)}`,
    ...limits,
  });
  const files = `SELECT coalesce(json_object_agg(relid::oid, pg_relation_filenode(relid) ORDER BY relid::oid), '{}') AS files FROM ${relationsOf}`;
  const [count = { rows: 0, written: 0 }] = rows;
  return { ...count, ...(await row<Pick<TableContent, 'files'>>(client, files, [table.sql])) };
}

function hashOf(table: Table, key: string[], column: Column): string {
  const hashed = table.columns.filter(({ name }) => name === column.name || key.includes(name));
  return rowHash(
    hashed,
    hashed.map((one) => (one.name === column.name ? one : { ...one, builtIn: '' })),
  );
}
