import type pg from 'pg';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { relationExists } from '../catalog.ts';
import { rows, sqlState, withClient } from '../connect.ts';
import { useTextForms } from '../text-forms.ts';
import { wordsOf } from '../words.ts';
import { putStatement, type TargetColumn } from './put-statement.ts';
import { createKeptTables, keptSets, type KeptSet } from './tables.ts';

/** What became of one set. */
export interface Brought {
  relation: string;
  kind: KeptSet['kind'];
  /** Names of the new columns, for `columns`. */
  columns: string[];
  rows: number;
  /** Rows that do not fit, and stay kept: how many for which reason, without values. */
  left: { rows: number; reason: string }[];
}

/** Statement timeout, ms. */
const statementMs = 3_600_000;
/** Lock timeout on the side that is live, ms: writers queue behind it for so long. */
const liveLockMs = 500;

/**
 * Brings back what earlier tries of the new version had left, once its expand migrations have run: rows of its tables are put there, over
 * rows of the same key; values of its columns are set where the row still has the same key. What does not fit any more stays kept. Rows
 * of the old version's tables (`unfit`) stay, too: the old side could not hold them. All of it happens, or nothing.
 */
export const bringBack = (access: DatabaseAccess): Promise<Brought[]> =>
  putBack(
    access,
    () => true,
    (client, set) => (set.kind === 'unfit' ? later(set) : bring(client, set)),
  );

/**
 * Brings back the rows that the old version's schema could not hold, to the side that is live, once no old version is left to go back to.
 * Only where the live side has what it had in their place: nothing, or the same row. Else the row there has been changed since, and stays.
 */
export const bringBackUnfit = (access: DatabaseAccess): Promise<Brought[]> =>
  putBack(access, ({ kind }) => kind === 'unfit', bringAlone, liveLockMs);

/** What is there is compared and then written over: nobody may change it between the two. */
const bringAlone: Bring = async (client, set) => {
  if (await relationExists(client, set.sql)) await client.query(`LOCK TABLE ${set.sql} IN SHARE ROW EXCLUSIVE MODE`);
  return bring(client, set);
};

const later = ({ rows: n }: KeptSet): Outcome => left(n, 'brought back when the way back has ended');
const left = (n: number, reason: string): Outcome => ({ rows: 0, left: n === 0 ? [] : [{ rows: n, reason }] });

type Bring = (client: pg.Client, set: KeptSet) => Promise<Outcome> | Outcome;

const putBack = (
  access: DatabaseAccess,
  which: (set: KeptSet) => boolean,
  one: Bring,
  lockMs = 0,
): Promise<Brought[]> =>
  withClient(
    access,
    'admin',
    async (client) => {
      const sets = (await keptSets(client)).filter(which);
      if (sets.length === 0) return [];
      // Rows that an earlier version of this program has kept lack a column.
      await createKeptTables(client);
      await client.query(`BEGIN; SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL lock_timeout = ${lockMs}`);
      try {
        await useTextForms(client);
        const brought = await putAll(client, sets, one);
        await client.query('SET LOCAL synchronous_commit = on; COMMIT');
        return brought;
      } catch (error) {
        await client.query('ROLLBACK').catch(() => undefined);
        throw error;
      }
    },
    { statementMs },
  );

async function putAll(client: pg.Client, sets: KeptSet[], one: Bring): Promise<Brought[]> {
  const tables = [...new Set(sets.filter(({ kind }) => kind !== 'sequence').map(({ sql }) => sql))];
  const quiet: string[] = [];
  for (const sql of tables) quiet.push(...(await quietTriggers(client, sql)));
  const results = new Map<string, Brought>();
  // A row may refer to one of a set that comes later: as long as rows are put, the others are tried again.
  for (let progress = true; progress;) {
    progress = false;
    for (const set of sets) {
      const before = results.get(set.id);
      if (before !== undefined && before.left.length === 0) continue;
      const { rows: put, left } = await one(client, set);
      if (put > 0 && set.kind !== 'sequence') progress = true;
      const { relation, kind, columns, key } = set;
      results.set(set.id, {
        relation,
        kind,
        columns: columns.slice(key.length),
        rows: (before?.rows ?? 0) + put,
        left,
      });
    }
  }
  for (const statement of quiet) await client.query(statement);
  await client.query(
    'DELETE FROM greenlight.kept_sets s WHERE NOT EXISTS (SELECT FROM greenlight.kept_rows r WHERE r.set = s.id)',
  );
  return sets.map(({ id }) => results.get(id) as Brought);
}

/** Triggers had their effect when the rows were first written. Resolves to the statements that put them back. */
async function quietTriggers(client: pg.Client, sql: string): Promise<string[]> {
  const found = await rows<{ name: string; enabled: string }>(
    client,
    `SELECT tgname AS name, tgenabled AS enabled FROM pg_trigger WHERE tgrelid = to_regclass($1) AND NOT tgisinternal AND tgenabled IN ('O', 'A')`,
    [sql],
  );
  for (const { name } of found) await client.query(`ALTER TABLE ${sql} DISABLE TRIGGER ${sqlIdentifier(name)}`);
  return found.map(
    ({ name, enabled }) =>
      `ALTER TABLE ${sql} ENABLE ${enabled === 'A' ? 'ALWAYS ' : ''}TRIGGER ${sqlIdentifier(name)}`,
  );
}

type Outcome = Pick<Brought, 'rows' | 'left'>;

async function bring(client: pg.Client, set: KeptSet): Promise<Outcome> {
  const all = (reason: string): Outcome => left(set.rows, reason);
  if (set.kind === 'sequence')
    return (await setSequence(client, set)) === 1
      ? { rows: 1, left: [] }
      : all(`${set.relation} does not exist any more`);
  const columns = await columnsOf(client, set.sql);
  if (columns.length === 0) return all(`${set.relation} does not exist any more`);
  const missing = set.columns.filter((name) => !columns.some((c) => c.name === name && !c.generated));
  if (missing.length > 0) return all(`${set.relation} has no column ${missing.join(', ')} any more`);
  const key = await primaryKey(client, set.sql);
  if (set.kind === 'unfit' && key.length === 0) return all(`${set.relation} has no primary key`);
  const put = async (which: string): Promise<number | string> => tryPut(client, putStatement(set, columns, key, which));
  const many = await put(`r.set = ${set.id}`);
  return oneByOne(client, set, put, typeof many === 'string' ? 0 : many);
}

/** What is left of the set row by row, as one that does not fit must not keep back the others. */
async function oneByOne(
  client: pg.Client,
  set: KeptSet,
  tryOne: (which: string) => Promise<number | string>,
  before: number,
): Promise<Outcome> {
  const sql = 'SELECT id::text FROM greenlight.kept_rows WHERE set = $1 ORDER BY id';
  let put = before;
  const reasons = new Map<string, number>();
  for (const { id } of await rows<{ id: string }>(client, sql, [set.id])) {
    const done = await tryOne(`r.id = ${id}`);
    const reason = typeof done === 'string' ? done : done === 1 ? undefined : whyNot(set);
    if (reason === undefined) put += 1;
    else reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  return { rows: put, left: [...reasons].map(([reason, n]) => ({ rows: n, reason })) };
}

const whyNot = ({ kind, relation }: KeptSet): string =>
  ({
    columns: `no row, or more than one, of ${relation} has that key`,
    unfit: `what ${relation} has under that key was changed since`,
    table: `a value does not fit its column of ${relation}`,
    sequence: '',
  })[kind];

/** Resolves to how many rows were put, or to PostgreSQL's words. */
async function tryPut(client: pg.Client, statement: string): Promise<number | string> {
  await client.query('SAVEPOINT put');
  try {
    const { rowCount } = await client.query(statement);
    await client.query('RELEASE put');
    return rowCount ?? 0;
  } catch (error) {
    if (sqlState(error) === undefined) throw error;
    await client.query('ROLLBACK TO put; RELEASE put');
    return wordsOf(error);
  }
}

const columnsOf = (client: pg.Client, sql: string): Promise<TargetColumn[]> =>
  rows<TargetColumn>(
    client,
    `SELECT attname AS name, format_type(atttypid, -1) AS base, format_type(atttypid, atttypmod) AS type,
       attidentity = 'a' AS always, attgenerated <> '' AS generated
     FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`,
    [sql],
  );

const primaryKey = async (client: pg.Client, sql: string): Promise<string[]> =>
  (
    await rows<{ name: string }>(
      client,
      `SELECT a.attname AS name FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])
       WHERE i.indrelid = to_regclass($1) AND i.indisprimary AND i.indimmediate`,
      [sql],
    )
  ).map(({ name }) => name);

/** Sets a sequence of the new version to the value that it had, never backwards. Resolves to 1 if the sequence is there. */
async function setSequence(client: pg.Client, { id, sql }: KeptSet): Promise<number> {
  const [there] = await rows<{ ascending: boolean }>(
    client,
    'SELECT seqincrement > 0 AS ascending FROM pg_sequence WHERE seqrelid = to_regclass($1)',
    [sql],
  );
  if (there === undefined) return 0;
  const further = there.ascending ? '>' : '<';
  await client.query(
    `SELECT setval($1::regclass, data[1]::bigint, data[2]::boolean) FROM greenlight.kept_rows, ${sql} AS s
     WHERE set = $2 AND (data[1]::bigint ${further} s.last_value OR (data[1]::bigint = s.last_value AND data[2]::boolean AND NOT s.is_called))`,
    [sql, id],
  );
  await client.query('DELETE FROM greenlight.kept_rows WHERE set = $1', [id]);
  return 1;
}
