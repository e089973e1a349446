import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { fromTable, tablesOf, type Table } from '../catalog.ts';
import { row, rows, withClient } from '../connect.ts';
import { originalOf } from './residue.ts';
import { dense, type MaskRule } from './rules.ts';
import { describe, findTable } from './targets.ts';

/** Values per column that are checked: enough to find a forgotten column, few enough for any table. */
const sample = 1_000;

export interface UnmaskedColumn {
  column: string;
  /** How many of the checked values are also in the original. */
  rows: number;
  checked: number;
}

/**
 * Checks whether `copy` contains personal data of `original`: looks up random values of the copy in the original. The mask of
 * one number can be another's original; so numbers and dates count only if most of them are there.
 */
export async function findUnmasked(
  copy: DatabaseAccess,
  original: DatabaseAccess,
  rules: readonly MaskRule[],
): Promise<UnmaskedColumn[]> {
  return await withClient(copy, 'admin', async (copied) =>
    withClient(original, 'admin', async (source) => {
      const found: UnmaskedColumn[] = [];
      const [here, there] = [await tablesOf(copied), await tablesOf(source)];
      const facts = await describe(copied, rules);
      for (const rule of rules) {
        const { table: name, column } = rule;
        const [table, origin] = [findTable(here, name), findTable(there, name)];
        if (typeof table === 'string' || typeof origin === 'string' || rule.with === 'null') continue;
        const fact = facts.get(`${table.name}.${column}`);
        // A version may lack the column of another one.
        if (fact === undefined || !origin.columns.some((c) => c.name === column)) continue;
        const value = originalOf(fact, rule);
        if (value === undefined) continue;
        const valuesOf = (of: Table): string => `(SELECT ${value} AS value FROM ${fromTable(of)}) t`;
        const values = await rows<{ value: string }>(
          copied,
          `SELECT value FROM ${valuesOf(table)} WHERE value IS NOT NULL AND value <> '' ORDER BY random() LIMIT ${sample}`,
        );
        const distinct = [...new Set(values.map(({ value: text }) => text))];
        const { count } = await row<{ count: number }>(
          source,
          `SELECT count(DISTINCT value)::int AS count FROM ${valuesOf(origin)} WHERE value = ANY ($1)`,
          [distinct],
        );
        const byChance = dense.has(rule.with) && count <= distinct.length / 2;
        found.push({ column: `${name}.${column}`, rows: byChance ? 0 : count, checked: distinct.length });
      }
      // Columns without values are left out, as they reveal nothing. If all are empty they are returned: such a copy proves nothing.
      const filled = found.filter(({ checked }) => checked > 0);
      return filled.length > 0 ? filled : found;
    }),
  );
}
