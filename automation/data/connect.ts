import { readFile } from 'node:fs/promises';
import pg from 'pg';
import type { DatabaseRole } from '../../infra/database-url.ts';
import { messageOf, OperationError } from '../../infra/errors.ts';
import type { DatabaseAccess } from '../../infra/platform.ts';

/** Seen in `pg_stat_activity`, so that a database administrator knows whose session it is. */
export const applicationName = 'greenlight';

export interface ConnectOptions {
  /** Longest time for the connection, ms. */
  connectMs?: number;
  /** Longest time for one statement, ms: enforced by the server, and a little later by the client. */
  statementMs?: number;
  applicationName?: string;
  /** Another database of the same server; used to drop and create the application's own. */
  database?: string;
}

const connectMs = 5_000;
const statementMs = 60_000;
/** How much longer the client waits than the server: only a server that no longer answers at all is given up by it. */
const graceMs = 5_000;

/**
 * Opens a session over TLS with the server's certificate and name verified.
 * Throws an OperationError that names host, port and role, never the password.
 */
export async function connect(
  access: DatabaseAccess,
  role: DatabaseRole,
  options: ConnectOptions = {},
): Promise<pg.Client> {
  const statement = options.statementMs ?? statementMs;
  const client = new pg.Client({
    host: access.host,
    port: access.port,
    database: options.database ?? access.database,
    user: access[role].user,
    password: access[role].password,
    // `host`: without it Node would compare the certificate with "localhost", whatever the server's name is.
    ssl: { ca: await readFile(access.caFile, 'utf8'), host: access.host },
    application_name: options.applicationName ?? applicationName,
    connectionTimeoutMillis: options.connectMs ?? connectMs,
    statement_timeout: statement,
    query_timeout: statement + graceMs,
    keepAlive: true,
  });
  // A session that the server ends while nobody uses it: the next query rejects, which is where it is handled.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    void client.end().catch(() => undefined);
    throw new OperationError(
      `connecting to the database ${options.database ?? access.database} on ${access.host}:${access.port} as ${access[role].user}`,
      messageOf(error),
      'see that the database runs: npm run status',
      { cause: error },
    );
  }
  return client;
}

/** Runs `work` with a session and closes it, whatever happens. */
export async function withClient<T>(
  access: DatabaseAccess,
  role: DatabaseRole,
  work: (client: pg.Client) => Promise<T>,
  options?: ConnectOptions,
): Promise<T> {
  const client = await connect(access, role, options);
  try {
    return await work(client);
  } finally {
    await close(client);
  }
}

/** Closes a session; one that is broken already is no error. An open transaction is rolled back by the server. */
export async function close(client: pg.Client | undefined): Promise<void> {
  await client?.end().catch(() => undefined);
}

/** Rows of one statement. */
export async function rows<T>(client: pg.Client, sql: string, values?: unknown[]): Promise<T[]> {
  return (await client.query(sql, values)).rows as T[];
}

/** The only row of a statement. Throws where there is none. */
export async function row<T>(client: pg.Client, sql: string, values?: unknown[]): Promise<T> {
  const [first] = await rows<T>(client, sql, values);
  if (first === undefined) throw new Error(`no row: ${sql}`);
  return first;
}

/** SQLSTATE of a PostgreSQL error. */
export const sqlState = (error: unknown): string | undefined =>
  error instanceof pg.DatabaseError ? error.code : undefined;
