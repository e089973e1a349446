import type pg from 'pg';
import { sqlIdentifier, sqlLiteral } from '../../../infra/application/roles.ts';
import { row, rows } from '../connect.ts';
import type { Assignment } from './rewrite.ts';
import type { Harmless } from './rules.ts';
import { maskExpression, type Target } from './targets.ts';

/** What the masked columns have been copied to: columns that get new values with them, and what cannot be masked. */
export interface Derived {
  /** By name of the table. */
  assignments: Map<string, Assignment[]>;
  problems: string[];
}

/**
 * Search columns of masked tables. One that PostgreSQL's own trigger fills is computed anew; how another trigger fills one nobody
 * can tell, so that it needs a rule. Generated columns follow by themselves. Large objects cannot be masked.
 */
export async function findDerived(
  client: pg.Client,
  targets: readonly Target[],
  harmless: readonly Harmless[],
): Promise<Derived> {
  const derived: Derived = { assignments: new Map(), problems: [] };
  const tables = new Map(targets.map((t) => [t.table.sql, t.table]));
  const columns = await rows<{ table: string; column: string; byColumn: boolean | null; arguments: string[] | null }>(
    client,
    `SELECT m.name AS "table", a.attname AS "column", t.tgfoid = 'tsvector_update_trigger_column'::regproc AS "byColumn", t.arguments
     FROM unnest($1::text[]) AS m (name) JOIN pg_attribute a ON a.attrelid = m.name::regclass
     LEFT JOIN LATERAL (
       SELECT tgfoid, (SELECT json_agg(convert_from(decode(part, 'hex'), 'UTF8') ORDER BY at) FROM regexp_split_to_table(
           regexp_replace(encode(tgargs, 'hex'), '(..)', '\\1 ', 'g'), '00 ') WITH ORDINALITY AS s (spaced, at)
         CROSS JOIN LATERAL replace(spaced, ' ', '') AS part WHERE at <= tgnargs) AS arguments
       FROM pg_trigger WHERE tgrelid = a.attrelid AND tgfoid IN ('tsvector_update_trigger'::regproc, 'tsvector_update_trigger_column'::regproc)) t
       ON t.arguments ->> 0 = a.attname
     WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.atttypid = 'tsvector'::regtype`,
    [[...tables.keys()]],
  );
  for (const { table: sql, column, byColumn, arguments: parts } of columns) {
    const table = tables.get(sql);
    if (table === undefined || targets.some((t) => t.table === table && t.column === column)) continue;
    const name = `${table.name}.${column}`;
    if (harmless.some((h) => h.column === column && (h.table === table.name || table.name.endsWith(`.${h.table}`))))
      continue;
    const [, config, ...sources] = parts ?? [];
    if (config === undefined) {
      derived.problems.push(
        `${name}: it holds words of masked columns; give it a rule: text empties it, null removes it`,
      );
      continue;
    }
    const texts = sources.map((source) => {
      const target = targets.find((t) => t.table === table && t.column === source);
      return `coalesce(${target === undefined ? sqlIdentifier(source) : maskExpression(target, targets)}::text, '')`;
    });
    const by = byColumn === true ? sqlIdentifier(config) : `${sqlLiteral(config)}::regconfig`;
    const value = `to_tsvector(${by}, ${texts.join(` || ' ' || `)})`;
    const assignments = derived.assignments.get(table.name) ?? [];
    derived.assignments.set(table.name, [...assignments, { column, value, type: 'tsvector', collation: '' }]);
  }
  const { objects } = await row<{ objects: number }>(
    client,
    'SELECT count(*)::int AS objects FROM pg_largeobject_metadata',
  );
  if (objects > 0 && !harmless.some((h) => h.table === 'pg_largeobject'))
    derived.problems.push(
      `${objects} large objects: they cannot be masked; if they hold nothing personal, say so in data.harmless as table pg_largeobject, column data`,
    );
  return derived;
}
