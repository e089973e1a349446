import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { revokeWrites } from '../../../infra/application/roles.ts';
import { tablesOf } from '../catalog.ts';
import { endSessions, lockHolders, nameBlockers, type Blocker } from '../blockers.ts';
import { applicationName, close, connect, sqlState } from '../connect.ts';

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

export class Fence {
  readonly #client: pg.Client;
  readonly #lock: string;
  /** Whether an autovacuum in the way is cancelled. */
  readonly #cancels: boolean;
  #committed = false;

  private constructor(client: pg.Client, lock: string, cancels: boolean) {
    this.#client = client;
    this.#lock = lock;
    this.#cancels = cancels;
  }

  /** What has kept a table from being locked for longer than `ms`, and would keep the fence waiting. A prepared transaction counts at any age: it does not end by itself. */
  async inTheWay(ms: number): Promise<Blocker[]> {
    const lasts = ({ ms: age, pid }: Blocker): boolean => age > ms || pid === undefined;
    return (await lockHolders(this.#client)).filter((found) => lasts(found) && !(found.yields && this.#cancels));
  }

  /** Opens the session and prepares the lock; nothing is locked yet. The server ends a fence that is not used for `lifeMs`. */
  static async prepare(access: DatabaseAccess, lifeMs: number): Promise<Fence> {
    const client = await connect(access, 'admin', { applicationName: fenceName });
    const tables = await tablesOf(client);
    // SHARE conflicts with every way of writing and with none of reading.
    const lock = tables.length === 0 ? '' : `LOCK TABLE ${tables.map((t) => t.sql).join(', ')} IN SHARE MODE;`;
    await client.query(`SET idle_in_transaction_session_timeout = ${Math.ceil(lifeMs)}`);
    // A lock request that waits for longer than this cancels an autovacuum in its way.
    const cancels = await client.query('SET deadlock_timeout = 5').then(
      () => true,
      () => false,
    );
    return new Fence(client, lock, cancels);
  }

  /**
   * Waits until every writing transaction has ended, and keeps new ones out. `insist` terminates the sessions of those that
   * do not end at once; their clients then do not know whether they wrote. Resolves to a position of the log that no commit of a
   * writer lies behind. Throws an OperationError at `deadline` (`performance.now()`).
   */
  async raise(deadline: number, { insist = false } = {}): Promise<string> {
    for (;;) {
      const left = Math.floor(deadline - performance.now());
      if (left <= 0) throw await this.#blocked();
      try {
        // The position is asked for before the fence itself writes.
        const results = (await this.#client.query(
          `BEGIN; SET LOCAL lock_timeout = ${Math.min(left, tryMs)}; ${this.#lock} SELECT pg_current_wal_insert_lsn()::text AS lsn; ${revokeWrites}`,
        )) as unknown as pg.QueryResult<{ lsn: string }>[];
        return results.at(-2)?.rows[0]?.lsn as string;
      } catch (error) {
        await this.#client.query('ROLLBACK');
        if (!retry.has(sqlState(error) ?? '')) throw error;
        if (insist) await endSessions(this.#client, await lockHolders(this.#client));
        await sleep(pauseMs);
      }
    }
  }

  /** Uses the fence, so that the server does not end it. Rejects if the session is lost, and the fence with it. */
  async renew(): Promise<void> {
    await this.#client.query('SELECT 1');
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
    const open = nameBlockers(await lockHolders(this.#client));
    return new OperationError(
      'waiting for the last writes of the live colour to end',
      open === undefined ? 'a lock could not be acquired in time' : `a transaction that writes stays open (${open})`,
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
