import type pg from 'pg';
import { relationExists } from './catalog.ts';
import { rows } from './connect.ts';

/**
 * What a database says of the release that wrote to it: from which transaction on its rows are the new version's, and not those of the
 * migrations. One row, from the expand migrations until the clean-up. It is in the database itself, so that whoever empties that
 * knows, after any crash.
 */
export interface Mark {
  release: string;
  version: string;
  /** Whether the version was live here. */
  live: boolean;
  /** Whether what only it knows was kept aside, after a way back. */
  kept: boolean;
}

const table = 'greenlight.written_by';

/** Marks the database after the expand migrations: rows written from here on are not the migrations'. */
export async function markExpanded(
  client: pg.Client,
  { release, version }: Pick<Mark, 'release' | 'version'>,
): Promise<void> {
  await client.query(
    `DROP TABLE IF EXISTS ${table};
     CREATE TABLE ${table} (release text NOT NULL, version text NOT NULL, since xid8 NOT NULL, live boolean NOT NULL, kept boolean NOT NULL)`,
  );
  await client.query(`INSERT INTO ${table} VALUES ($1, $2, pg_current_xact_id(), false, false)`, [release, version]);
}

/** Call it before the version may write. */
export const markLive = (client: pg.Client): Promise<void> => set(client, 'live');
export const markKept = (client: pg.Client): Promise<void> => set(client, 'kept');

async function set(client: pg.Client, column: 'live' | 'kept'): Promise<void> {
  if (await relationExists(client, table)) await client.query(`UPDATE ${table} SET ${column} = true`);
}

export const unmark = async (client: pg.Client): Promise<void> =>
  void (await client.query(`DROP TABLE IF EXISTS ${table}`));

export async function readMark(client: pg.Client): Promise<Mark | undefined> {
  if (!(await relationExists(client, table))) return undefined;
  return (await rows<Mark>(client, `SELECT release, version, live, kept FROM ${table}`))[0];
}

/** SQL condition on a table's row: it was written after the mark, in a session that has begun a transaction. */
export const writtenSince = `age(xmin) <= (SELECT age(since::xid) FROM ${table})`;
