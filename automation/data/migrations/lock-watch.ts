import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { catalogFirst } from '../../../infra/application/session-settings.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { close, connect, row, rows } from '../connect.ts';

/** Cancels statements of one session that wait for a lock, or run, longer than they may. */
export interface LockWatch {
  /** Why a statement was cancelled since this was asked last; undefined where none was, and where the signal was aborted. */
  cancelled(): 'lock' | 'runtime' | undefined;
  stop(): Promise<void>;
}

const everyMs = 100;
/** How much longer than the server the watch waits, ms: where a file leaves `lock_timeout` alone, the server cancels. */
const graceMs = 250;

/** Whether the session waits for a lock longer than $2 ms, or has run one statement longer than $3 ms. */
const overdue = `
  SELECT EXISTS (
      SELECT FROM pg_locks WHERE pid = $1 AND NOT granted AND clock_timestamp() - waitstart > $2 * interval '1 ms') AS lock,
    EXISTS (
      SELECT FROM pg_stat_activity WHERE pid = $1 AND state = 'active'
        AND clock_timestamp() - query_start > $3 * interval '1 ms') AS runtime`;
const cancelOverdue = `SELECT pg_cancel_backend($1) FROM (${overdue}) s WHERE lock OR runtime`;

/**
 * Watches the session of `client` by a second one. A file may set `lock_timeout` and `statement_timeout` itself, also in a
 * function or a DO block, so the settings of its session do not bound how long writers queue behind it. Times in ms. Once `signal` is
 * aborted, whatever the session runs is cancelled, again and again: a cancellation that comes between two statements has no effect.
 */
export async function lockWatch(
  access: DatabaseAccess,
  client: pg.Client,
  { lockMs, statementMs, signal }: { lockMs: number; statementMs: number; signal?: AbortSignal | undefined },
): Promise<LockWatch> {
  const { pid } = await row<{ pid: number }>(client, 'SELECT pg_backend_pid() AS pid');
  const watcher = await connect(access, 'owner', { applicationName: 'greenlight-migrations-watch' });
  await watcher.query(catalogFirst);
  const stopping = new AbortController();
  let last: 'lock' | 'runtime' | undefined;
  const watching = (async () => {
    const limits = [pid, lockMs + graceMs, statementMs + graceMs];
    while (!stopping.signal.aborted) {
      if (signal?.aborted === true) await rows(watcher, 'SELECT pg_cancel_backend($1)', [pid]);
      const found = await row<Record<'lock' | 'runtime', boolean>>(watcher, overdue, limits);
      if (found.lock || found.runtime) {
        // Before the statement ends: whoever ran it asks at once.
        last = found.lock ? 'lock' : 'runtime';
        const { length } = await rows(watcher, cancelOverdue, limits);
        if (length === 0) last = undefined;
      }
      await sleep(everyMs, undefined, { signal: stopping.signal });
    }
    // A watch that is lost leaves the settings of the session; a server that is lost ends that session, too.
  })().catch(() => undefined);
  return {
    cancelled() {
      const why = last;
      last = undefined;
      return why;
    },
    async stop() {
      stopping.abort();
      await watching;
      await close(watcher);
    },
  };
}
