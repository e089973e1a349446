import { sqlIdentifier, sqlLiteral } from '../../../infra/application/roles.ts';
import type { KeptSet } from './tables.ts';

/** A column of the table that kept rows go back to, as it is now. */
export interface TargetColumn {
  name: string;
  /** Without length or precision: assigning such a value to the column fails where it is too long, a cast would cut it off. */
  base: string;
  /** With length and precision. */
  type: string;
  /** PostgreSQL fills it itself (GENERATED ALWAYS AS IDENTITY): no UPDATE may set it. */
  always: boolean;
  generated: boolean;
}

type Set = Pick<KeptSet, 'kind' | 'sql' | 'columns' | 'types' | 'key'>;

/**
 * The statement that puts chosen rows of a set back and deletes them from what is kept; its row count is their number. `which` is a
 * condition on `greenlight.kept_rows r`. `primaryKey`: of the table now. Pure.
 */
export function putStatement(set: Set, columns: readonly TargetColumn[], primaryKey: string[], which: string): string {
  const value = (index: number): string => `data[${index + 1}]::${columnOf(set, columns, index).base}`;
  const fits = set.columns.flatMap((_, index) => fit(set, columns, index)).map((condition) => ` AND ${condition}`);
  const there = set.kind === 'unfit' ? ` AND ${unchanged(set, columns)}` : '';
  const chosen = `chosen AS MATERIALIZED (SELECT r.id, r.data FROM greenlight.kept_rows r WHERE ${which}${fits.join('')}${there})`;
  const put = set.kind === 'columns' ? update(set, primaryKey, value) : insert(set, columns, primaryKey, value);
  const done = set.kind === 'columns' ? 'put' : 'chosen';
  return `WITH ${chosen}, put AS (${put}) DELETE FROM greenlight.kept_rows WHERE id IN (SELECT id FROM ${done})`;
}

const columnOf = ({ columns: names }: Set, columns: readonly TargetColumn[], index: number): TargetColumn => {
  const found = columns.find(({ name }) => name === names[index]);
  if (found === undefined) throw new Error(`no column ${names[index]}`);
  return found;
};

/** Where the column has another type now: nothing of the value may be cut off or rounded away. */
function fit(set: Set, columns: readonly TargetColumn[], index: number): string[] {
  const { base, type } = columnOf(set, columns, index);
  if (type === set.types[index]) return [];
  const exact = (cast: string): string =>
    base === 'numeric' ? `trim_scale(r.data[${index + 1}]::${cast})` : `(r.data[${index + 1}]::${cast})::text`;
  return [`${exact(base)} IS NOT DISTINCT FROM ${exact(type)}`];
}

/** Whether the live side has what it had when the row was kept aside: nothing of that key, or the same row. */
function unchanged(set: Set, columns: readonly TargetColumn[]): string {
  const key = set.key.map(
    (name, at) => `o.${sqlIdentifier(name)} = r.data[${at + 1}]::${columnOf(set, columns, at).base}`,
  );
  const same = set.columns.map((name, at) => {
    const was = `((r.was ->> ${sqlLiteral(name)})::${columnOf(set, columns, at).type})::text`;
    return `(NOT r.was ? ${sqlLiteral(name)} OR o.${sqlIdentifier(name)}::text IS NOT DISTINCT FROM ${was})`;
  });
  const found = (conditions: string[]): string => `EXISTS (SELECT FROM ${set.sql} o WHERE ${conditions.join(' AND ')})`;
  return `CASE WHEN r.was IS NULL THEN NOT ${found(key)} ELSE ${found([...key, ...same])} END`;
}

function insert(
  { sql, columns: names }: Set,
  columns: readonly TargetColumn[],
  primaryKey: string[],
  value: (index: number) => string,
): string {
  const set = names
    .filter((name) => !primaryKey.includes(name) && columns.find((c) => c.name === name)?.always !== true)
    .map((name) => `${sqlIdentifier(name)} = excluded.${sqlIdentifier(name)}`);
  const key = primaryKey.map(sqlIdentifier).join(', ');
  const conflict =
    primaryKey.length === 0
      ? ''
      : `ON CONFLICT (${key}) DO ${set.length === 0 ? 'NOTHING' : `UPDATE SET ${set.join(', ')}`}`;
  return `INSERT INTO ${sql} (${names.map(sqlIdentifier).join(', ')}) OVERRIDING SYSTEM VALUE
    SELECT ${names.map((_, index) => value(index)).join(', ')} FROM chosen ORDER BY id ${conflict}`;
}

function update({ sql, columns: names, key }: Set, primaryKey: string[], value: (index: number) => string): string {
  const set = names.flatMap((name, index) => (key.includes(name) ? [] : [`${sqlIdentifier(name)} = ${value(index)}`]));
  const identified = primaryKey.length > 0 && primaryKey.every((name) => key.includes(name));
  const same = (of: string): string =>
    key
      .map((name, index) =>
        identified
          ? `${of}.${sqlIdentifier(name)} = ${value(index)}`
          : `${of}.${sqlIdentifier(name)}::text IS NOT DISTINCT FROM data[${index + 1}]`,
      )
      .join(' AND ');
  // Of equal rows nobody knows which one the values belong to.
  const alone = identified ? '' : ` AND (SELECT count(*) FROM ${sql} o WHERE ${same('o')}) = 1`;
  return `UPDATE ${sql} t SET ${set.join(', ')} FROM chosen WHERE ${same('t')}${alone} RETURNING chosen.id`;
}
