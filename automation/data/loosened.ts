import type pg from 'pg';
import { relationExists } from './catalog.ts';
import { rows } from './connect.ts';

/**
 * What was repeated on a database of what the expand migrations of a version had loosened on the other one. It is in the database itself,
 * as the next try of that version migrates a copy of it.
 */
export interface Loosened {
  kind: string;
  /** As in the catalog (`objects/`): `public.codes.code`, quoted where it has to be. */
  name: string;
  /** The definition before; null where it was not there. */
  was: string | null;
  /** For people. */
  says: string;
}

const table = 'greenlight.loosened';

export const createLoosened = (client: pg.Client): Promise<unknown> =>
  client.query(
    `CREATE TABLE IF NOT EXISTS ${table} (kind text, name text, was text, says text NOT NULL, PRIMARY KEY (kind, name))`,
  );

export const addLoosened = (client: pg.Client, { kind, name, was, says }: Loosened): Promise<unknown> =>
  client.query(
    `INSERT INTO ${table} VALUES ($1, $2, $3, $4) ON CONFLICT (kind, name) DO UPDATE SET was = excluded.was, says = excluded.says`,
    [kind, name, was, says],
  );

/** Empty before the first flip to a version that loosens something. */
export async function loosenedOn(client: pg.Client): Promise<Loosened[]> {
  if (!(await relationExists(client, table))) return [];
  return rows(client, `SELECT kind, name, was, says FROM ${table} ORDER BY kind, name`);
}

/** In a copy of such a database, once its own migrations have run. */
export const forgetLoosened = (client: pg.Client): Promise<unknown> => client.query(`DROP TABLE IF EXISTS ${table}`);
