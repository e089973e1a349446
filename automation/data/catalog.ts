import type pg from 'pg';
import { sqlIdentifier } from '../../infra/application/roles.ts';
import { rows } from './connect.ts';
import { createHash } from 'node:crypto';

/** The application's tables, with their columns and primary keys, read from PostgreSQL's catalog. */

export interface Column {
  name: string;
  /** With length or precision: `character varying(40)`. */
  type: string;
  /** Name of the built-in type; empty for a domain, an enum, an array or an extension's type. */
  builtIn: string;
  generated: boolean;
}

export interface Table {
  /** `public.lessons`, for people. */
  name: string;
  /** Quoted, for SQL. */
  sql: string;
  partitioned: boolean;
  columns: Column[];
  /** Columns of the primary key; empty if the table has none. */
  primaryKey: string[];
  owner: string;
  /** A materialised view without content: nobody can read it. */
  unfilled?: true;
  /** No backup has its rows, or, of a partitioned table, those of some partitions. */
  unlogged?: 'all' | 'some';
}

/** SQL condition: the schema belongs to the application, not to PostgreSQL or Greenlight. */
export const ownSchemas = String.raw`n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'greenlight')`;
/** SQL condition: the relation does not belong to an extension, which creates and fills its own. */
export const notOfExtension = `NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')`;

const columnsOfIndex = (which: string): string => `coalesce((
  SELECT json_agg(a.attname ORDER BY array_position(i.indkey::int2[], a.attnum))
  FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
  WHERE i.indrelid = c.oid AND ${which}), '[]'::json)`;

const tablesSql = (kinds: string, which: string): string => `
  SELECT n.nspname AS schema, c.relname AS table, c.relkind = 'p' AS partitioned,
    pg_get_userbyid(c.relowner) AS owner, NOT c.relispopulated AS unfilled,
    CASE WHEN c.relkind = 'p' THEN (SELECT CASE WHEN bool_and(l.relpersistence = 'u') THEN 'all' WHEN bool_or(l.relpersistence = 'u') THEN 'some' END
        FROM pg_partition_tree(c.oid) t JOIN pg_class l ON l.oid = t.relid WHERE t.isleaf AND l.relkind <> 'p')
      WHEN c.relpersistence = 'u' THEN 'all' END AS unlogged,
    ${columnsOfIndex('i.indisprimary')} AS primary_key,
    coalesce((
      SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
        'builtIn', CASE WHEN t.typtype = 'b' AND t.typnamespace = 'pg_catalog'::regnamespace THEN t.typname ELSE '' END,
        'generated', a.attgenerated <> '') ORDER BY a.attnum)
      FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]'::json) AS columns
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN (${kinds}) AND NOT c.relispartition AND c.relpersistence <> 't' AND ${ownSchemas} AND ${which}
  ORDER BY 1, 2`;

const selections = {
  own: tablesSql(`'r', 'p'`, notOfExtension),
  everything: tablesSql(`'r', 'p', 'm'`, 'true'),
  'of extensions': tablesSql(`'r', 'p'`, `NOT (${notOfExtension})`),
};

/**
 * The application's tables, or those that belong to extensions, which are not replicated, or both with all materialised views. A
 * partitioned table is listed once, as its root.
 */
export async function tablesOf(client: pg.Client, which: keyof typeof selections = 'own'): Promise<Table[]> {
  interface Row {
    schema: string;
    table: string;
    partitioned: boolean;
    owner: string;
    unfilled: boolean;
    unlogged: Table['unlogged'] | null;
    primary_key: string[];
    columns: Column[];
  }
  return (await rows<Row>(client, selections[which])).map((r) => ({
    name: `${r.schema}.${r.table}`,
    sql: `${sqlIdentifier(r.schema)}.${sqlIdentifier(r.table)}`,
    partitioned: r.partitioned,
    owner: r.owner,
    columns: r.columns,
    primaryKey: r.primary_key,
    ...(r.unfilled ? { unfilled: true } : {}),
    ...(r.unlogged === null ? {} : { unlogged: r.unlogged }),
  }));
}

/**
 * SQL: the materialised views for which `which` holds, quoted as \`name\`, in the order in which they can be refreshed: one that reads another comes
 * after it, also through views. By age would be wrong where a view in between was replaced.
 */
export const viewsInOrder = (which: string): string => `
  WITH RECURSIVE reads AS (
    SELECT DISTINCT r.ev_class AS view, d.refobjid AS relation FROM pg_rewrite r
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class),
  reach AS (SELECT view, relation FROM reads UNION SELECT reach.view, reads.relation FROM reach JOIN reads ON reads.view = reach.relation)
  SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'm' AND ${which} AND ${ownSchemas} AND ${notOfExtension}
  ORDER BY (SELECT count(*) FROM reach WHERE reach.view = c.oid), c.oid`;

/** Whether there is a relation of this name, which is as SQL has it. */
export const relationExists = async (client: pg.Client, name: string): Promise<boolean> =>
  (await rows<{ yes: boolean }>(client, 'SELECT to_regclass($1) IS NOT NULL AS yes', [name]))[0]?.yes === true;

/** How many relations (tables, views) the application has, in whatever schema. */
export async function countRelations(client: pg.Client): Promise<number> {
  const [found] = await rows<{ count: number }>(
    client,
    `SELECT count(*)::int AS count FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'v', 'm', 'p') AND ${ownSchemas} AND ${notOfExtension}`,
  );
  return found?.count ?? 0;
}

/** `FROM` clause of exactly this table. `ONLY` keeps the rows of inheriting tables from being counted twice. */
export const fromTable = (table: Pick<Table, 'sql' | 'partitioned'>): string =>
  table.partitioned ? table.sql : `ONLY ${table.sql}`;

/** Types whose values cannot identify a person. A key of another type, such as an email address, is shown as a hash. */
const harmless = new Set(['int2', 'int4', 'int8', 'uuid', 'date', 'timestamp', 'timestamptz', 'bool', 'oid']);

/** A row's primary key for a message: `id = 5`. Keys that may be personal data are hashed: `email = sha256:1b2c3d4e`. */
export function describeKey(table: Pick<Table, 'primaryKey' | 'columns'>, values: (string | null)[]): string {
  return table.primaryKey
    .map((name, index) => {
      const value = values[index] ?? 'null';
      const type = table.columns.find((c) => c.name === name)?.builtIn ?? '';
      return `${name} = ${harmless.has(type) ? value : `sha256:${createHash('sha256').update(value).digest('hex').slice(0, 8)}`}`;
    })
    .join(', ');
}
