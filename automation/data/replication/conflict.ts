import pg from 'pg';
import { sqlIdentifier, sqlLiteral } from '../../../infra/application/roles.ts';
import { describeKey, tablesOf, type Table } from '../catalog.ts';
import { lockHolders, nameBlockers } from '../blockers.ts';
import { row, rows, sqlState } from '../connect.ts';
import type { Link } from '../link.ts';
import { wordsOf } from '../words.ts';
import { inTrial, Refused, type Trial } from './apply.ts';
import { Decoder, type Change } from './pgoutput.ts';
import { dangersOf } from './schema-drift.ts';

/** Limits of the search: its time, ms, unless told; how long a change may wait for a lock, ms; messages that are fetched at a time. */
const searchMs = 10_000;
const lockMs = 1_000;
const page = 200;
/** PostgreSQL decodes whole transactions until it has so many changes. Some of the first may have been applied already. */
const decoded = 100_000;

/** Why a subscription disabled itself. */
export interface Conflict {
  problem: string;
  /** Whether a retry of the same change would fail again. */
  lasting: boolean;
}

/**
 * Finds out why a subscription disabled itself (`disable_on_error`). PostgreSQL 15 writes the reason only to its server log, which
 * is out of reach. So the transaction that comes next is applied by hand, rolled back, and PostgreSQL's error is quoted. The slot is not
 * advanced. `limitMs`: of the search.
 */
export async function findConflict(
  link: Link,
  source: pg.Client,
  target: pg.Client,
  limitMs = searchMs,
): Promise<Conflict> {
  const tables = await tablesOf(target);
  const stopped = `${link.to.colour} could not apply a change and stopped`;
  try {
    const seen = await tryOut(target, nextTransaction(link, source, target, limitMs), limitMs);
    const { failure } = seen;
    // The catalog of a table that is locked cannot be read.
    const lasting = failure !== undefined && !passing.test(sqlState(failure.error) ?? '');
    const changed = failure === undefined || lasting ? await dangersOf(link, source, target) : undefined;
    const problem =
      failure === undefined ? `${stopped}: ${unexplained(seen)}` : await describe(link, target, tables, failure);
    return { problem: changed === undefined ? problem : `${problem}; ${changed}`, lasting };
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    return { problem: `${stopped}: why could not be found out (${error.message})`, lasting: false };
  }
}

const lockNotAvailable = '55P03';
const uniqueViolation = '23505';
/** SQLSTATE classes of errors that may pass: deadlock, lock timeout, no space, shutdown, input and output. */
const passing = /^(40|53|55|57|58)/;

interface Failure {
  change: Change;
  error: unknown;
}

interface Seen {
  tried: number;
  /** Whether the search ended at its limits. */
  cut: boolean;
  failure?: Failure;
}

/** Applies changes until one fails. Keeps nothing of them. */
async function tryOut(target: pg.Client, changes: AsyncIterable<Change>, limitMs: number): Promise<Seen> {
  const seen: Seen = { tried: 0, cut: false };
  const deadline = performance.now() + limitMs;
  await inTrial(target, lockMs, async (trial: Trial) => {
    for await (const change of changes) {
      try {
        await trial.apply(change);
      } catch (error) {
        if (!(error instanceof Refused) && sqlState(error) === undefined) throw error;
        seen.failure = { change, error };
        return;
      }
      seen.tried += 1;
      seen.cut = performance.now() > deadline;
      if (seen.cut) return;
    }
  });
  return seen;
}

function unexplained({ tried, cut }: Seen): string {
  const what = 'changes of the next transaction';
  if (cut) return `the first ${tried} ${what} can be applied, and more were not tried`;
  if (tried === 0) return 'no change waits to be applied, so a connection was lost';
  return `the ${what} can be applied, so the cause has passed (a lock, a lost connection, a full disk)`;
}

async function describe(link: Link, target: pg.Client, tables: Table[], { change, error }: Failure): Promise<string> {
  const stopped = `${link.to.colour} could not apply a change and stopped`;
  const words = `${quote(error, change)}${await blockedBy(target, error)}`;
  if (change.kind === 'truncate') return `${stopped}: truncate: ${words}`;
  const name = `${change.relation.schema}.${change.relation.name}`;
  const row = { ...(change.kind === 'insert' ? {} : change.old), ...(change.kind === 'delete' ? {} : change.values) };
  const table = tables.find(
    (t) => t.name === name && t.primaryKey.length > 0 && t.primaryKey.every((k) => Object.hasOwn(row, k)),
  );
  if (table === undefined) return `${stopped}: ${change.kind} of table ${name}: ${words}`;
  const key = table.primaryKey.map((column) => row[column] ?? null);
  const text = describeKey(table, key);
  if (change.kind === 'insert' && sqlState(error) === uniqueViolation && (await exists(target, table, key)))
    return `table ${name}: the row with ${text} is already on ${link.to.colour}, where nobody but the replication may write (${words})`;
  return `${stopped}: ${change.kind} of table ${name}, row with ${text}: ${words}`;
}

/** Who holds the lock that a change waits for in vain. */
async function blockedBy(target: pg.Client, error: unknown): Promise<string> {
  const found = sqlState(error) === lockNotAvailable ? nameBlockers(await lockHolders(target)) : undefined;
  return found === undefined ? '' : `: ${found}`;
}

async function exists(target: pg.Client, table: Table, key: (string | null)[]): Promise<boolean> {
  const where = table.primaryKey.map((name, i) => `${sqlIdentifier(name)} = $${i + 1}`).join(' AND ');
  return (await rows(target, `SELECT 1 FROM ${table.sql} WHERE ${where} LIMIT 1`, key)).length > 0;
}

/** Of these even the detail holds names only: a TRUNCATE that a foreign key forbids. */
const harmlessDetail = '0A000';

/** PostgreSQL's words, without the row, and its code. */
function quote(error: unknown, change: Change): string {
  const sent = change.kind === 'truncate' ? [] : Object.values(change.kind === 'delete' ? change.old : change.values);
  const words = wordsOf(error, sent);
  if (!(error instanceof pg.DatabaseError)) return words;
  const detail = error.code === harmlessDetail && error.detail !== undefined ? ` (${error.detail})` : '';
  return `${words}${detail} (SQLSTATE ${error.code ?? 'unknown'})`;
}

/** Changes of the first transaction that has not been applied. Peeking does not advance the slot. */
async function* nextTransaction(
  { name }: Link,
  source: pg.Client,
  target: pg.Client,
  limitMs: number,
): AsyncGenerator<Change> {
  const { lsn } = await row<{ lsn: string }>(
    target,
    `SELECT (coalesce(max(o.remote_lsn), '0/0') - '0/0'::pg_lsn)::text AS lsn FROM pg_subscription s LEFT JOIN pg_replication_origin_status o ON o.external_id = 'pg_' || s.oid WHERE s.subname = $1`,
    [name],
  );
  // The end of the last commit that was applied. A transaction is applied if its commit comes before that.
  const applied = BigInt(lsn);
  const slot = sqlLiteral(name);
  const peek = `SELECT data FROM pg_logical_slot_peek_binary_changes(${slot}, NULL, ${decoded}, 'proto_version', '1', 'publication_names', ${slot})`;
  const decoder = new Decoder();
  let next = false;
  for await (const { data } of fetched<{ data: Buffer }>(source, peek, limitMs)) {
    const message = decoder.decode(data);
    if (message === undefined) continue;
    if (message.kind === 'begin') next = message.commitLsn >= applied;
    else if (message.kind === 'commit' && next) return;
    else if (message.kind !== 'commit' && next) yield message;
  }
}

/** The rows of a query, a page at a time. */
async function* fetched<T>(client: pg.Client, sql: string, limitMs: number): AsyncGenerator<T> {
  await client.query(`BEGIN; SET LOCAL statement_timeout = ${limitMs}`);
  try {
    await client.query(`DECLARE greenlight_changes NO SCROLL CURSOR FOR ${sql}`);
    for (;;) {
      const found = await rows<T>(client, `FETCH ${page} FROM greenlight_changes`);
      yield* found;
      if (found.length < page) return;
    }
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
  }
}
