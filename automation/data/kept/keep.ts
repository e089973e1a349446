import type pg from 'pg';
import { sqlIdentifier, sqlLiteral } from '../../../infra/application/roles.ts';
import { fromTable, relationExists, tablesOf, type Table } from '../catalog.ts';
import { close, connect, row, rows } from '../connect.ts';
import type { Side } from '../link.ts';
import { sequencesOf } from '../replication/sequences.ts';
import { useTextForms } from '../text-forms.ts';
import { markKept, readMark, writtenSince, type Mark } from '../written-by.ts';
import { createKeptTables, keptSets, type KeptSet, type Kind } from './tables.ts';

/** A set that is to be kept: its rows are those of `select` on the colour that was left. */
interface Plan extends Pick<KeptSet, 'kind' | 'relation' | 'sql' | 'columns' | 'types' | 'key'> {
  select: string;
}

/** Statement timeout, ms: a new version may have written for days. */
const statementMs = 3_600_000;
/** Bytes of text that a page is to have, and its most rows. The first page has one row, as a row can have 50 MB. */
const pageBytes = 4_000_000;
const pageRows = 5_000;

/**
 * Keeps aside, on the colour that is live again, what only the version that was left knows. Nobody writes to that colour any more. It is
 * done once: where it was done already, or the version was never live, this changes nothing. Resolves to the sets of this release.
 */
export async function keepAside(left: Side, live: Side): Promise<KeptSet[]> {
  const sessions: pg.Client[] = [];
  const open = async (side: Side): Promise<pg.Client> => {
    const client = await connect(side.access, 'admin', { statementMs });
    sessions.push(client);
    return client;
  };
  try {
    const [source, target] = [await open(left), await open(live)];
    const mark = await readMark(source);
    if (mark === undefined || !mark.live) return [];
    if (!mark.kept) {
      await target.query('BEGIN');
      await createKeptTables(target);
      await dropBroughtBack(source, target);
      await target.query('DELETE FROM greenlight.kept_sets WHERE release = $1', [mark.release]);
      await source.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL row_security = off');
      await useTextForms(source);
      await useTextForms(target);
      for (const plan of await planOf(source, target)) {
        const set = await copy(plan, mark, source, target);
        if (set !== undefined && plan.kind === 'unfit') await noteWhatIsThere(set, plan, target);
      }
      await target.query('DROP TABLE IF EXISTS greenlight.unfit; SET LOCAL synchronous_commit = on; COMMIT');
      await source.query('COMMIT');
      await markKept(source);
    }
    return (await keptSets(target)).filter(({ release }) => release === mark.release);
  } finally {
    await Promise.all(sessions.map(close));
  }
}

/** A set that would be kept aside. */
export type Foreseen = Pick<KeptSet, 'kind' | 'relation' | 'columns' | 'key' | 'rows'>;

/** What would be kept aside now, with row counts. Changes nothing. */
export async function wouldKeep(left: Side, live: Side): Promise<Foreseen[]> {
  const source = await connect(left.access, 'admin');
  const target = await connect(live.access, 'admin').catch(async (error: unknown) => {
    await close(source);
    throw error;
  });
  try {
    if ((await readMark(source)) === undefined) return [];
    await source.query('BEGIN READ ONLY; SET LOCAL row_security = off');
    const found: Foreseen[] = [];
    for (const { kind, relation, columns, key, select } of await planOf(source, target)) {
      const { n } = await row<{ n: number }>(source, `SELECT count(*)::int AS n FROM (${select}) AS t`);
      found.push({ kind, relation, columns, key, rows: n });
    }
    return found.filter(({ rows: n, kind }) => n > 0 && kind !== 'sequence');
  } finally {
    await Promise.all([source, target].map(close));
  }
}

/**
 * Rows that an earlier try had left, and that this one got back, are in its tables again, and kept anew with what became of them. What did
 * not fit then stays.
 */
async function dropBroughtBack(source: pg.Client, target: pg.Client): Promise<void> {
  if (!(await relationExists(source, 'greenlight.kept_rows'))) return;
  const left = await rows<{ id: string }>(source, 'SELECT id::text FROM greenlight.kept_rows');
  await target.query('DELETE FROM greenlight.kept_rows WHERE id <> ALL ($1::bigint[])', [left.map(({ id }) => id)]);
  await target.query(
    'DELETE FROM greenlight.kept_sets s WHERE NOT EXISTS (SELECT FROM greenlight.kept_rows r WHERE r.set = s.id)',
  );
}

async function planOf(source: pg.Client, target: pg.Client): Promise<Plan[]> {
  const [mine, theirs] = [await tablesOf(source), await tablesOf(target)];
  const plans: Plan[] = [];
  for (const table of mine) {
    const other = theirs.find(({ name }) => name === table.name);
    if (other === undefined) plans.push(reading('table', table, [], stored(table), writtenSince));
    else plans.push(...(await newColumns(source, table, other)));
  }
  const unfit = (await relationExists(target, 'greenlight.unfit'))
    ? await rows<{ relation: string; keys: unknown }>(
        target,
        'SELECT relation, jsonb_agg(key) AS keys FROM greenlight.unfit GROUP BY 1 ORDER BY 1',
      )
    : [];
  for (const { relation, keys } of unfit) {
    const table = mine.find(({ name }) => name === relation);
    if (table === undefined) continue;
    const [first = {}] = keys as Record<string, unknown>[];
    const names = Object.keys(first);
    const same = names.map((name) => `u ->> ${sqlLiteral(name)} IS NOT DISTINCT FROM ${sqlIdentifier(name)}::text`);
    const where = `EXISTS (SELECT FROM jsonb_array_elements(${sqlLiteral(JSON.stringify(keys))}::jsonb) u WHERE ${same.join(' AND ')})`;
    const others = stored(table).filter((name) => !names.includes(name));
    plans.push(reading('unfit', table, names, others, where));
  }
  const known = await sequencesOf(target);
  for (const { sql, name, column } of await sequencesOf(source)) {
    if (known.some((other) => other.name === name || (column !== null && other.column === column))) continue;
    const state = { columns: ['last_value', 'is_called'], types: ['bigint', 'boolean'], key: [] };
    const read = `SELECT last_value::text, is_called::text FROM ${sql}`;
    plans.push({ kind: 'sequence', relation: name, sql, ...state, select: read });
  }
  return plans;
}

const stored = (table: Table): string[] => table.columns.filter(({ generated }) => !generated).map(({ name }) => name);

function reading(kind: Kind, table: Table, key: string[], others: string[], where: string): Plan {
  const columns = [...key, ...others];
  const list = columns.map((name) => `${sqlIdentifier(name)}::text`).join(', ');
  const types = columns.map((name) => table.columns.find((c) => c.name === name)?.type ?? '');
  const read = `SELECT ${list} FROM ${fromTable(table)} WHERE ${where}`;
  return { kind, relation: table.name, sql: table.sql, columns, types, key, select: read };
}

/** A default that may be another one for every row. With any other, a row that has nothing else tells nothing. */
const changing = /[\w"]\s*\(|current_|localtime|session_user/i;

async function newColumns(source: pg.Client, table: Table, other: Table): Promise<Plan[]> {
  const names = stored(table).filter((name) => !other.columns.some((column) => column.name === name));
  if (names.length === 0) return [];
  const defaults = await rows<{ name: string; value: string | null }>(
    source,
    `SELECT a.attname AS name, pg_get_expr(d.adbin, d.adrelid) AS value FROM pg_attribute a
     LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = $1::regclass AND a.attname = ANY ($2)`,
    [table.sql, names],
  );
  const says = names.map((name) => {
    const value = defaults.find((d) => d.name === name)?.value ?? 'NULL';
    return changing.test(value) ? 'true' : `${sqlIdentifier(name)}::text IS DISTINCT FROM (${value})::text`;
  });
  const shared = other.columns.map(({ name }) => name).filter((name) => stored(table).includes(name));
  const key =
    table.primaryKey.length > 0 && table.primaryKey.every((name) => shared.includes(name)) ? table.primaryKey : shared;
  return [reading('columns', table, key, names, `${writtenSince} AND (${says.join(' OR ')})`)];
}

/** Resolves to the id of the set; undefined where it has no rows. */
async function copy(
  plan: Plan,
  { release, version }: Mark,
  source: pg.Client,
  target: pg.Client,
): Promise<string | undefined> {
  const { kind, relation, sql, columns, types, key, select } = plan;
  let set: string | undefined;
  await source.query(`DECLARE greenlight_kept NO SCROLL CURSOR FOR ${select}`);
  for (let page = 1; ;) {
    const { rows: found } = await source.query<(string | null)[]>({
      text: `FETCH ${page} FROM greenlight_kept`,
      rowMode: 'array',
    });
    if (found.length === 0) break;
    set ??= (
      await row<{ id: string }>(
        target,
        `INSERT INTO greenlight.kept_sets (release, version, kind, relation, sql, columns, types, key)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id::text`,
        [release, version, kind, relation, sql, columns, types, key],
      )
    ).id;
    const text = JSON.stringify(found);
    await target.query(
      `INSERT INTO greenlight.kept_rows (set, data)
       SELECT $1, ARRAY(SELECT jsonb_array_elements_text(r)) FROM jsonb_array_elements($2::jsonb) AS r`,
      [set, text],
    );
    page = Math.max(1, Math.min(pageRows, Math.floor((pageBytes * found.length) / text.length)));
  }
  await source.query('CLOSE greenlight_kept');
  return set;
}

/** What has the key of an unfit row on the live side: it may come back later where that is the same then. */
async function noteWhatIsThere(set: string, { relation, sql, columns, key }: Plan, target: pg.Client): Promise<void> {
  const table = (await tablesOf(target)).find(({ name }) => name === relation);
  if (table === undefined) return;
  const shared = stored(table).filter((name) => columns.includes(name));
  const names = shared.map(sqlLiteral).join(', ');
  const values = shared.map((name) => `t.${sqlIdentifier(name)}::text`).join(', ');
  const same = key.map((name, at) => `t.${sqlIdentifier(name)}::text = r.data[${at + 1}]`);
  await target.query(
    `UPDATE greenlight.kept_rows r SET was = jsonb_object(ARRAY[${names}]::text[], ARRAY[${values}]::text[])
     FROM ${sql} t WHERE r.set = $1 AND ${same.join(' AND ')}`,
    [set],
  );
}
