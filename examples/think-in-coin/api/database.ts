import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { HttpError } from '../http.ts';

/** What both the pool and a client in a transaction can do. */
export type Queryable = Pick<pg.Pool, 'query'>;

/** SQLSTATEs that say that the server went away, or is about to. */
const gone = new Set(['57P01', '57P02', '57P03', '53300', '08000', '08001', '08003', '08006']);
/** The role may not write here, or not now: this colour is not live, or is being changed over. */
const readOnly = new Set(['42501', '25006']);

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';

const isGone = (error: unknown): boolean =>
  gone.has(codeOf(error)) ||
  /^E(CONN|PIPE|TIMEDOUT|HOSTUNREACH|AI_AGAIN|NOTFOUND)/.test(codeOf(error)) ||
  (error instanceof Error && /Connection terminated|timeout exceeded when trying to connect/.test(error.message));

/** An error of the database as an answer. 503 where trying again helps; the details go to the log, not to the user. */
export function databaseFailure(error: unknown): HttpError {
  if (isGone(error)) return new HttpError(503, 'The database cannot be reached just now.', { 'retry-after': '1' });
  if (readOnly.has(codeOf(error))) return new HttpError(503, 'Nothing can be saved just now.', { 'retry-after': '1' });
  return new HttpError(500, 'Something went wrong. It has been noted.');
}

export function openPool(url: string): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: 10,
    connectionTimeoutMillis: 2000,
    idleTimeoutMillis: 30_000,
    statement_timeout: 5000,
    application_name: 'think-in-coin',
  });
  // Without a listener the loss of an idle connection would end the process.
  pool.on('error', (error) =>
    console.error(JSON.stringify({ level: 'warn', message: `idle connection: ${error.message}` })),
  );
  return pool;
}

/** How often a read is tried, and the pause before the next try, milliseconds. */
const tries = 3;
const pauseMs = 50;

/** Runs a read; again if its connection turns out to be dead, as all of the pool are when the server was restarted. */
export async function read<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (!isGone(error) || attempt === tries) throw error;
      await wait(pauseMs);
    }
  }
}

/**
 * One transaction. Never repeated: after a lost connection nobody knows whether it was committed, and the client is not told to
 * try again, which would make the write twice.
 */
export async function transaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  // A connection that breaks between two queries says so here; the next query rejects.
  const ignore = (): void => undefined;
  client.on('error', ignore);
  let broken: Error | undefined;
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit').catch((error: unknown) => {
      throw isGone(error) ? new HttpError(500, 'Nobody knows whether that was saved.') : error;
    });
    return result;
  } catch (error) {
    await client.query('rollback').catch((failure: Error) => (broken = failure));
    throw error;
  } finally {
    client.off('error', ignore);
    client.release(broken);
  }
}
