import type pg from 'pg';
import type { TableComparison } from '../release/events.ts';
import { fromTable, tablesOf, type Table } from './catalog.ts';
import { compareDatabases, rowExpression, type CompareOptions } from './compare.ts';
import { rows } from './connect.ts';
import { sqlIdentifier } from '../../infra/roles.ts';

/**
 * Compares a restored backup with the database that it was made of, exactly, although that one goes on changing:
 * `before` and `after` are snapshots of it from just before and just after the backup. A table that did not change
 * meanwhile must be equal. Of one that did, every row that is the same in both snapshots must be in the backup.
 */
export async function compareRestored(
  before: pg.Client,
  after: pg.Client,
  restored: pg.Client,
  columns: CompareOptions['columns'] = 'left',
): Promise<TableComparison[]> {
  const names = { left: 'the live database', right: 'its copy' };
  const [tables, copies] = await Promise.all([tablesOf(before), tablesOf(restored)]);
  const exact = await compareDatabases(after, restored, { columns, names });
  const result: TableComparison[] = [];
  for (const comparison of exact) {
    const table = tables.find(({ name }) => name === comparison.table);
    const copy = copies.find(({ name }) => name === comparison.table);
    if (comparison.equal || table === undefined || copy === undefined || table.primaryKey.length === 0)
      result.push(comparison);
    else result.push(await compareChanged({ before, after, restored }, table, copy, comparison));
  }
  return result;
}

async function compareChanged(
  { before, after, restored }: Record<'before' | 'after' | 'restored', pg.Client>,
  table: Table,
  copy: Table,
  exact: TableComparison,
): Promise<TableComparison> {
  const [old, now] = await Promise.all([fingerprints(before, table, copy), fingerprints(after, table, copy)]);
  const changed = old.size !== now.size || [...now].some(([key, hash]) => old.get(key) !== hash);
  if (!changed) return exact;
  const stable = [...old].filter(([key, hash]) => now.get(key) === hash);
  const found = await fingerprints(restored, table, copy);
  const missing = stable.filter(([key, hash]) => found.get(key) !== hash);
  const detail =
    missing.length === 0
      ? `written to meanwhile: all ${stable.length} rows that did not change are there`
      : `${missing.length} of ${stable.length} rows that did not change meanwhile are missing or different`;
  // Both counts are of the rows that can be compared: those that changed may be there in either state.
  const counts = { left: stable.length, right: stable.length - missing.length };
  return { table: exact.table, rows: counts, equal: missing.length === 0, detail };
}

/** Primary key -> hash of the row, over the columns that both databases have. */
async function fingerprints(client: pg.Client, table: Table, copy: Table): Promise<Map<string, string>> {
  const key = table.primaryKey.map((column) => `${sqlIdentifier(column)}::text`).join(', ');
  const all = await rows<{ key: string; hash: string }>(
    client,
    `SELECT ROW(${key})::text AS key, hash_record_extended(${rowExpression(table.columns, copy.columns)}, 0)::text AS hash
     FROM ${fromTable(table)}`,
  );
  return new Map(all.map(({ key: k, hash }) => [k, hash]));
}
