import type pg from 'pg';
import type { Table } from '../catalog.ts';
import { row, sqlState } from '../connect.ts';
import type { Snapshot } from './snapshot.ts';

/** A table on one side: the sessions that read it, and the expression that hashes its rows. */
export interface Source {
  snapshot: Snapshot;
  table: Table;
  hash: string;
}

/** `relid`s of the table `$1` and its partitions. For a plain table `pg_partition_tree` has no row. */
export const relationsOf = `(SELECT $1::regclass AS relid UNION SELECT relid FROM pg_partition_tree($1::regclass)) AS relation`;

/** Least statement timeout for one table, ms. A table also gets 1 ms for this many bytes. */
const leastMs = 60_000;
const bytesPerMs = 5_000;
/** How much longer than the server the client waits, ms. */
const graceMs = 5_000;

/** Options of `client.query`: how long the client waits for the server. */
export interface Limits {
  query_timeout: number;
}

/** SQLSTATEs of a table that the session may not read, or that has no content yet: insufficient_privilege, object_not_in_prerequisite_state. */
const unreadable = new Set(['42501', '55000']);

/** A table that a session may not read. The message is PostgreSQL's. */
export class Unreadable extends Error {
  readonly snapshot: Snapshot;
  constructor(snapshot: Snapshot, cause: Error) {
    super(cause.message, { cause });
    this.snapshot = snapshot;
  }
}

/**
 * Runs `read` on one table in a free session of a snapshot. Releases the table's lock afterwards, so that a schema change waits
 * for one table only. The statement timeout depends on the table's size. Rejects with `Unreadable`.
 */
export function reading<T>(
  { snapshot, table }: Source,
  read: (client: pg.Client, limits: Limits) => Promise<T>,
): Promise<T> {
  return snapshot.run(async (client) => {
    const size = `SELECT sum(pg_table_size(relid))::float8 AS bytes FROM ${relationsOf}`;
    await client.query('SAVEPOINT reading');
    try {
      const { bytes } = await row<{ bytes: number }>(client, size, [table.sql]);
      const statementMs = Math.round(leastMs + bytes / bytesPerMs);
      await client.query(`SET LOCAL statement_timeout = ${statementMs}`);
      const result = await read(client, { query_timeout: statementMs + graceMs });
      await client.query(release);
      return result;
    } catch (error) {
      await client.query(release).catch(() => undefined);
      throw error instanceof Error && unreadable.has(sqlState(error) ?? '') ? new Unreadable(snapshot, error) : error;
    }
  });
}

/** A statement within `reading` that takes so much longer, ms, than reading the bytes does. The time ends with the reading. */
export async function longer(client: pg.Client, { query_timeout: atMost }: Limits, ms: number): Promise<Limits> {
  await client.query(`SET LOCAL statement_timeout = ${Math.round(atMost - graceMs + ms)}`);
  return { query_timeout: Math.round(atMost + ms) };
}

const release = 'ROLLBACK TO SAVEPOINT reading; RELEASE SAVEPOINT reading';
