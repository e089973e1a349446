import type pg from 'pg';
import { OperationError } from '../../../infra/lib/errors.ts';
import { sqlIdentifier, sqlLiteral } from '../../../infra/application/roles.ts';
import { row, rows, sqlState } from '../connect.ts';
import {
  apartLock,
  apartRows,
  apartSequences,
  apartTablesOf,
  contentOf,
  describeTables,
  isApart,
  isKey,
  qualified,
  settling,
  textSettings,
  valuesOf,
  type ApartTable,
  type Keep,
} from './tables.ts';

/** What became of the rows that were written on a colour that was not live. */
export interface ApartSettled {
  table: string;
  keep: Keep;
  /** Rows that only that colour had, and has. */
  kept: number;
  /** Other rows that were written there: they are as the live side has them, or gone. */
  dropped: number;
}

/** Of most rows the hold does not become noticeably longer. */
export const mostApartRows = 10_000;

/** The tables of the side that becomes live, and those of the side that writes leave. */
export interface ApartPlan {
  tables: { mine: ApartTable; live: ApartTable; parents: Parent[] }[];
}

/** A foreign key of a table that is apart: rows without their parent are not kept. */
interface Parent {
  table: string;
  columns: string[];
  references: string[];
  operators: string[];
}

const parentsSql = `
  SELECT c.confrelid::regclass::text AS "table",
    ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k (n, at) JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n ORDER BY k.at) AS columns,
    ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k (n, at) JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.n ORDER BY k.at) AS references,
    ARRAY(SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname) FROM unnest(c.conpfeqop) WITH ORDINALITY k (id, at) JOIN pg_operator o ON o.oid = k.id JOIN pg_namespace n ON n.oid = o.oprnamespace ORDER BY k.at) AS operators
  FROM pg_constraint c WHERE c.contype = 'f' AND c.conparentid = 0 AND c.conrelid = $1::regclass`;

/**
 * What can be found out before writes are held. Undefined where no table is apart. Throws an OperationError where too many rows were
 * written apart (`bounded`), or where a transaction that did so stays open for longer than `waitMs`.
 */
export async function planApart(
  sessions: { old: pg.Client; new: pg.Client },
  { waitMs, bounded }: { waitMs: number; bounded: boolean },
): Promise<ApartPlan | undefined> {
  const mine = await apartTablesOf(sessions.new);
  if (mine.length === 0) return undefined;
  if (bounded) await requireFew(sessions.new);
  const live = await describeTables(sessions.old, mine);
  const tables: ApartPlan['tables'] = [];
  for (const table of mine) {
    const other = live.find(({ sql }) => sql === table.sql);
    if (other === undefined) continue;
    const columns = table.columns.filter(({ name }) => other.columns.some((column) => column.name === name));
    const parents = await qualified(sessions.new, () => rows<Parent>(sessions.new, parentsSql, [table.sql]));
    tables.push({ mine: { ...table, columns }, live: { ...other, columns }, parents });
  }
  await requireQuiet(sessions.new, waitMs);
  return { tables };
}

async function requireFew(client: pg.Client): Promise<void> {
  const sql = `SELECT t.name, count(*)::int AS n FROM ${apartRows} r JOIN greenlight.apart_tables t USING (relation) GROUP BY 1 ORDER BY 2 DESC`;
  const found = await rows<{ name: string; n: number }>(client, sql);
  const count = found.reduce((sum, { n }) => sum + n, 0);
  if (count <= mostApartRows) return;
  throw new OperationError(
    'settling the tables that are apart',
    `${count} rows were written apart (${found.map(({ name, n }) => `${name}: ${n}`).join(', ')}), and a hold settles ${mostApartRows}`,
    'let the canary take a smaller share of the reads or less time, or send requests without a session to the live colour (application.writes.withoutCookie)',
  );
}

/** Who writes there has the lock shared until he commits. In the hold nobody has time to wait for long. */
async function requireQuiet(client: pg.Client, waitMs: number): Promise<void> {
  try {
    await client.query(
      `BEGIN; SET LOCAL lock_timeout = ${Math.max(1, Math.ceil(waitMs))}; SELECT pg_advisory_xact_lock(${apartLock}); COMMIT`,
    );
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    if (sqlState(error) !== '55P03') throw error;
    throw new OperationError(
      'settling the tables that are apart',
      `a transaction that wrote one of them stays open for longer than ${Math.ceil(waitMs)} ms`,
      'find out what is slow (pg_stat_activity of the inactive colour), or allow more time (cutover.drainMs)',
    );
  }
}

/** Keeps local writers waiting, in this session, until `release`. They end where the session ends. */
export const holdApart = (client: pg.Client): Promise<unknown> => client.query(`SELECT pg_advisory_lock(${apartLock})`);
export const releaseApart = (client: pg.Client): Promise<unknown> =>
  client.query(`SELECT pg_advisory_unlock(${apartLock})`);

/**
 * Gives every row that was written apart the state that the live side has, or keeps it, by the table's rule. Nobody may write on either
 * side: the fence is up, everything is replayed, and `holdApart` is done. One transaction on the side that becomes live. May be repeated.
 * `compared`: the condition under which a row of a table is the same on both sides now.
 */
export async function settleApart(
  { tables }: ApartPlan,
  sessions: { old: pg.Client; new: pg.Client },
): Promise<{ settled: ApartSettled[]; compared: Map<string, string> }> {
  const noted = await rows<{ relation: string; keys: string; n: number }>(
    sessions.new,
    `SELECT relation, json_agg(key)::text AS keys, count(*)::int AS n FROM ${apartRows} GROUP BY relation`,
  );
  const keysOf = new Map(noted.map((one) => [one.relation, one]));
  const found: (ApartPlan['tables'][number] & { keys?: string; n: number; rows: string })[] = [];
  for (const table of tables) {
    const { keys, n = 0 } = keysOf.get(table.mine.sql) ?? {};
    found.push({
      ...table,
      n,
      ...(keys === undefined ? { rows: '[]' } : { keys, rows: await contents(sessions.old, table.live, keys) }),
    });
  }
  await sessions.new.query(
    `BEGIN; SET LOCAL search_path = pg_catalog; SET LOCAL synchronous_commit = off; ${textSettings}; ${byKey}`,
  );
  try {
    const touched = found.filter(({ n }) => n > 0);
    for (const { mine, keys, rows: live } of touched)
      if (keys !== undefined) await putBack(sessions.new, mine, keys, live);
    if (touched.length > 0) await removeOrphans(sessions.new, touched);
    const settled: ApartSettled[] = [];
    for (const { mine, n } of found) {
      const kept = n === 0 ? 0 : await noteKept(sessions.new, mine);
      settled.push({ table: mine.name, keep: mine.keep, kept, dropped: n - kept });
    }
    await sessions.new.query(`
      SELECT setval(q.sequence::regclass, q.before) FROM ${apartSequences} q WHERE q.keep = 'drop'`);
    await sessions.new.query('COMMIT');
    const compared = settled.some(({ kept }) => kept > 0)
      ? await apartKeys(sessions.new, 'kept')
      : new Map<string, string>();
    return { settled, compared };
  } catch (error) {
    await sessions.new.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** Rows are looked up by their keys, however large the table is. */
const byKey = 'SET LOCAL enable_seqscan = off';

/** The rows of these keys, with their keys, as the text of a JSON array. */
async function contents(client: pg.Client, table: ApartTable, keys: string): Promise<string> {
  await client.query(`BEGIN; SET LOCAL search_path = pg_catalog; ${textSettings}; ${byKey}`);
  try {
    const { found } = await row<{ found: string }>(
      client,
      `SELECT coalesce(json_agg(json_build_object('key', k.key, 'content', ${contentOf(table.columns, 't')}))::text, '[]') AS found
       FROM jsonb_array_elements($1::jsonb) AS k (key) JOIN ${table.sql} t ON ${isKey(table, 't', 'k.key')}`,
      [keys],
    );
    return found;
  } finally {
    await client.query('COMMIT').catch(() => undefined);
  }
}

/** `live`: of `contents`. */
async function putBack(client: pg.Client, table: ApartTable, keys: string, live: string): Promise<void> {
  const gone = table.keep === 'drop' ? [keys, 'e.row'] : [live, `(e.row -> 'key')`];
  await client.query(
    `DELETE FROM ${table.sql} t USING jsonb_array_elements($1::jsonb) AS e (row) WHERE ${isKey(table, 't', gone[1] as string)}`,
    [gone[0]],
  );
  const { names, values } = valuesOf(table.columns, `(e.row -> 'content')`);
  const insert = (): Promise<unknown> =>
    client.query(
      `INSERT INTO ${table.sql} (${names}) OVERRIDING SYSTEM VALUE SELECT ${values} FROM jsonb_array_elements($1::jsonb) AS e (row)`,
      [live],
    );
  // Mostly no row that is kept is in the way of one that is put back. Looking for such rows takes longer than all of the rest.
  await client.query(`SAVEPOINT put; SET LOCAL ${settling} = 'on'`);
  try {
    await insert();
  } catch (error) {
    if (!['23505', '23P01'].includes(sqlState(error) ?? '')) throw error;
    await client.query('ROLLBACK TO SAVEPOINT put');
    await insert();
  }
  await client.query(`SET LOCAL ${settling} = 'off'`);
  await client.query(
    `DELETE FROM ${apartRows} r USING jsonb_array_elements($2::jsonb) AS e (row) WHERE r.relation = $1 AND r.key = e.row -> 'key'`,
    [table.sql, live],
  );
}

/** Removes rows whose parent is gone, until there are none: a parent may be such a row itself. */
async function removeOrphans(client: pg.Client, tables: { mine: ApartTable; parents: Parent[] }[]): Promise<void> {
  const statements = tables.flatMap(({ mine, parents }) =>
    parents.map(({ table, columns, references, operators }) => {
      const present = columns.map((name) => `t.${sqlIdentifier(name)} IS NOT NULL`).join(' AND ');
      const same = columns
        .map((name, at) => `p.${sqlIdentifier(references[at] ?? '')} ${operators[at]} t.${sqlIdentifier(name)}`)
        .join(' AND ');
      return `DELETE FROM ${mine.sql} t USING ${apartRows} r WHERE r.relation = ${sqlLiteral(mine.sql)} AND ${isKey(mine, 't', 'r.key')}
        AND ${present} AND NOT EXISTS (SELECT FROM ${table} p WHERE ${same})`;
    }),
  );
  for (let removed = statements.length; removed > 0;) {
    removed = 0;
    for (const statement of statements) removed += (await client.query(statement)).rowCount ?? 0;
  }
}

/** Notes what rows have that are kept, for the way back, and forgets the others. Resolves to how many are kept. */
async function noteKept(client: pg.Client, table: ApartTable): Promise<number> {
  const kept = await client.query(
    `UPDATE ${apartRows} r SET content = ${contentOf(table.columns, 't')} FROM ${table.sql} t WHERE r.relation = $1 AND ${isKey(table, 't', 'r.key')}`,
    [table.sql],
  );
  await client.query(
    `DELETE FROM ${apartRows} r WHERE r.relation = $1 AND NOT EXISTS (SELECT FROM ${table.sql} t WHERE ${isKey(table, 't', 'r.key')})`,
    [table.sql],
  );
  return kept.rowCount ?? 0;
}

/**
 * Gives the rows that were kept to the side that follows from now on, as they were at the cutover, so that later changes find them there.
 * Before the way back starts: both sides as they were then. Idempotent. Resolves to how many were given.
 */
export async function giveKept(live: pg.Client, follower: pg.Client): Promise<number> {
  if (!(await isApart(live))) return 0;
  let given = 0;
  for (const table of await apartTablesOf(live)) {
    const content = await rows<{ content: unknown }>(
      live,
      `SELECT content FROM ${apartRows} WHERE relation = $1 AND content IS NOT NULL`,
      [table.sql],
    );
    const [there] = content.length === 0 ? [] : await describeTables(follower, [table]);
    if (there === undefined) continue;
    const columns = there.columns.filter(({ name }) => table.columns.some((column) => column.name === name));
    const { names, values } = valuesOf(columns, 'c.content');
    await follower.query(`BEGIN; SET LOCAL search_path = pg_catalog; ${textSettings}`);
    try {
      // Its readers wait, as they hold nothing yet that this waits for.
      await follower.query(`SELECT pg_advisory_xact_lock(${apartLock})`);
      const put = await follower.query(
        `INSERT INTO ${table.sql} (${names}) OVERRIDING SYSTEM VALUE SELECT ${values} FROM jsonb_array_elements($1::jsonb) AS c (content) ON CONFLICT DO NOTHING`,
        [JSON.stringify(content.map((one) => one.content))],
      );
      await follower.query('COMMIT');
      given += put.rowCount ?? 0;
      // Once only: what is deleted afterwards must not come back.
      await live.query(`UPDATE ${apartRows} SET content = NULL WHERE relation = $1`, [table.sql]);
    } catch (error) {
      await follower.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }
  return given;
}

/** What a comparison leaves out, by table (`public.sessions`), as a condition for SQL: rows that are noted, or those that a cutover has kept. */
export async function apartKeys(client: pg.Client, which: 'written' | 'kept'): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const table of await apartTablesOf(client)) {
    const { keys } = await row<{ keys: string | null }>(
      client,
      `SELECT json_agg(key)::text AS keys FROM ${apartRows} WHERE relation = $1 ${which === 'kept' ? 'AND content IS NOT NULL' : ''}`,
      [table.sql],
    );
    if (keys === null) continue;
    const mine = table.key.map(({ name }) => `${sqlIdentifier(name)}::text`).join(', ');
    const theirs = table.key.map(({ name }) => `k.key ->> ${sqlLiteral(name)}`).join(', ');
    const without = `(${mine}) NOT IN (SELECT ${theirs} FROM pg_catalog.jsonb_array_elements(${sqlLiteral(keys)}::pg_catalog.jsonb) AS k (key))`;
    found.set(table.name, without);
  }
  return found;
}
