import type pg from 'pg';
import { sqlIdentifier, sqlLiteral } from '../../../infra/application/roles.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import { fromTable, viewsInOrder, type Table } from '../catalog.ts';
import { row, rows, sqlState } from '../connect.ts';
import { refusalOf } from './fit.ts';

/** A column and the SQL expression of its new value. */
export interface Assignment {
  column: string;
  value: string;
  type: string;
  collation: string;
}

/**
 * PostgreSQL does not change the type of a column that a view, a generated column, a trigger, a policy or an heir uses:
 * feature_not_supported, invalid_table_definition, wrong_object_type.
 */
const inUse = new Set(['0A000', '42P16', '42809']);

/**
 * Gives columns new values in every row. Changing the type, to the same one, writes the table once and its indexes after
 * it. Where PostgreSQL does not allow that, the rows are updated, and the caller has to remove the old ones by VACUUM FULL.
 * `permuted`: a new value can be that of a row that is not updated yet, against which a unique index would protest.
 */
export async function rewriteTable(
  client: pg.Client,
  table: Table,
  assignments: readonly Assignment[],
  { permuted = false }: { permuted?: boolean } = {},
): Promise<'rewritten' | 'updated'> {
  const changes = assignments.map(
    ({ column, value, type, collation }) =>
      `ALTER COLUMN ${sqlIdentifier(column)} TYPE ${type}${collation} USING ${value}`,
  );
  if (await alike(client, table)) {
    await client.query('SAVEPOINT rewrite');
    try {
      await client.query(`ALTER TABLE ${fromTable(table)} ${changes.join(', ')}`);
      return 'rewritten';
    } catch (error) {
      if (!inUse.has(sqlState(error) ?? '')) throw error;
      await client.query('ROLLBACK TO SAVEPOINT rewrite');
    }
  }
  const again = await silence(client, table);
  for (const statement of permuted ? replaceRows(table, assignments) : [updateRows(table, assignments)])
    await client.query(statement);
  for (const statement of again) await client.query(statement);
  return 'updated';
}

function updateRows(table: Table, assignments: readonly Assignment[]): string {
  const columns = assignments.map(({ column }) => sqlIdentifier(column));
  const changes = assignments.map(({ value }, at) => `${columns[at]} = ${value}`);
  return `UPDATE ${fromTable(table)} SET ${changes.join(', ')} WHERE num_nonnulls(${columns.join(', ')}) > 0`;
}

/** Takes all rows out before the first one comes back. */
function replaceRows(table: Table, assignments: readonly Assignment[]): string[] {
  const columns = table.columns.filter((c) => !c.generated).map((c) => c.name);
  const values = columns.map((c) => assignments.find((a) => a.column === c)?.value ?? sqlIdentifier(c));
  const names = columns.map(sqlIdentifier).join(', ');
  return [
    `CREATE TEMPORARY TABLE gl_rows (${columns.map((_, at) => `c${at}`).join(', ')}) ON COMMIT DROP AS SELECT ${values.join(', ')} FROM ${fromTable(table)}`,
    `DELETE FROM ${fromTable(table)}`,
    `INSERT INTO ${table.sql} (${names}) OVERRIDING SYSTEM VALUE SELECT * FROM gl_rows`,
    'DROP TABLE gl_rows',
  ];
}

/**
 * Whether all partitions have the columns where their root has them. Otherwise PostgreSQL 15 evaluates the expression of a
 * type's change over a wrong column in some of them.
 */
async function alike(client: pg.Client, table: Table): Promise<boolean> {
  const { yes } = await row<{ yes: boolean }>(
    client,
    `SELECT NOT EXISTS (SELECT FROM pg_partition_tree($1::regclass) p JOIN pg_attribute a ON a.attrelid = p.relid
       JOIN pg_attribute r ON r.attrelid = $1::regclass AND r.attname = a.attname WHERE a.attnum > 0 AND r.attnum <> a.attnum) AS yes`,
    [table.sql],
  );
  return yes;
}

/**
 * Switches off the triggers and rules that fire even in a session that replays changes: they may copy the originals. Resolves to
 * the statements that switch them on again.
 */
async function silence(client: pg.Client, table: Table): Promise<string[]> {
  const found = await rows<{ off: string; on: string }>(
    client,
    `WITH RECURSIVE part AS (SELECT $1::regclass::oid AS oid UNION SELECT i.inhrelid FROM part p JOIN pg_inherits i ON i.inhparent = p.oid),
       loud AS (
         SELECT tgrelid AS rel, 'TRIGGER' AS what, tgname AS name, tgenabled AS state FROM pg_trigger WHERE NOT tgisinternal OR tgparentid <> 0
         UNION ALL SELECT ev_class, 'RULE', rulename, ev_enabled FROM pg_rewrite WHERE ev_type <> '1')
     SELECT format('ALTER TABLE ONLY %s DISABLE %s %I', rel::regclass, what, name) AS off,
       format('ALTER TABLE ONLY %s ENABLE %s %s %I', rel::regclass, CASE state WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END, what, name) AS on
     FROM loud JOIN part ON part.oid = loud.rel WHERE state IN ('A', 'R')`,
    [table.sql],
  );
  for (const { off } of found) await client.query(off);
  return found.map(({ on }) => on);
}

/**
 * Drops the foreign keys over masked columns, because both ends get new values one after the other. Resolves to the statements
 * that create them again, with their comments.
 */
export async function dropKeys(
  client: pg.Client,
  columns: readonly { table: Table; column: string }[],
): Promise<string[]> {
  const keys = await rows<{ table: string; name: string; definition: string; comment: string | null }>(
    client,
    `SELECT DISTINCT k.conrelid::regclass::text AS "table", k.conname AS name, pg_get_constraintdef(k.oid) AS definition, obj_description(k.oid, 'pg_constraint') AS comment
     FROM pg_constraint k CROSS JOIN LATERAL (VALUES (k.conrelid, k.conkey), (k.confrelid, k.confkey)) AS side (rel, key)
     JOIN pg_attribute a ON a.attrelid = side.rel AND a.attnum = ANY (side.key)
     JOIN unnest($1::text[], $2::text[]) AS m (rel, name) ON m.rel::regclass = coalesce(pg_partition_root(side.rel), side.rel) AND m.name = a.attname
     WHERE k.contype = 'f' AND k.conparentid = 0`,
    [columns.map((c) => c.table.sql), columns.map((c) => c.column)],
  );
  for (const { table, name } of keys) await client.query(`ALTER TABLE ${table} DROP CONSTRAINT ${sqlIdentifier(name)}`);
  return keys.flatMap(({ table, name, definition, comment }) => [
    `ALTER TABLE ${table} ADD CONSTRAINT ${sqlIdentifier(name)} ${definition}`,
    ...(comment === null ? [] : [`COMMENT ON CONSTRAINT ${sqlIdentifier(name)} ON ${table} IS ${sqlLiteral(comment)}`]),
  ]);
}

/**
 * Switches off the event triggers that fire even in a session that replays changes: one may refuse, or log, what is done here. Resolves
 * to the statements that switch them on again.
 */
export async function silenceEvents(client: pg.Client): Promise<string[]> {
  const found = await rows<{ off: string; on: string }>(
    client,
    `SELECT format('ALTER EVENT TRIGGER %I DISABLE', evtname) AS off,
       format('ALTER EVENT TRIGGER %I ENABLE %s', evtname, CASE evtenabled WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END) AS on
     FROM pg_event_trigger WHERE evtenabled IN ('A', 'R')`,
  );
  for (const { off } of found) await client.query(off);
  return found.map(({ on }) => on);
}

/** Refreshes the materialised views that hold rows. Throws an OperationError that names one that cannot be. */
export async function refreshViews(client: pg.Client): Promise<string[]> {
  const views = await rows<{ name: string }>(client, viewsInOrder('c.relispopulated'));
  for (const { name } of views)
    await client.query(`REFRESH MATERIALIZED VIEW ${name}`).catch((error: unknown) => {
      throw new OperationError(
        'masking personal data',
        `the materialised view ${name} cannot be refreshed over masked values: ${refusalOf(error)}`,
        'nothing was changed; let its query take any value, or drop it from what is copied',
        { cause: error },
      );
    });
  return views.map(({ name }) => name);
}

/** The tables that these inherit from: their statistics cover them. */
export async function ancestorsOf(client: pg.Client, tables: readonly Table[]): Promise<string[]> {
  const found = await rows<{ name: string }>(
    client,
    `WITH RECURSIVE above AS (SELECT inhparent FROM pg_inherits WHERE inhrelid = ANY ($1::text[]::regclass[])
       UNION SELECT i.inhparent FROM above a JOIN pg_inherits i ON i.inhrelid = a.inhparent)
     SELECT format('%I.%I', n.nspname, c.relname) AS name FROM above JOIN pg_class c ON c.oid = inhparent JOIN pg_namespace n ON n.oid = c.relnamespace`,
    [tables.map((t) => t.sql)],
  );
  return found.map(({ name }) => name);
}

/** Bytes that the tables take, with indexes: as much again is needed while they are rewritten, as all of it is one transaction. */
export async function sizeOf(client: pg.Client, tables: readonly Table[]): Promise<number> {
  const { bytes } = await row<{ bytes: string }>(
    client,
    `SELECT coalesce(sum(pg_total_relation_size(p.relid)), 0)::text AS bytes FROM unnest($1::text[]) t
     CROSS JOIN LATERAL (SELECT relid FROM pg_partition_tree(t::regclass) UNION SELECT t::regclass) p`,
    [tables.map((t) => t.sql)],
  );
  return Number(bytes);
}
