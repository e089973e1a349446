import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { OperationError, messageOf } from '../../../infra/lib/errors.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { close, connect, rows, runSingle, sqlState, withClient } from '../connect.ts';
import { isDone, standDown, standIn } from './again.ts';
import { readMigrations, type MigrationFile } from './files.ts';
import type { Loosened } from '../loosened.ts';
import { lockWatch, type LockWatch } from './lock-watch.ts';
import { limitsOf, phaseOf, type LaterFiles, type Phase, type PhaseLimits } from './phases.ts';
import { refuseProblems } from './problems.ts';
import { refusalOf } from './refusals.ts';
import { splitStatements, type Statement } from './statements.ts';

/**
 * Runs plain SQL files in the order of their names, each in one transaction. node-pg-migrate does not fit: it keeps no
 * checksums, has no phases, and reports no line of a file.
 */
export interface MigrationSet extends LaterFiles {
  access: DatabaseAccess;
  directory: string;
  phase: Phase;
}

export interface MigrationRun extends MigrationSet {
  /** Timeout of one attempt to get a lock, ms: writers queue behind it for so long. */
  lockTimeoutMs?: number;
  /** How often a file is tried that cannot get its locks. */
  tries?: number;
  /** Cancels the statement that runs. Its file is rolled back, and the run rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** How long a second program that migrates the same database waits for the first, ms. */
const runnerWaitMs = 60_000;
const runnerLock = `hashtextextended('greenlight.migrations', 0)`;
const lockNotAvailable = '55P03';
/** SQLSTATE of a value of an enum that is used in the transaction that adds it. */
const unsafeNewValue = '55P04';
const pauseMs = 200;
/** Back to the state of a new session, all but the advisory lock: what DISCARD ALL does, without unlocking. */
const freshSession = `
  CLOSE ALL; RESET SESSION AUTHORIZATION; RESET ALL; DEALLOCATE ALL; UNLISTEN *; DISCARD PLANS;
  DISCARD SEQUENCES; DISCARD TEMP`;

/** One message is one transaction. IF NOT EXISTS does not protect from concurrent creation, so a lock does. */
const bookkeeping = `
  SELECT pg_advisory_xact_lock(hashtextextended('greenlight.bookkeeping', 0));
  CREATE SCHEMA IF NOT EXISTS greenlight;
  CREATE TABLE IF NOT EXISTS greenlight.migrations (
    name text PRIMARY KEY, checksum text NOT NULL, phase text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(), ms integer NOT NULL);
  GRANT USAGE ON SCHEMA greenlight TO owner;
  GRANT SELECT, INSERT ON greenlight.migrations TO owner`;

/** Names of the files of this phase that are not applied yet, in order. Rejects if an applied file has changed since. */
export async function pendingMigrations(set: MigrationSet): Promise<string[]> {
  return await withClient(set.access, 'admin', async (client) => (await pending(client, set)).map((file) => file.name));
}

/**
 * Applies the pending files as the schema's owner. Stops at the first file that fails: it is rolled back, and the files
 * before it stay applied. Throws an OperationError with file, line and PostgreSQL's message.
 */
export async function runMigrations(run: MigrationRun): Promise<{ name: string; ms: number }[]> {
  const { access, signal } = run;
  const { statementMs, ...defaults } = limitsOf[run.phase];
  const { lockTimeoutMs = defaults.lockTimeoutMs, tries = defaults.tries } = run;
  const loosened = await withClient(access, 'admin', async (client) => {
    await client.query(bookkeeping);
    return run.phase === 'expand' ? standIn(client) : [];
  });
  const client = await connect(access, 'owner', {
    statementMs,
    applicationName: 'greenlight-migrations',
  });
  let watch: LockWatch | undefined;
  try {
    await onlyRunner(client);
    const files = await Promise.all((await pending(client, run)).map(withStatements));
    watch = await lockWatch(access, client, { lockMs: lockTimeoutMs, statementMs, signal });
    const applied: { name: string; ms: number }[] = [];
    for (const file of files) {
      const ms = await applyWithRetries(client, file, watch, { ...run, lockTimeoutMs, tries, statementMs, loosened });
      applied.push({ name: file.name, ms });
    }
    if (loosened.length > 0) await withClient(access, 'admin', (admin) => standDown(admin, loosened));
    return applied;
  } finally {
    await watch?.stop();
    await close(client);
  }
}

async function onlyRunner(client: pg.Client): Promise<void> {
  await client.query(`SET lock_timeout = ${runnerWaitMs}`);
  try {
    await client.query(`SELECT pg_advisory_lock(${runnerLock})`);
  } catch (error) {
    if (sqlState(error) !== lockNotAvailable) throw error;
    throw new OperationError(
      'migrating',
      'another program has been migrating this database for a minute',
      'wait until it is done, then repeat',
    );
  }
}

async function pending(client: pg.Client, { directory, phase, ...later }: MigrationSet): Promise<MigrationFile[]> {
  const { files, problems } = await readMigrations(directory);
  for (const list of ['incompatible', 'contract'] as const) {
    const unknown = later[list].filter((name) => !files.some((file) => file.name === name));
    if (unknown.length === 0) continue;
    throw new OperationError(
      'reading the migrations',
      `migrations.${list} names files that do not exist: ${unknown.join(', ')}`,
      'correct the names',
    );
  }
  const applied = new Map((await appliedTo(client)).map((a) => [a.name, a.checksum]));
  const changed = files.filter(({ name, checksums }) => {
    const recorded = applied.get(name);
    return recorded !== undefined && !checksums.includes(recorded);
  });
  if (changed.length > 0) {
    const names = changed.map((file) => file.name).join(', ');
    throw new OperationError(
      'reading the migrations',
      `applied already, and changed since: ${names}`,
      'restore the files, and put the change into a new one',
    );
  }
  const left = files.filter((file) => !applied.has(file.name));
  refuseProblems([...problems, ...left.flatMap(({ problem }) => problem ?? [])]);
  return left.filter(({ name }) => phaseOf(name, later) === phase);
}

async function appliedTo(client: pg.Client): Promise<{ name: string; checksum: string }[]> {
  const [table] = await rows<{ there: boolean }>(
    client,
    `SELECT to_regclass('greenlight.migrations') IS NOT NULL AS there`,
  );
  return table?.there === true ? await rows(client, 'SELECT name, checksum FROM greenlight.migrations') : [];
}

type ParsedFile = MigrationFile & { statements: Statement[] };

/** Rejects with an OperationError if a statement must not be in a migration: before anything is applied. */
async function withStatements(file: MigrationFile): Promise<ParsedFile> {
  const statements = await splitStatements(file.sql);
  const [refusal] = statements.flatMap((statement) => refusalOf(statement) ?? []);
  if (refusal === undefined) return { ...file, statements };
  throw new OperationError(`reading the migration ${file.name}:${refusal.line}`, refusal.why, refusal.instead);
}

type Limits = PhaseLimits & Pick<MigrationRun, 'phase' | 'signal'> & { loosened: Loosened[] };

async function applyWithRetries(
  client: pg.Client,
  file: ParsedFile,
  watch: LockWatch,
  limits: Limits,
): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await apply(client, file, limits);
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined);
      limits.signal?.throwIfAborted();
      const cancelled = watch.cancelled();
      const locked = isLocked(error) || cancelled === 'lock';
      if (!locked || attempt >= limits.tries)
        throw failed(
          file,
          cancelled === undefined ? error : overdue(error, cancelled, limits),
          locked ? attempt : undefined,
        );
      await sleep(pauseMs);
    }
  }
}

async function apply(
  client: pg.Client,
  file: ParsedFile,
  { phase, lockTimeoutMs, loosened, signal }: Limits,
): Promise<number> {
  const started = performance.now();
  await client.query(freshSession);
  await client.query(`BEGIN; SET LOCAL lock_timeout = ${lockTimeoutMs}`);
  for (const statement of file.statements) {
    signal?.throwIfAborted();
    if (loosened.length > 0 && (await isDone(client, statement, loosened))) continue;
    await runSingle(client, statement.text).catch((error: unknown) => {
      throw new StatementFailed(lineOf(statement, error), messageOf(error), error);
    });
  }
  const ms = Math.round(performance.now() - started);
  await client.query('INSERT INTO greenlight.migrations (name, checksum, phase, ms) VALUES ($1, $2, $3, $4)', [
    file.name,
    file.checksum,
    phase,
    ms,
  ]);
  signal?.throwIfAborted();
  await client.query('COMMIT');
  return ms;
}

class StatementFailed extends Error {
  readonly line: number;

  constructor(line: number, message: string, cause?: unknown) {
    super(message, { cause });
    this.line = line;
  }
}

/** The line of the position that PostgreSQL names, or else of the statement's beginning. */
function lineOf({ text, line }: Statement, error: unknown): number {
  const position = error instanceof pg.DatabaseError ? Number(error.position ?? Number.NaN) : Number.NaN;
  // PostgreSQL counts characters, from 1.
  return Number.isNaN(position) ? line : line + [...text].slice(0, position - 1).filter((c) => c === '\n').length;
}

const isLocked = (error: unknown): boolean =>
  sqlState(error instanceof StatementFailed ? error.cause : error) === lockNotAvailable;

/** What the watch cancelled says only that somebody did. */
function overdue(error: unknown, cancelled: 'lock' | 'runtime', { statementMs }: PhaseLimits): unknown {
  if (!(error instanceof StatementFailed)) return error;
  const why =
    cancelled === 'lock'
      ? 'lock timeout: it waited for a lock longer than a migration may, whatever lock_timeout the file sets'
      : `it ran longer than ${statementMs / 60_000} minutes`;
  return new StatementFailed(error.line, why, error.cause);
}

function failed(file: MigrationFile, error: unknown, tries: number | undefined): OperationError {
  const line = error instanceof StatementFailed ? `:${error.line}` : '';
  const waited = tries === undefined ? '' : ` (${tries} tries)`;
  if (error instanceof StatementFailed && sqlState(error.cause) === unsafeNewValue) {
    return new OperationError(
      `applying the migration ${file.name}${line}`,
      messageOf(error),
      'it was rolled back; put ALTER TYPE ... ADD VALUE into a file of its own, before this one',
      { cause: error },
    );
  }
  return new OperationError(
    `applying the migration ${file.name}${line}`,
    `${messageOf(error)}${waited}`,
    tries === undefined
      ? 'it was rolled back; correct it, then repeat'
      : 'it was rolled back; end what holds the lock (pg_locks), then repeat',
    { cause: error },
  );
}
