import type pg from 'pg';
import type { TableComparison } from '../release/events.ts';
import { sqlIdentifier } from '../../infra/roles.ts';
import { fromTable, tablesOf, type Column, type Table } from './catalog.ts';
import { rows } from './connect.ts';
import { describeKey } from './keys.ts';

export interface CompareOptions {
  /**
   * `left`: everything that left has must be on right (a restored backup; an expanded schema). `common`: only what both
   * have is compared; a table of one side alone is reported and counts as equal (going back to an older schema).
   */
  columns: 'left' | 'common';
  /** How the sides are called in messages; default `left` and `right`. */
  names?: { left: string; right: string };
}

/**
 * Types whose hash is equal for the same value alone, and the same on every server. Others are compared as text: an
 * enum's hash depends on the server, `1.0` and `1.00` have one hash, and json has none.
 */
const hashed = new Set([
  'int2',
  'int4',
  'int8',
  'bool',
  'text',
  'varchar',
  'uuid',
  'date',
  'timestamp',
  'timestamptz',
  'bytea',
  'oid',
]);
const collatable = new Set(['text', 'varchar']);
/** XOR cancels equal pairs and one seed can be unlucky: count, and two seeds, settle it. */
const seeds = [0, 7_919] as const;
/** For the detail: rows are spread over so many buckets, and so many unequal buckets are looked into. */
const buckets = 1024;
const openedBuckets = 16;
const shownKeys = 3;

/**
 * Compares all rows of two databases by checksum, as the sessions see them: for an exact answer on databases that
 * change, open a repeatable-read transaction on each before. Both sessions must be in the same time zone.
 */
export async function compareDatabases(
  left: pg.Client,
  right: pg.Client,
  options: CompareOptions,
): Promise<TableComparison[]> {
  const names = options.names ?? { left: 'left', right: 'right' };
  const [mine, theirs] = await Promise.all([tablesOf(left), tablesOf(right)]);
  const result: TableComparison[] = [];
  for (const table of mine) {
    const other = theirs.find((t) => t.name === table.name);
    if (other === undefined) {
      const rowsThere = await count(left, table);
      result.push({
        table: table.name,
        rows: { left: rowsThere, right: 0 },
        equal: options.columns === 'common',
        only: 'left',
        detail: `only on ${names.left}`,
      });
    } else {
      result.push(await compareTable(left, right, table, other, options.columns, names));
    }
  }
  for (const table of theirs.filter((t) => !mine.some((m) => m.name === t.name))) {
    result.push({
      table: table.name,
      rows: { left: 0, right: await count(right, table) },
      equal: true,
      only: 'right',
      detail: `only on ${names.right}`,
    });
  }
  return result;
}

/** Starts a read-only transaction in which the session sees the database as it is now, for as long as it is open. */
export async function openSnapshot(client: pg.Client): Promise<void> {
  await client.query(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1`);
}

async function compareTable(
  left: pg.Client,
  right: pg.Client,
  table: Table,
  other: Table,
  wanted: CompareOptions['columns'],
  names: { left: string; right: string },
): Promise<TableComparison> {
  const missing = table.columns.filter((c) => !other.columns.some((o) => o.name === c.name)).map((c) => c.name);
  const expression = rowExpression(table.columns, other.columns);
  const [l, r] = await Promise.all([checksum(left, table, expression), checksum(right, other, expression)]);
  const figures = {
    table: table.name,
    rows: { left: l.count, right: r.count },
    ...(missing.length === 0 ? {} : { leftColumns: missing }),
  };
  if (wanted === 'left' && missing.length > 0) {
    return { ...figures, equal: false, detail: `${names.right} lacks the columns ${missing.join(', ')}` };
  }
  if (l.count === r.count && l.sums.every((sum, i) => sum === r.sums[i])) return { ...figures, equal: true };
  return { ...figures, equal: false, detail: await differences(left, right, table, other, expression, names) };
}

/** A row as something that hashes, from the columns that both sides have, in one order. */
export function rowExpression(columns: Column[], others: Column[]): string {
  const parts: string[] = [];
  for (const column of columns) {
    const other = others.find((o) => o.name === column.name);
    if (other === undefined) continue;
    const name = sqlIdentifier(column.name);
    if (column.builtIn !== other.builtIn || !hashed.has(column.builtIn)) parts.push(`${name}::text COLLATE "C"`);
    else parts.push(collatable.has(column.builtIn) ? `${name} COLLATE "C"` : name);
  }
  return `ROW(${parts.join(', ')})`;
}

async function checksum(
  client: pg.Client,
  table: Table,
  expression: string,
): Promise<{ count: number; sums: string[] }> {
  const sums = seeds.map((seed, i) => `bit_xor(hash_record_extended(r, ${seed}))::text AS s${i}`).join(', ');
  const [found] = await rows<{ n: string; s0: string; s1: string }>(
    client,
    `SELECT count(*) AS n, ${sums} FROM (SELECT ${expression} AS r FROM ${fromTable(table)} OFFSET 0) AS t`,
  );
  return { count: Number(found?.n ?? 0), sums: [found?.s0 ?? '', found?.s1 ?? ''] };
}

async function count(client: pg.Client, table: Table): Promise<number> {
  const [found] = await rows<{ n: string }>(client, `SELECT count(*) AS n FROM ${fromTable(table)}`);
  return Number(found?.n ?? 0);
}

/** Says how many rows differ and names some, without reading both tables here: only unequal buckets are opened. */
async function differences(
  left: pg.Client,
  right: pg.Client,
  table: Table,
  other: Table,
  expression: string,
  names: { left: string; right: string },
): Promise<string> {
  const same = table.primaryKey.length > 0 && table.primaryKey.join() === other.primaryKey.join();
  if (!same) return 'the contents differ (rows cannot be named: the primary keys are not the same)';
  const key = table.primaryKey.map((name) => `${sqlIdentifier(name)}::text`).join(', ');
  const bucket = `(hashtextextended(ARRAY[${key}]::text, 0) & ${buckets - 1})::int`;
  const perBucket = `SELECT ${bucket} AS b, count(*) || ':' || bit_xor(hash_record_extended(${expression}, 0)) AS sum FROM `;
  const sums = async (client: pg.Client, t: Table) =>
    new Map(
      (await rows<{ b: number; sum: string }>(client, `${perBucket}${fromTable(t)} GROUP BY 1`)).map((x) => [
        x.b,
        x.sum,
      ]),
    );
  const [l, r] = await Promise.all([sums(left, table), sums(right, other)]);
  const unequal = [...new Set([...l.keys(), ...r.keys()])].filter((b) => l.get(b) !== r.get(b));
  const opened = unequal.slice(0, openedBuckets);
  const inBuckets = async (client: pg.Client, t: Table) => {
    const sql = `SELECT ARRAY[${key}] AS k, hash_record_extended(${expression}, 0)::text AS h FROM ${fromTable(t)} WHERE ${bucket} = ANY ($1::int[])`;
    return new Map(
      (await rows<{ k: string[]; h: string }>(client, sql, [opened])).map((x) => [JSON.stringify(x.k), x.h]),
    );
  };
  const [lrows, rrows] = await Promise.all([inBuckets(left, table), inBuckets(right, other)]);
  const onlyLeft = [...lrows.keys()].filter((k) => !rrows.has(k));
  const onlyRight = [...rrows.keys()].filter((k) => !lrows.has(k));
  const changed = [...lrows].filter(([k, h]) => rrows.has(k) && rrows.get(k) !== h).map(([k]) => k);
  const examples = (keys: string[]) =>
    keys.slice(0, shownKeys).map((k) => describeKey(table, JSON.parse(k) as (string | null)[])).join('; '); // prettier-ignore
  const atLeast = unequal.length > opened.length ? 'at least ' : '';
  const parts = [
    { keys: onlyLeft, text: `only on ${names.left}` },
    { keys: onlyRight, text: `only on ${names.right}` },
    { keys: changed, text: 'with different content' },
  ];
  return parts
    .filter((p) => p.keys.length > 0)
    .map((p) => `${atLeast}${p.keys.length} ${p.keys.length === 1 ? 'row' : 'rows'} ${p.text} (${examples(p.keys)})`)
    .join(', ');
}
