import pg from 'pg';
import type { Table } from '../catalog.ts';
import { isLost, row } from '../connect.ts';
import type { Snapshot } from './snapshot.ts';

/** A table on one side: the sessions that read it, and the expression that hashes its rows. */
export interface Source {
  snapshot: Snapshot;
  table: Table;
  hash: string;
  /** Without the rows of unlogged partitions. */
  logged?: true;
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

/**
 * Whether PostgreSQL refused to read something, in a session that goes on: no right, a policy, a lock, a damaged page, a row that is
 * too large, a foreign partition whose server cannot be reached.
 */
export const isRefusal = (error: unknown): error is pg.DatabaseError =>
  error instanceof pg.DatabaseError && (!isLost(error) || ofForeignServer.has(error.code ?? ''));

/** SQLSTATEs of a connection that a server tells of: it is one to another server, as it could not tell of its own. */
const ofForeignServer = new Set(['08001', '08006']);

/** A table that a session cannot read. The reason is PostgreSQL's message, which mostly does not name the table. */
export class Unreadable extends Error {
  readonly snapshot: Snapshot;
  readonly reason: string;
  constructor({ snapshot, table }: Source, cause: Error) {
    super(`${table.name} cannot be read: ${cause.message}`, { cause });
    this.snapshot = snapshot;
    this.reason = cause.message;
  }
}

/**
 * Runs `read` on one table in a free session of a snapshot. Releases the table's lock afterwards, so that a schema change waits
 * for one table only. The statement timeout depends on the table's size. Rejects with `Unreadable`.
 */
export function reading<T>(source: Source, read: (client: pg.Client, limits: Limits) => Promise<T>): Promise<T> {
  const { snapshot, table } = source;
  return snapshot.run(async (client) => {
    const size = `SELECT sum(pg_table_size(relid))::float8 AS bytes FROM ${relationsOf}`;
    // The size is asked for under the table's lock, for which there may be a wait.
    await client.query(`SAVEPOINT reading; SET LOCAL statement_timeout = ${leastMs}`);
    try {
      const { bytes } = await row<{ bytes: number }>(client, size, [table.sql]);
      const statementMs = Math.round(leastMs + bytes / bytesPerMs);
      await client.query(`SET LOCAL statement_timeout = ${statementMs}`);
      const result = await read(client, { query_timeout: statementMs + graceMs });
      await client.query(release);
      return result;
    } catch (error) {
      await client.query(release).catch(() => undefined);
      throw isRefusal(error) ? new Unreadable(source, error) : error;
    }
  });
}

/** A statement within `reading` that takes so much longer, ms, than reading the bytes does. The time ends with the reading. */
export async function longer(client: pg.Client, { query_timeout: atMost }: Limits, ms: number): Promise<Limits> {
  await client.query(`SET LOCAL statement_timeout = ${Math.round(atMost - graceMs + ms)}`);
  return { query_timeout: Math.round(atMost + ms) };
}

const release = 'ROLLBACK TO SAVEPOINT reading; RELEASE SAVEPOINT reading';
