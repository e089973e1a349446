import type pg from 'pg';
import { OperationError } from '../../../infra/lib/errors.ts';
import { apartRole, sqlIdentifier, sqlLiteral } from '../../../infra/application/roles.ts';
import { rows, sqlState } from '../connect.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  allowApart,
  apartSequences,
  apartTablesOf,
  createSql,
  describeTables,
  dropSql,
  forbidApart,
  noteSql,
  type ApartRule,
  type Named,
} from './tables.ts';
import { triggerNames, triggerStatements } from './triggers.ts';

/**
 * Lets the application write the tables on a database that is not live, and follows a live one. Replaces what an earlier attempt left.
 * Throws an OperationError if a table is not there or has no primary key; nothing is changed then. Session as admin.
 */
export async function openApart(client: pg.Client, rules: readonly ApartRule[]): Promise<void> {
  const named = await resolveTables(client, rules);
  await client.query('BEGIN');
  try {
    await openWithin(client, named);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/**
 * As `openApart`, in a transaction that is open. `gaps`: how far off the numbers begin here. The side that has become live may have kept
 * those of the first gap.
 */
export async function openWithin(client: pg.Client, named: Named[], gaps = 1): Promise<void> {
  for (const statement of await closing(client)) await client.query(statement);
  if (named.length === 0) return;
  await client.query(createSql);
  await client.query(
    `DO $do$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${apartRole}') THEN CREATE ROLE ${apartRole} NOLOGIN; END IF; END $do$`,
  );
  const tables = await describeTables(client, named);
  for (const [index, table] of tables.entries()) {
    if (table.key.length === 0) throw withoutKey(table.name);
    await client.query(noteSql, [table.sql, table.name, table.keep]);
    for (const statement of await triggerStatements(client, table, index)) await client.query(statement);
    await client.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${table.sql} TO ${apartRole}`);
    for (const { name } of await rows<{ name: string }>(client, sequencesOfTable, [table.sql])) {
      await client.query(`GRANT USAGE ON SEQUENCE ${name} TO ${apartRole}`);
      await client.query(noteSequence, [name, table.keep, gaps]);
    }
  }
  await moveSequencesOff(client);
  await client.query(allowApart);
}

const withoutKey = (name: string): OperationError =>
  new OperationError('keeping tables apart', `${name} has no primary key`, 'give it one, or take it out of data.apart');

/** Sequences that the table owns, and those that its defaults use. Its partitions have the same. */
const sequencesOfTable = `
  SELECT DISTINCT quote_ident(n.nspname) || '.' || quote_ident(s.relname) AS name FROM pg_class s JOIN pg_namespace n ON n.oid = s.relnamespace
  WHERE s.relkind = 'S' AND (
    EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1::regclass AND d.deptype IN ('a', 'i'))
    OR EXISTS (SELECT FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid AND f.adrelid = $1::regclass))`;

/**
 * Local numbers begin so far off that those of the live side do not reach them: 2^32, or a 512th of what is left. What the columns can
 * hold counts, too: a serial of an older version has a wider sequence.
 */
const noteSequence = `
  INSERT INTO ${apartSequences} (sequence, keep, before, gap)
  SELECT $1::text, $2::text, coalesce(pg_sequence_last_value($1::text::regclass), s.seqstart),
    $3::int * sign(s.seqincrement) * ceil(least(4294967296, abs(CASE WHEN s.seqincrement > 0 THEN least(s.seqmax, m.most) ELSE greatest(s.seqmin, -m.most) END
      - coalesce(pg_sequence_last_value($1::text::regclass), s.seqstart)::numeric) / 512) / abs(s.seqincrement)) * abs(s.seqincrement)
  FROM pg_sequence s, LATERAL (SELECT coalesce(min(CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647 ELSE 9223372036854775807 END), 9223372036854775807)::numeric AS most
    FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')) m
  WHERE s.seqrelid = $1::text::regclass
  ON CONFLICT (sequence) DO UPDATE SET keep = CASE WHEN excluded.keep = 'merge' THEN 'merge' ELSE ${apartSequences}.keep END`;

/** Moves the sequences off where they are not: at the beginning, and where a cutover that did not happen has put them back. */
export const moveSequencesOff = (client: pg.Client): Promise<unknown> =>
  client.query(`
    SELECT setval(q.sequence::regclass, q.before + q.gap) FROM ${apartSequences} q JOIN pg_sequence s ON s.seqrelid = q.sequence::regclass
    WHERE (q.before + q.gap - coalesce(pg_sequence_last_value(q.sequence::regclass), s.seqstart)) * sign(s.seqincrement) > 0`);

/** How long the end waits for one lock, and how often it tries, ms: no statement of the application waits behind it for longer. */
const lockMs = 100;
const tries = 50;

/**
 * Ends it on a database that has become live, or live again: the right is taken away at once, then the triggers are removed. Idempotent.
 * Resolves to false where a table was locked all the time: its triggers do nothing, and are removed the next time.
 */
export async function closeApart(client: pg.Client): Promise<boolean> {
  await client.query(forbidApart);
  const statements = await closing(client);
  for (let attempt = 0; attempt < tries; attempt += 1) {
    try {
      await client.query(`BEGIN; SET LOCAL lock_timeout = ${lockMs}`);
      for (const statement of statements) await client.query(statement);
      await client.query('COMMIT');
      return true;
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined);
      if (!['55P03', '40P01'].includes(sqlState(error) ?? '')) throw error;
      await sleep(lockMs);
    }
  }
  return false;
}

/** The statements that remove all of it. */
async function closing(client: pg.Client): Promise<string[]> {
  const triggers = await rows<{ name: string; sql: string }>(
    client,
    `SELECT t.tgname AS name, format('%I.%I', n.nspname, c.relname) AS sql FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE t.tgname = ANY ($1) AND t.tgparentid = 0 ORDER BY 2, 1`,
    [triggerNames],
  );
  const granted = await rows<{ what: string }>(
    client,
    `SELECT format('%s %I.%I', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname) AS what
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE EXISTS (SELECT FROM aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee WHERE r.rolname = '${apartRole}') ORDER BY 1`,
  );
  const functions = await rows<{ sql: string }>(
    client,
    String.raw`SELECT format('greenlight.%I', p.proname) AS sql FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname = 'greenlight' AND p.proname ~ '^apart_(lock|value|record|arrive)_\d+$' ORDER BY 1`,
  );
  return [
    forbidApart,
    ...triggers.map(({ name, sql }) => `DROP TRIGGER IF EXISTS ${sqlIdentifier(name)} ON ${sql}`),
    ...granted.map(({ what }) => `REVOKE ALL ON ${what} FROM ${apartRole}`),
    ...functions.map(({ sql }) => `DROP FUNCTION IF EXISTS ${sql}()`),
    dropSql,
  ];
}

/** The tables of the definition, by name. Throws an OperationError that lists those that are not there. */
export async function resolveTables(client: pg.Client, rules: readonly ApartRule[]): Promise<Named[]> {
  const found = await Promise.all(
    rules.map(async (rule) => {
      const [sql, name] = await nameOf(client, rule.table);
      return { sql, name, keep: rule.keep };
    }),
  );
  return found;
}

async function nameOf(client: pg.Client, table: string): Promise<[string, string]> {
  const candidates = await rows<{ sql: string; name: string }>(
    client,
    `SELECT format('%I.%I', n.nspname, c.relname) AS sql, n.nspname || '.' || c.relname AS name
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'greenlight')
       AND ${sqlLiteral(table)} IN (c.relname, n.nspname || '.' || c.relname) ORDER BY 2`,
  );
  const [one] = candidates;
  if (one !== undefined && candidates.length === 1) return [one.sql, one.name];
  const found =
    one === undefined
      ? `there is no table ${table}`
      : `${candidates.length} tables are called ${table}: ${candidates.map(({ name }) => name).join(', ')}`;
  throw new OperationError(
    'keeping tables apart',
    found,
    'name tables of the live database in data.apart, with the schema where several have one of the name',
  );
}

/** Names of the tables that are apart there. */
export const namedOf = async (client: pg.Client): Promise<Named[]> =>
  (await apartTablesOf(client)).map(({ sql, name, keep }) => ({ sql, name, keep }));
