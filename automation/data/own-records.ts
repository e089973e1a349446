import type pg from 'pg';
import { OperationError } from '../../infra/lib/errors.ts';
import { tablesOf } from './catalog.ts';
import { rows } from './connect.ts';

/**
 * Tables in which an application's own migration command keeps what it has done: `alembic_version`. A side on which it has run has
 * other rows there than the one on which it has not, and that is right. So each run is noted in the database that it ran in.
 */

const own = 'greenlight.own_records';

/** As a release definition names them: with a schema, or without where one table has the name. */
const isMeant = (table: string, wanted: string): boolean => `.${plain(table)}`.endsWith(`.${plain(wanted)}`);

/** Without the quotes of SQL. */
const plain = (name: string): string =>
  name.replace(/"((?:[^"]|"")*)"/g, (_, inner: string) => inner.replaceAll('""', '"'));

/** Whether one of the names in a release definition means this table. */
export const isAmong = (table: string, wanted: readonly string[]): boolean =>
  wanted.some((name) => isMeant(table, name));

/** Notes that the command has run here. Session as admin. Rejects if there is no such table. */
export async function noteOwnRecords(client: pg.Client, wanted: readonly string[]): Promise<void> {
  if (wanted.length === 0) return;
  const names = (await tablesOf(client)).map(({ name }) => name);
  const missing = wanted.filter((name) => !names.some((table) => isMeant(table, name)));
  if (missing.length > 0)
    throw new OperationError(
      'noting where the migration command keeps its record',
      `there is no table ${missing.join(', ')} after it has run`,
      'correct migrations.records in the release definition',
    );
  await client.query(`
    CREATE SCHEMA IF NOT EXISTS greenlight;
    CREATE TABLE IF NOT EXISTS ${own} (name text PRIMARY KEY, at timestamptz NOT NULL)`);
  await client.query(
    `INSERT INTO ${own} SELECT name, clock_timestamp() FROM unnest($1::text[]) AS x (name) ON CONFLICT (name) DO UPDATE SET at = excluded.at`,
    [names.filter((name) => isAmong(name, wanted))],
  );
}

/** When the command last ran here, by table. A session that may not read the note has none. */
export async function ownRecords(client: pg.Client): Promise<Map<string, string>> {
  const readable = `SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'greenlight' AND c.relname = 'own_records'
    AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')`;
  if ((await rows(client, readable)).length === 0) return new Map();
  const noted = await rows<{ name: string; at: string }>(client, `SELECT name, at::text AS at FROM ${own}`);
  return new Map(noted.map(({ name, at }) => [name, at]));
}
