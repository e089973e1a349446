import type pg from 'pg';
import type { TableComparison } from '../../journal/events.ts';
import { fromTable, tablesOf, type Table } from '../catalog.ts';
import { rows } from '../connect.ts';
import { differences, type Names } from './differences.ts';
import { compareUnreplicated } from './unreplicated.ts';
import { reading, rowHash, sharedColumns, sumOf, type Source } from './multiset.ts';

export { openSnapshot } from './multiset.ts';

export interface CompareOptions {
  /**
   * `left`: right must have everything that left has, as with a restored backup or an expanded schema. `common`: only what
   * both have is compared, as after going back to an older schema; a table of one side is reported and counts as equal.
   */
  columns: 'left' | 'common';
  /** Names of the sides in messages; default `left` and `right`. */
  names?: Names;
}

/**
 * Compares all rows and large objects of two databases, those of extensions included, by checksum, as of the snapshots that both sessions have opened (`openSnapshot`).
 */
export async function compareDatabases(
  left: pg.Client,
  right: pg.Client,
  options: CompareOptions,
): Promise<TableComparison[]> {
  const names = options.names ?? { left: 'left', right: 'right' };
  const tables = await compareTables(left, right, { ...options, names }, async (table, other) => {
    const [l, r] = [source(left, table, other), source(right, other, table)];
    const [mine, theirs] = await Promise.all([sumOf(l), sumOf(r)]);
    const figures = { rows: { left: mine.rows, right: theirs.rows } };
    if (mine.rows === theirs.rows && mine.sum === theirs.sum) return { ...figures, equal: true };
    return { ...figures, equal: false, detail: await differences(l, r, names) };
  });
  return [...tables, ...(await compareUnreplicated(left, right, names))];
}

/** The result of comparing the rows of one table. */
export type RowsCompared = Pick<TableComparison, 'rows' | 'equal' | 'detail'>;

/**
 * Compares two databases table by table. For a table that both have, `compareRows` compares the rows in the shared columns.
 * `tables` limits the comparison to these names.
 */
export async function compareTables(
  left: pg.Client,
  right: pg.Client,
  { columns, names, tables }: CompareOptions & { names: Names; tables?: ReadonlySet<string> },
  compareRows: (table: Table, other: Table) => Promise<RowsCompared>,
): Promise<TableComparison[]> {
  const wanted = (found: Table[]) => found.filter(({ name }) => tables === undefined || tables.has(name));
  const [mine, theirs] = (await Promise.all([tablesOf(left), tablesOf(right)])).map(wanted) as [Table[], Table[]];
  const result: TableComparison[] = [];
  for (const table of mine) {
    const other = theirs.find(({ sql }) => sql === table.sql);
    if (other === undefined) {
      const figures = { rows: { left: await count(left, table), right: 0 }, equal: columns === 'common' };
      result.push({ table: table.name, ...figures, only: 'left', detail: `only on ${names.left}` });
      continue;
    }
    const found = await compareRows(table, other);
    const missing = table.columns.filter(({ name }) => !other.columns.some((o) => o.name === name));
    const leftColumns = missing.length === 0 ? {} : { leftColumns: missing.map(({ name }) => name) };
    const unlike = unlikeColumns(table, other, columns, names);
    result.push({
      table: table.name,
      ...found,
      ...leftColumns,
      ...(unlike === undefined ? {} : { equal: false, detail: unlike }),
    });
  }
  for (const table of theirs.filter(({ sql }) => !mine.some((m) => m.sql === sql))) {
    const figures = { rows: { left: 0, right: await count(right, table) }, equal: true };
    result.push({ table: table.name, ...figures, only: 'right', detail: `only on ${names.right}` });
  }
  return result;
}

/** Why equal rows would prove nothing: columns are missing, or no column is shared and only the counts can be equal. */
function unlikeColumns(
  table: Table,
  other: Table,
  wanted: CompareOptions['columns'],
  names: Names,
): string | undefined {
  const shared = sharedColumns(table.columns, other.columns);
  const missing = table.columns.filter(({ name }) => !shared.includes(name)).map(({ name }) => name);
  if (wanted === 'left' && missing.length > 0) return `${names.right} lacks the columns ${missing.join(', ')}`;
  if (shared.length === 0 && table.columns.length > 0) return 'no column is on both sides';
  return undefined;
}

/** A table of one side, with its rows hashed in the same way as those of the other side. */
export const source = (client: pg.Client, table: Table, other: Table): Source => ({
  client,
  table,
  hash: rowHash(table.columns, other.columns),
});

async function count(client: pg.Client, table: Table): Promise<number> {
  const sql = `SELECT count(*) AS n FROM ${fromTable(table)}`;
  const read = () => rows<{ n: string }>(client, sql);
  const [found] = await reading({ client, table, hash: '' }, read);
  return Number(found?.n ?? 0);
}
