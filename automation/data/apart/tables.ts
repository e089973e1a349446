import type pg from 'pg';
import { apartRole, sqlIdentifier, sqlLiteral } from '../../../infra/application/roles.ts';
import { relationExists } from '../catalog.ts';
import { rows } from '../connect.ts';
import { textForms } from '../text-forms.ts';

/**
 * Tables that the application may also write on the colour that is not live, as its reads there do (`data.apart`). Which they are, and
 * the keys of the rows that were written there, lie in the schema `greenlight` of that colour's database. So whoever settles them needs
 * nothing but the two databases.
 */

/** `merge`: rows that only the inactive colour has are kept at the cutover. `drop`: they are removed. A row of both is the live one's. */
export type Keep = 'merge' | 'drop';

export interface ApartRule {
  /** With its schema where several have a table of this name. */
  table: string;
  keep: Keep;
}

export interface ApartColumn {
  name: string;
  /** As SQL, with its schema. */
  type: string;
}

/** A table that is apart, as one database has it. */
export interface ApartTable {
  /** Quoted, for SQL. */
  sql: string;
  /** `public.sessions`, for people. */
  name: string;
  keep: Keep;
  /** The columns of the primary key. */
  key: ApartColumn[];
  /** All columns that are not generated. */
  columns: ApartColumn[];
}

/**
 * Local writers have this lock shared until they commit, and the cutover alone while it settles what they wrote. One for all tables, so
 * that nobody waits for two.
 */
export const apartLock = '7161720861457210';

/** A setting: the cutover puts rows back, and looks itself whether others are in their way. */
export const settling = 'greenlight.settling';

/** Objects of a table that is apart have names that begin so. The catalogs are compared without them. */
export const apartPrefix = 'greenlight_apart';

const apartTables = 'greenlight.apart_tables';
/** Rows that were written here, by key; those that a cutover has kept also have their content as of then. */
export const apartRows = 'greenlight.apart_rows';
export const apartSequences = 'greenlight.apart_sequences';

export const createSql = `
  CREATE TABLE ${apartTables} (relation text PRIMARY KEY, name text NOT NULL, keep text NOT NULL);
  CREATE TABLE ${apartRows} (relation text, key jsonb, content jsonb, PRIMARY KEY (relation, key));
  CREATE TABLE ${apartSequences} (sequence text PRIMARY KEY, keep text NOT NULL, before bigint NOT NULL, gap bigint NOT NULL)`;
export const dropSql = `DROP TABLE IF EXISTS ${apartTables}, ${apartRows}, ${apartSequences}`;

export const noteSql = `INSERT INTO ${apartTables} (relation, name, keep) VALUES ($1, $2, $3)`;

/** Whether the database has tables that are apart. */
export const isApart = (client: pg.Client): Promise<boolean> => relationExists(client, apartTables);

/** The tables that are apart in a database; none where it has none. */
export async function apartTablesOf(client: pg.Client): Promise<ApartTable[]> {
  if (!(await isApart(client))) return [];
  const noted = await rows<Named>(
    client,
    `SELECT relation AS sql, name, keep FROM ${apartTables} WHERE to_regclass(relation) IS NOT NULL ORDER BY name`,
  );
  return describeTables(client, noted);
}

/** The names of the tables, with their rules, of a database in which they are apart. */
export type Named = Pick<ApartTable, 'sql' | 'name' | 'keep'>;

export async function describeTables(client: pg.Client, named: Named[]): Promise<ApartTable[]> {
  const sql = `
    SELECT w.name AS sql, coalesce(json_agg(json_build_object('name', a.attname, 'type', t.type) ORDER BY a.attnum) FILTER (WHERE a.attgenerated = ''), '[]') AS columns,
      coalesce(json_agg(json_build_object('name', a.attname, 'type', t.type) ORDER BY array_position(i.indkey::int2[], a.attnum)) FILTER (WHERE a.attnum = ANY (i.indkey)), '[]') AS key
    FROM unnest($1::text[]) AS w (name) JOIN pg_attribute a ON a.attrelid = to_regclass(w.name) AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
    CROSS JOIN LATERAL (SELECT format_type(a.atttypid, a.atttypmod) AS type) t GROUP BY w.name`;
  const found = await qualified(client, () =>
    rows<Pick<ApartTable, 'sql' | 'columns' | 'key'>>(client, sql, [named.map((one) => one.sql)]),
  );
  return named.flatMap((one) => found.filter((f) => f.sql === one.sql).map((f) => ({ ...one, ...f })));
}

/** Runs `work` with a search path under which PostgreSQL shows every name with its schema. */
export async function qualified<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  const [path] = await rows<{ path: string }>(client, `SELECT current_setting('search_path') AS path`);
  await client.query(`SET search_path = pg_catalog`);
  try {
    return await work();
  } finally {
    await client.query(`SELECT set_config('search_path', $1, false)`, [path?.path ?? '']).catch(() => undefined);
  }
}

/** SQL: the key of a row as it is noted. Values are text in the forms that every session here sets. */
export const keyOf = ({ key }: ApartTable, of: string): string =>
  `pg_catalog.jsonb_build_object(${key.map(({ name }) => `${sqlLiteral(name)}, ${of}.${sqlIdentifier(name)}::text`).join(', ')})`;

/** SQL: the row with this noted key `of`. */
export const isKey = ({ key }: ApartTable, row: string, of: string): string =>
  key.map(({ name, type }) => `${row}.${sqlIdentifier(name)} = (${of} ->> ${sqlLiteral(name)})::${type}`).join(' AND ');

/** SQL: the values of a row as text, by name. */
export const contentOf = (columns: readonly ApartColumn[], of: string): string =>
  // At most 100 arguments of a function: 50 columns.
  chunks(columns, 50)
    .map(
      (some) =>
        `jsonb_build_object(${some.map(({ name }) => `${sqlLiteral(name)}, ${of}.${sqlIdentifier(name)}::text`).join(', ')})`,
    )
    .join(' || ');

/** SQL: the list of columns and the values for an INSERT of such a content `of`. */
export const valuesOf = (columns: readonly ApartColumn[], of: string): { names: string; values: string } => ({
  names: columns.map(({ name }) => sqlIdentifier(name)).join(', '),
  values: columns.map(({ name, type }) => `(${of} ->> ${sqlLiteral(name)})::${type}`).join(', '),
});

const chunks = <T>(all: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(all.length / size) }, (_, at) => all.slice(at * size, (at + 1) * size));

/** The settings under which a row is read and written as text, for one transaction. */
export const textSettings = Object.entries({ ...textForms, session_replication_role: 'replica' })
  .map(([name, value]) => `SET LOCAL ${name} = '${value}'`)
  .join('; ');

/** Sessions of the application may write these tables from the next statement on, and no more. */
export const allowApart = `GRANT ${apartRole} TO app`;
export const forbidApart = `DO $do$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '${apartRole}') THEN REVOKE ${apartRole} FROM app; END IF; END $do$`;
