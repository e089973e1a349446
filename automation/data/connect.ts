import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { DatabaseRole } from '../../infra/application/database-url.ts';
import { messageOf, OperationError } from '../../infra/lib/errors.ts';
import type { DatabaseAccess } from '../../infra/platform/databases.ts';

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

/** What the owner has set for the application, of the database or of a role, must not act on this program's sessions. A session may set it itself. */
const sessionSettings = {
  // Questions to the catalog look dear to the planner, and are not: compiling them took 0.8 s of one that takes 10 ms.
  jit: 'off',
  default_transaction_read_only: 'off',
  default_transaction_isolation: String.raw`read\ committed`,
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  lock_timeout: '0',
};

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
    options: Object.entries(sessionSettings)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
    statement_timeout: statement,
    query_timeout: statement + graceMs,
    keepAlive: true,
  });
  // A session that the server ends while nobody uses it: the next query rejects, which is where it is handled.
  client.on('error', () => undefined);
  const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>;
  client.query = ((...args: unknown[]) => query(...args).catch(noteOrigin)) as typeof client.query;
  try {
    await client.connect().catch(noteOrigin);
  } catch (error) {
    void client.end().catch(() => undefined);
    throw new OperationError(
      `connecting to the database ${options.database ?? access.database} on ${access.host}:${access.port} as ${access[role].user}`,
      messageOf(error),
      'see that the database runs: npm run status',
      { cause: error, code: 'unreachable' },
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

/** How long a server may take to say goodbye, ms: one that stands still never does. */
const goodbyeMs = 1_000;

/** Closes a session; one that is broken already is no error. An open transaction is rolled back by the server. */
export async function close(client: pg.Client | undefined): Promise<void> {
  if (client === undefined) return;
  const timer = setTimeout(() => client.connection.stream.destroy(), goodbyeMs);
  await client.end().catch(() => undefined);
  clearTimeout(timer);
}

/** Rows of one statement. */
export async function rows<T>(client: pg.Client, sql: string, values?: unknown[]): Promise<T[]> {
  return (await client.query(sql, values)).rows as T[];
}

/** Runs exactly one statement: by the extended protocol the server refuses a text with several, such as one that ends the transaction. */
export function runSingle(client: pg.Client, text: string): Promise<pg.QueryResult> {
  const query: pg.QueryConfig & { queryMode: 'extended' } = { text, queryMode: 'extended' };
  return client.query(query);
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

/** Classes and codes of a session that ended or could not begin, for want of a free one as well: https://www.postgresql.org/docs/15/errcodes-appendix.html */
const lostState = /^(08...|57P0[1235]|53300)$/;
const lostCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
]);
/**
 * Errors that `pg` raised by itself in a session of `connect`: closed, timed out, not usable any more. It gives them no
 * code, so they are known by where they came from.
 */
const raisedByClient = new WeakSet<Error>();

function noteOrigin(error: unknown): never {
  const plain = error instanceof Error && !(error instanceof TypeError) && !('code' in error);
  if (plain) raisedByClient.add(error);
  throw error;
}

/** Whether an error says only that a session is gone: the same may succeed with a new one, once the server is back. */
export function isLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof pg.DatabaseError) return lostState.test(error.code ?? '');
  const { code } = error as NodeJS.ErrnoException;
  if ((code !== undefined && lostCodes.has(code)) || raisedByClient.has(error)) return true;
  return error.cause !== undefined && isLost(error.cause);
}

const againMs = 100;

/** Repeats `work`, which opens its own sessions, for as long as they get lost, until `deadline` (`performance.now()`). Rejects with its last error. */
export async function whileLost<T>(deadline: number, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isLost(error) || performance.now() > deadline) throw error;
      await sleep(againMs);
    }
  }
}
