import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { OperationError } from '../../../infra/lib/errors.ts';
import { close, connect, row } from '../connect.ts';
import type { CutoverOptions } from './types.ts';
import { endable, Fence } from './fence.ts';
import { linkBetween, type Link } from '../link.ts';
import { prepareReverse, type Sessions } from '../replication/reverse.ts';
import { noTries, revive } from '../replication/revive.ts';
import { mayWrite } from '../schema.ts';
import { planSequences, type SequencePlan } from '../replication/sequences.ts';
import { completeMove } from './settle.ts';
import { removeLink } from '../replication/subscription.ts';
import { measure, replayed } from '../replication/sync-state.ts';

/** All that a cutover needs and that can be had before writes are held. */
export interface Prepared {
  sessions: Sessions;
  /** Sessions of their own: a snapshot outlives the cutover, until the comparison is done. */
  snapshots: Sessions;
  fence: Fence;
  /** `from` -> `to`, streaming. */
  forward: Link;
  /** `to` -> `from`, switched off; absent in a rollback. */
  reverse?: Link;
  sequences: SequencePlan;
  warnings: string[];
  close(): Promise<void>;
}

/** Longest wait until the new side has caught up, before writes are held, ms. */
const catchUpMs = 30_000;
/** How long the replication may wait for somebody's lock, where nobody is waited for, ms. */
const blockedMs = 200;
/** Longest comparison of one table, ms. */
const compareMs = 600_000;
/** How much longer than the hold a fence lives that is left alone, ms: its end must not come before the hold's. */
const fenceGraceMs = 2_000;
/** A worker that is gone is started again within 5 s (wal_retrieve_retry_interval), ms. */
const workerMs = 15_000;
/** Longest wait of the comparison for a lock, ms. */
const snapshotLockMs = 30_000;
const pollMs = 10;

/** Opens all sessions, checks that the cutover may begin, makes the way back, and waits until the lag is gone. Undoes that if it fails. */
export async function prepareCutover(options: CutoverOptions): Promise<Prepared> {
  const { from, to, router, direction, settings } = options;
  const forward = linkBetween(from, to);
  const { split, disagreeing } = await router.read();
  const live = split?.live;
  if (disagreeing !== undefined)
    throw refused(`the balancer is half way between two splits: ${disagreeing.join(', ')}`);
  if (live !== from.colour) throw refused(`${live ?? 'no colour'} is live, not ${from.colour}`);
  // The move that is taken back may have been cut off right after its flip: its direction ends before this one is revived.
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
    // The comparison must not wait for ever for somebody's lock.
    for (const client of [snapshots.old, snapshots.new]) await client.query(`SET lock_timeout = ${snapshotLockMs}`);
    // What an attempt that was cut off has left would run beside the direction that is now wanted.
    if (direction === 'forward') await removeLink(linkBetween(to, from), sessions.new, sessions.old);
    await streaming(forward, sessions);
    if (!(await mayWrite(sessions.old))) throw refused(`${from.colour} is live, but may not write`);
    if (await mayWrite(sessions.new)) throw refused(`${to.colour} is not live, but may write`);
    fence = await Fence.prepare(from.access, settings.holdMs + fenceGraceMs);
    if (direction === 'forward') reverse = await prepareReverse(from, to, sessions);
    const sequences = await planSequences(sessions.old, sessions.new);
    await caughtUp(sessions, forward, { insist: direction === 'rollback', signal: options.signal });
    const warnings = sequences.unmatched.map(
      (name) => `sequence ${name} is not on ${to.colour}, and was not carried over`,
    );
    return {
      sessions,
      snapshots,
      fence,
      forward,
      reverse,
      sequences,
      warnings,
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

/** A worker that comes and goes (a broken connection) is waited for; anything else that is wrong does not pass by itself. */
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
 * Waits until what is written now has been applied, so that the hold need not wait for more than the last moments. `insist`: ends
 * the sessions that hold what the replication waits for.
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
 * Ends the sessions that the replication waits for: a transaction that took a row's lock (SELECT FOR UPDATE) when its colour was
 * live still has it, and can write nothing with it.
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
