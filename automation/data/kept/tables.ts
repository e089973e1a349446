import type pg from 'pg';
import { relationExists } from '../catalog.ts';
import { rows } from '../connect.ts';

/**
 * What only the new version knows, kept aside at the way back. It lies in the schema `greenlight` of the database that is live again:
 * the application has no rights there, a backup has it, and the copy for the next release brings it to the new colour. Values are
 * text, because types of the new version do not exist there. `was`: of an `unfit` row, what the live side has in its place, by column.
 */
const tablesSql = `
  CREATE TABLE IF NOT EXISTS greenlight.kept_sets (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, release text NOT NULL,
    version text NOT NULL, kept_at timestamptz NOT NULL DEFAULT now(), kind text NOT NULL, relation text NOT NULL,
    sql text NOT NULL, columns text[] NOT NULL, types text[] NOT NULL, key text[] NOT NULL);
  CREATE TABLE IF NOT EXISTS greenlight.kept_rows (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    set bigint NOT NULL REFERENCES greenlight.kept_sets ON DELETE CASCADE, data text[] NOT NULL);
  ALTER TABLE greenlight.kept_rows ADD COLUMN IF NOT EXISTS was jsonb;
  CREATE INDEX IF NOT EXISTS kept_rows_set ON greenlight.kept_rows (set)`;

/**
 * `table`: rows of a table that the old schema lacks. `columns`: a key and the values of columns that it lacks. `sequence`: the state of
 * a sequence that it lacks. `unfit`: rows of a table of both that the old schema could not hold.
 */
export type Kind = 'table' | 'columns' | 'sequence' | 'unfit';

export interface KeptSet {
  id: string;
  release: string;
  version: string;
  kind: Kind;
  /** `public.reminders`, for people. */
  relation: string;
  /** The same, quoted for SQL. */
  sql: string;
  /** Names and types of the values of a row, in order; those of the key first. */
  columns: string[];
  types: string[];
  key: string[];
  rows: number;
}

/** The sets that a database has; none before the first way back. */
export async function keptSets(client: pg.Client): Promise<KeptSet[]> {
  if (!(await relationExists(client, 'greenlight.kept_sets'))) return [];
  return rows<KeptSet>(
    client,
    `SELECT id::text, release, version, kind, relation, sql, columns, types, key,
       (SELECT count(*)::int FROM greenlight.kept_rows r WHERE r.set = s.id) AS rows
     FROM greenlight.kept_sets s ORDER BY s.id`,
  );
}

export const createKeptTables = (client: pg.Client): Promise<unknown> => client.query(tablesSql);
