import type { DatabaseAccess } from '../../infra/platform.ts';
import { sqlIdentifier } from '../../infra/roles.ts';
import { row, rows, withClient } from './connect.ts';
import type { MaskRule } from './mask.ts';

/** Values per column that are looked at: enough to find a column that was forgotten, few enough for any table. */
const sample = 1_000;

export interface UnmaskedColumn {
  column: string;
  /** How many of the values that were looked at are values of the original. */
  rows: number;
  checked: number;
}

/** Looks whether personal data of `original` is in `copy`: takes values of the copy at random and seeks them in the original. */
export async function findUnmasked(
  copy: DatabaseAccess,
  original: DatabaseAccess,
  rules: readonly MaskRule[],
): Promise<UnmaskedColumn[]> {
  return await withClient(copy, 'admin', async (copied) =>
    withClient(original, 'admin', async (source) => {
      const found: UnmaskedColumn[] = [];
      for (const { table, column, ...rule } of rules) {
        if (rule.with === 'null') continue;
        const [name, from] = [sqlIdentifier(column), sqlIdentifier(table)];
        const values = await rows<{ value: string }>(
          copied,
          `SELECT ${name}::text AS value FROM ${from} WHERE ${name} IS NOT NULL AND ${name}::text <> '' ORDER BY random() LIMIT ${sample}`,
        );
        const distinct = [...new Set(values.map(({ value }) => value))];
        const { count } = await row<{ count: number }>(
          source,
          `SELECT count(DISTINCT ${name}::text)::int AS count FROM ${from} WHERE ${name}::text = ANY ($1)`,
          [distinct],
        );
        found.push({ column: `${table}.${column}`, rows: count, checked: distinct.length });
      }
      // A column without a value gives nothing away; a copy without any value proves nothing.
      const filled = found.filter(({ checked }) => checked > 0);
      return filled.length > 0 ? filled : found;
    }),
  );
}
