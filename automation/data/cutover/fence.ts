import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { revokeWrites } from '../../../infra/application/roles.ts';
import { tablesOf } from '../catalog.ts';
import { applicationName, close, connect, rows, sqlState } from '../connect.ts';

/**
 * The fence around the database that writes leave. It is one open transaction that has locked every table against writing
 * (reading goes on) and revoked the right to write. Its commit, after the flip, makes the revocation permanent. If this
 * program dies before, the server rolls it back, and the old colour can write again. Revoking alone is not enough, as a
 * statement that has passed its permission check may still write.
 */
const fenceName = `${applicationName}-fence`;
/** SQLSTATEs of a lock that could not be had. The transaction is rolled back then, and retried until the deadline. */
const retry = new Set(['55P03', '40P01']);
/** Lock timeout of one try, ms. Writers that queue behind it proceed between two tries. */
const tryMs = 100;
const pauseMs = 10;

/** SQL condition: a session of role `r` can be ended. Only a superuser can end a superuser's, and RDS has none for customers. */
export const endable = '(NOT r.rolsuper OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))';

/** SQL condition: the lock `l` on the relation `c` is one against the fence. Nobody else can use a temporary table. */
const against = `l.granted AND l.locktype = 'relation' AND c.relpersistence <> 't'
  AND l.mode IN ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`;

/** Sessions that hold a lock against the fence. */
const writersSql = `
  SELECT DISTINCT a.pid, a.usename, a.state, a.xact_start,
    a.application_name NOT LIKE '${applicationName}%' AND ${endable} AS may_end
  FROM pg_stat_activity a JOIN pg_locks l USING (pid) JOIN pg_roles r ON r.oid = a.usesysid
    JOIN pg_class c ON c.oid = l.relation
  WHERE a.pid <> pg_backend_pid() AND a.backend_type = 'client backend' AND a.datname = current_database() AND ${against}`;

/** Prepared transactions do so, too. They have no session that could be ended, and outlive the server. */
const preparedSql = `
  SELECT format('prepared transaction %s of %s, open for %s s', p.gid, p.owner, extract(epoch FROM now() - p.prepared)::int) AS who
  FROM pg_prepared_xacts p WHERE p.database = current_database() AND EXISTS (
    SELECT FROM pg_locks own JOIN pg_locks l USING (virtualtransaction) JOIN pg_class c ON c.oid = l.relation
    WHERE own.locktype = 'transactionid' AND own.transactionid = p.transaction AND own.pid IS NULL AND l.pid IS NULL AND ${against})`;

/**
 * Who holds a lock against the fence, for people: sessions in a transaction that is older than `olderThanMs`, and prepared
 * transactions. Without `sessions` only the latter.
 */
export async function blockersOf(client: pg.Client, { olderThanMs = 0, sessions = true } = {}): Promise<string[]> {
  const sql = `
    SELECT format('process %s of %s, %s for %s ms', pid, usename, state, round(extract(epoch FROM clock_timestamp() - xact_start) * 1000)) AS who
    FROM (${writersSql}) AS w WHERE $2 AND clock_timestamp() - xact_start >= make_interval(secs => $1 / 1000.0) UNION ALL ${preparedSql}`;
  return (await rows<{ who: string }>(client, sql, [olderThanMs, sessions])).map(({ who }) => who);
}

export class Fence {
  readonly #client: pg.Client;
  readonly #lock: string;
  #committed = false;

  private constructor(client: pg.Client, lock: string) {
    this.#client = client;
    this.#lock = lock;
  }

  /** Opens the session and prepares the lock; nothing is locked yet. The server ends a fence that is idle for `lifeMs`. */
  static async prepare(access: DatabaseAccess, lifeMs: number): Promise<Fence> {
    const client = await connect(access, 'admin', { applicationName: fenceName });
    const tables = await tablesOf(client);
    // SHARE conflicts with every way of writing and with none of reading.
    const lock = tables.length === 0 ? '' : `LOCK TABLE ${tables.map((t) => t.sql).join(', ')} IN SHARE MODE;`;
    await client.query(`SET idle_in_transaction_session_timeout = ${Math.ceil(lifeMs)}`);
    // A lock request that waits for longer than this cancels an autovacuum in its way.
    await client.query('SET deadlock_timeout = 5').catch(() => undefined);
    return new Fence(client, lock);
  }

  /**
   * Waits until every writing transaction has ended, and keeps new ones out. `insist` terminates the sessions of those that
   * do not end at once; their clients then do not know whether they wrote. Throws an OperationError at `deadline`
   * (`performance.now()`).
   */
  async raise(deadline: number, { insist = false } = {}): Promise<void> {
    for (;;) {
      const left = Math.floor(deadline - performance.now());
      if (left <= 0) throw await this.#blocked();
      try {
        await this.#client.query(
          `BEGIN; SET LOCAL lock_timeout = ${Math.min(left, tryMs)}; ${this.#lock} ${revokeWrites}`,
        );
        return;
      } catch (error) {
        await this.#client.query('ROLLBACK');
        if (!retry.has(sqlState(error) ?? '')) throw error;
        if (insist)
          await this.#client.query(`SELECT pg_terminate_backend(pid) FROM (${writersSql}) AS w WHERE may_end`);
        await sleep(pauseMs);
      }
    }
  }

  /** Makes the fence permanent. Throws if the session is lost, and the fence with it. */
  async commit(): Promise<void> {
    await this.#client.query('COMMIT');
    this.#committed = true;
  }

  /** Removes a fence that is not committed, and closes the session. No error if the session is lost. */
  async lower(): Promise<void> {
    if (!this.#committed) await this.#client.query('ROLLBACK').catch(() => undefined);
    await close(this.#client);
  }

  async #blocked(): Promise<OperationError> {
    const open = await blockersOf(this.#client);
    return new OperationError(
      'waiting for the last writes of the live colour to end',
      open.length === 0
        ? 'a lock could not be acquired in time'
        : `a transaction that writes stays open (${open.join('; ')})`,
      'end it (a prepared one: COMMIT PREPARED or ROLLBACK PREPARED), or allow more time (cutover.drainMs); nothing has changed',
    );
  }
}

/** Ends fences of a program that died, as the server may not have noticed that yet. */
export async function removeStaleFences(client: pg.Client): Promise<void> {
  await client.query(
    'SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()',
    [fenceName],
  );
}
