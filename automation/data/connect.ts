import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { DatabaseRole } from '../../infra/application/database-url.ts';
import { catalogFirst, endTransactionTimeout, sessionOptions } from '../../infra/application/session-settings.ts';
import { greenlight } from '../../infra/lib/command.ts';
import { messageOf, OperationError } from '../../infra/lib/errors.ts';
import type { DatabaseAccess } from '../../infra/platform/databases.ts';

/** Shown in `pg_stat_activity`, so that a database administrator can tell whose session it is. */
export const applicationName = 'greenlight';

export interface ConnectOptions {
  /** Statement timeout, ms. The server enforces it; the client does so a little later. */
  statementMs?: number;
  applicationName?: string;
  /** Another database of the same server, needed to drop and create the application's own. */
  database?: string;
  /** A session of the replication protocol, which also takes plain SQL. */
  replication?: boolean;
}

/** Known to the driver, and missing in its types. */
type ReplicationConfig = pg.ClientConfig & { replication?: 'database' };

interface ParameterStatus {
  parameterName: string;
  parameterValue: string;
}

const versions = new WeakMap<pg.ClientBase, number>();

/** Major version of the server of a session of `connect`. */
export const serverVersion = (client: pg.ClientBase): number | undefined => versions.get(client);

const connectMs = 5_000;
const statementMs = 60_000;
/** How much longer than the server the client waits, ms. So the client gives up only on a server that does not answer. */
const graceMs = 5_000;

/**
 * Opens a session over TLS with the server's certificate and name verified.
 * Throws an OperationError with the code `unreachable`, which names host, port and role, never the password.
 */
export async function connect(
  access: DatabaseAccess,
  role: DatabaseRole,
  options: ConnectOptions = {},
): Promise<pg.Client> {
  const statement = options.statementMs ?? statementMs;
  const replication: ReplicationConfig = options.replication === true ? { replication: 'database' } : {};
  const client = new pg.Client({
    ...replication,
    host: access.host,
    port: access.port,
    database: options.database ?? access.database,
    user: access[role].user,
    password: access[role].password,
    // Without `host` Node would compare the certificate's name with "localhost".
    ssl: { ca: await readFile(access.caFile, 'utf8'), host: access.host },
    application_name: options.applicationName ?? applicationName,
    connectionTimeoutMillis: connectMs,
    options: sessionOptions,
    statement_timeout: statement,
    query_timeout: statement + graceMs,
    keepAlive: true,
  });
  // The server may end an idle session. The next query then rejects, and is where this is handled.
  client.on('error', () => undefined);
  client.connection.on('parameterStatus', ({ parameterName, parameterValue }: ParameterStatus) => {
    if (parameterName === 'server_version') versions.set(client, Number.parseInt(parameterValue, 10));
  });
  const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>;
  client.query = ((...args: unknown[]) => query(...args).catch(noteOrigin)) as typeof client.query;
  try {
    await client.connect().catch(noteOrigin);
    if ((serverVersion(client) ?? 0) >= 17) await client.query(endTransactionTimeout);
    // What is run as the owner, or as the application, has the path that its author knows.
    if (role === 'admin') await client.query(catalogFirst);
  } catch (error) {
    void client.end().catch(() => undefined);
    throw new OperationError(
      `connecting to the database ${options.database ?? access.database} on ${access.host}:${access.port} as ${access[role].user}`,
      messageOf(error),
      `see that the database runs: ${greenlight('status')}`,
      { cause: error, code: 'unreachable' },
    );
  }
  return client;
}

/** Runs `work` with a session and closes the session, also if `work` rejects. */
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

/** Timeout for an orderly close, ms: a server that hangs never answers. */
const goodbyeMs = 1_000;

/** Closes a session. No error if it is broken already. The server rolls back an open transaction. */
export async function close(client: pg.Client | undefined): Promise<void> {
  if (client === undefined) return;
  const timer = setTimeout(() => client.connection.stream.destroy(), goodbyeMs);
  await client.end().catch(() => undefined);
  clearTimeout(timer);
}

/** Runs a statement and resolves to its rows. */
export async function rows<T>(client: pg.Client, sql: string, values?: unknown[]): Promise<T[]> {
  return (await client.query(sql, values)).rows as T[];
}

/**
 * Runs exactly one statement. In the extended protocol the server refuses a text that holds several, so that none of them
 * can end the caller's transaction.
 */
export function runSingle(client: pg.Client, text: string): Promise<pg.QueryResult> {
  const query: pg.QueryConfig & { queryMode: 'extended' } = { text, queryMode: 'extended' };
  return client.query(query);
}

/** Runs a statement and resolves to its first row. Rejects if there is none. */
export async function row<T>(client: pg.Client, sql: string, values?: unknown[]): Promise<T> {
  const [first] = await rows<T>(client, sql, values);
  if (first === undefined) throw new Error(`no row: ${sql}`);
  return first;
}

/** Whether a server said that it is not ready yet: it starts, or replays its log. */
export const isStarting = (error: unknown): boolean =>
  error instanceof Error && (sqlState(error) === '57P03' || isStarting(error.cause));

/** SQLSTATEs of a server that refuses a session, and is whole: who logs in, too many sessions, no memory. */
const refusedSession = /^(28...|53[23]00)$/;

/** Whether a server runs and did not let a session in: that says nothing of its data. */
export const runsButRefuses = (error: unknown): boolean =>
  error instanceof Error && (refusedSession.test(sqlState(error) ?? '') || runsButRefuses(error.cause));

/** SQLSTATE of a PostgreSQL error. */
export const sqlState = (error: unknown): string | undefined =>
  error instanceof pg.DatabaseError ? error.code : undefined;

/**
 * Whether a database could not read or write its own files: data corrupted, an index broken, a file gone, a disk full or failing.
 * Classes XX, 58 and 53100 of https://www.postgresql.org/docs/15/errcodes-appendix.html
 */
export const isDamage = (error: unknown): boolean => /^(XX...|58...|53100)$/.test(sqlState(error) ?? '');

/**
 * SQLSTATEs of a session that ended or could not begin, including "too many connections".
 * See https://www.postgresql.org/docs/15/errcodes-appendix.html
 */
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
 * Errors that `pg` itself raised in a session of `connect`, such as a timeout or a closed connection. They have no code, so
 * they are recognised by their origin.
 */
const raisedByClient = new WeakSet<Error>();

function noteOrigin(error: unknown): never {
  const plain = error instanceof Error && !(error instanceof TypeError) && !('code' in error);
  if (plain) raisedByClient.add(error);
  throw error;
}

/** Whether an error only says that a session was lost. The same work may succeed with a new session. */
export function isLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof pg.DatabaseError) return lostState.test(error.code ?? '');
  const { code } = error as NodeJS.ErrnoException;
  if ((code !== undefined && lostCodes.has(code)) || raisedByClient.has(error)) return true;
  return error.cause !== undefined && isLost(error.cause);
}

const againMs = 100;

/**
 * Retries `work`, which opens its own sessions, for as long as they are lost. Rejects with the last error at `deadline`
 * (`performance.now()`), and at once on any other error.
 */
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
