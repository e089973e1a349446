import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { OperationError } from '../../../infra/lib/errors.ts';
import { close, connect, row } from '../connect.ts';
import type { CutoverOptions } from './types.ts';
import { blockersOf, endable, Fence } from './fence.ts';
import { linkBetween, type Link } from '../link.ts';
import { prepareReverse, type Sessions } from '../replication/reverse.ts';
import { noTries, revive } from '../replication/revive.ts';
import { mayWrite } from '../schema.ts';
import { planSequences, type SequencePlan } from '../replication/sequences.ts';
import { completeMove } from './settle.ts';
import { removeLink } from '../replication/subscription.ts';
import { measure, replayed } from '../replication/sync-state.ts';

/** Everything that a cutover can prepare before writes are held. */
export interface Prepared {
  sessions: Sessions;
  /** Separate sessions, as the snapshots stay open until the comparison is done. */
  snapshots: Sessions;
  fence: Fence;
  /** `from` -> `to`, streaming. */
  forward: Link;
  /** `to` -> `from`, disabled; absent in a rollback. */
  reverse?: Link;
  sequences: SequencePlan;
  close(): Promise<void>;
}

/** Timeout of the catch-up before writes are held, ms. */
const catchUpMs = 30_000;
/** In a rollback: how long a session may block the replication before it is terminated, ms. */
const blockedMs = 200;
/** Statement timeout of the comparison, ms. */
const compareMs = 600_000;
/** How much longer than the hold an idle fence lives, ms. It must not end before the hold does. */
const fenceGraceMs = 2_000;
/** How long to wait for a worker, ms. PostgreSQL restarts one within 5 s (wal_retrieve_retry_interval). */
const workerMs = 15_000;
/** Lock timeout of the comparison, ms. */
const snapshotLockMs = 30_000;
const pollMs = 10;
/** Pause between two looks for open transactions, ms. They read all locks of the server. */
const openPollMs = 200;

/**
 * Opens all sessions, checks that the cutover may begin, creates the way back, and waits for the catch-up. If it fails, it
 * removes what it created.
 */
export async function prepareCutover(options: CutoverOptions): Promise<Prepared> {
  const { from, to, router, direction, settings } = options;
  const forward = linkBetween(from, to);
  const { split, disagreeing } = await router.read();
  const live = split?.live;
  if (disagreeing !== undefined)
    throw refused(`the balancer is half way between two splits: ${disagreeing.join(', ')}`);
  if (live !== from.colour) throw refused(`${live ?? 'no colour'} is live, not ${from.colour}`);
  // The program may have died right after the flip of the move that is taken back. Its direction must end first.
  if (direction === 'rollback') await completeMove({ from: to, to: from, direction: 'forward' });

  const opened: pg.Client[] = [];
  const open = async (side: typeof from, statementMs?: number): Promise<pg.Client> => {
    const client = await connect(side.access, 'admin', statementMs === undefined ? {} : { statementMs });
    opened.push(client);
    return client;
  };
  let fence: Fence | undefined;
  let reverse: Link | undefined;
  const closeAll = async (): Promise<void> => {
    await fence?.lower();
    await Promise.all(opened.map(close));
  };
  try {
    const sessions = { old: await open(from), new: await open(to) };
    const snapshots = { old: await open(from, compareMs), new: await open(to, compareMs) };
    // The comparison must not wait for ever for a lock.
    for (const client of [snapshots.old, snapshots.new]) await client.query(`SET lock_timeout = ${snapshotLockMs}`);
    // An interrupted attempt may have left the way back, which must not run beside the forward direction.
    if (direction === 'forward') await removeLink(linkBetween(to, from), sessions.new, sessions.old);
    await streaming(forward, sessions);
    if (!(await mayWrite(sessions.old))) throw refused(`${from.colour} is live, but may not write`);
    if (await mayWrite(sessions.new)) throw refused(`${to.colour} is not live, but may write`);
    await fenceable(sessions.old, options);
    fence = await Fence.prepare(from.access, settings.holdMs + fenceGraceMs);
    if (direction === 'forward') reverse = await prepareReverse(from, to, sessions);
    const sequences = await planSequences(sessions.old, sessions.new, to.colour);
    await caughtUp(sessions, forward, { insist: direction === 'rollback', signal: options.signal });
    return {
      sessions,
      snapshots,
      fence,
      forward,
      reverse,
      sequences,
      close: closeAll,
    };
  } catch (error) {
    const [older, newer] = opened;
    if (direction === 'forward' && older !== undefined && newer !== undefined) {
      await removeLink(linkBetween(to, from), newer, older).catch(() => undefined);
    }
    await closeAll();
    throw error;
  }
}

/** Waits out a restarting apply worker. Throws at once on anything else, as it does not pass by itself. */
async function streaming(forward: Link, sessions: Sessions): Promise<void> {
  const deadline = performance.now() + workerMs;
  const tries = noTries();
  for (;;) {
    const { state, worker, problem } = await measure(forward, sessions.old, sessions.new);
    if (state === 'streaming' && worker) return;
    if (state === 'broken' && (await revive(forward, sessions.old, sessions.new, tries))) continue;
    if (state !== 'streaming')
      throw refused(`the replication to ${forward.to.colour} is not ready: ${problem ?? state}`);
    if (performance.now() > deadline)
      throw refused(`nothing has been applying changes to ${forward.to.colour} for ${workerMs} ms`);
    await sleep(pollMs);
  }
}

/**
 * Waits until no transaction stands against the fence that would not end in the time that the hold has for it. So users do not wait for a
 * cutover that fails. A rollback ends sessions, so it waits for prepared transactions only.
 */
async function fenceable(old: pg.Client, { direction, settings, signal }: CutoverOptions): Promise<void> {
  const deadline = performance.now() + catchUpMs;
  const which = { olderThanMs: settings.drainMs, sessions: direction === 'forward' };
  for (;;) {
    const open = await blockersOf(old, which);
    if (open.length === 0) return;
    signal?.throwIfAborted();
    if (performance.now() > deadline) {
      throw new OperationError(
        'looking for transactions that stand against the fence',
        `a transaction that writes stays open (${open.join('; ')})`,
        'end it, a prepared one by COMMIT PREPARED or ROLLBACK PREPARED; no write was held, and nothing has changed',
      );
    }
    await sleep(openPollMs);
  }
}

/**
 * Waits until everything written so far is applied, so that only the last moments are left for the hold. `insist` terminates
 * the sessions that block the replication.
 */
async function caughtUp(
  sessions: Sessions,
  forward: Link,
  { insist, signal }: { insist: boolean; signal: AbortSignal | undefined },
): Promise<void> {
  const deadline = performance.now() + catchUpMs;
  let impatient = performance.now() + blockedMs;
  const { lsn } = await row<{ lsn: string }>(sessions.old, 'SELECT pg_current_wal_flush_lsn()::text AS lsn');
  while (!(await replayed(sessions.old, forward.name, lsn))) {
    if (insist && performance.now() > impatient) {
      await endBlockers(forward, sessions.new);
      impatient = performance.now() + blockedMs;
    }
    signal?.throwIfAborted();
    if (performance.now() > deadline) {
      throw new OperationError(
        'waiting for the new colour to catch up',
        `it is still behind after ${catchUpMs} ms`,
        'repeat at a time with fewer writes',
      );
    }
    await sleep(pollMs);
  }
}

/**
 * Terminates the sessions that block the replication. A transaction that locked a row (SELECT FOR UPDATE) while its colour
 * was live still holds that lock, although it cannot write any more.
 */
async function endBlockers({ name }: Link, target: pg.Client): Promise<void> {
  await target.query(
    `SELECT pg_terminate_backend(a.pid) FROM pg_stat_subscription s, unnest(pg_blocking_pids(s.pid)) AS b (pid)
       JOIN pg_stat_activity a ON a.pid = b.pid JOIN pg_roles r ON r.oid = a.usesysid
     WHERE s.subname = $1 AND s.pid IS NOT NULL AND a.backend_type = 'client backend'
       AND ${endable}`,
    [name],
  );
}

const refused = (found: string): OperationError =>
  new OperationError('checking that the cutover may begin', found, 'run: npm run status');
