import { setTimeout as sleep } from 'node:timers/promises';
import { greenlight } from '../../../infra/lib/command.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import type pg from 'pg';
import { grantWrites, revokeWrites } from '../../../infra/application/roles.ts';
import { close, connect, isLost, whileLost, withClient } from '../connect.ts';
import type { Direction } from './procedure.ts';
import { caughtUpTo, flushed } from './steps.ts';
import { Fence, removeStaleFences } from './fence.ts';
import { linkBetween, type Link, type Side } from '../link.ts';
import { loosen } from '../replication/loosen.ts';
import { following, reverseState, type Sessions } from '../replication/reverse.ts';
import { noTries, revive } from '../replication/revive.ts';
import { mayWrite } from '../schema.ts';
import { dropSubscription, removeLink, subscribed } from '../replication/subscription.ts';
import { measure } from '../replication/sync-state.ts';
import { moveEventTriggers, quietTriggers } from '../replication/triggers.ts';

/**
 * The two ends of a move of writes: completed, or undone. Both are idempotent, find out from the databases what is left to
 * do, and retry with new sessions when one is lost. A cutover uses them at its end, a rollback before it begins, and
 * `resume` after a crash.
 */
export interface Move {
  from: Side;
  to: Side;
  /** `window`: as forward, without a way back. No replication is left in the end. */
  direction: Direction | 'window';
  /** Whether the way back is started and seen to stream; default true. Not where the move is about to be taken back anyway. */
  follow?: boolean;
}

/** Longest wait for a server that restarts, ms. It replays its log first. */
const backMs = 60_000;
/** The same for the colour that is not live, ms. */
const idleBackMs = 20_000;
/** Longest wait for the replication once both servers answer, ms. PostgreSQL restarts a worker within 5 s. */
const followMs = 30_000;
const pollMs = 50;

/** Runs `work` with a session on each side, and retries it while a session is lost. */
const withSides = <T>({ from, to }: Move, waitMs: number, work: (sessions: Sessions) => Promise<T>): Promise<T> =>
  whileLost(performance.now() + waitMs, async () => {
    const old = await connect(from.access, 'admin');
    const sides = [old];
    try {
      const newer = await connect(to.access, 'admin');
      sides.push(newer);
      return await work({ old, new: newer });
    } finally {
      await Promise.all(sides.map(close));
    }
  });

/**
 * First part of completing a move that the balancer has made: `to` may write, `from` may not, and `to` has everything that
 * `from` wrote. Rejects if a side does not come back.
 */
export const leaveOld = (move: Move): Promise<void> => withSides(move, backMs, (sessions) => leave(move, sessions));

/**
 * Completes a move that the balancer has made: the old colour is fenced for good, then the replication to the new one ends,
 * then the other direction starts. Resolves to whether `from` follows; false if that needs a new copy, and where none is wanted.
 * Rejects if a side does not come back.
 */
export function completeMove(move: Move): Promise<{ following: boolean }> {
  const { from, to, direction, follow: wanted = true } = move;
  const forward = linkBetween(from, to);
  const reverse = linkBetween(to, from);
  return withSides(move, backMs, async (sessions) => {
    await leave(move, sessions);
    await moveEventTriggers(sessions.old, sessions.new);
    await removeLink(forward, sessions.old, sessions.new);
    if (direction === 'window') await removeLink(reverse, sessions.new, sessions.old);
    if (direction !== 'forward' || !wanted) return { following: false };
    if (!(await subscribed(reverse, sessions.old))) return { following: false };
    await follow(reverse, sessions.new, sessions.old);
    return { following: true };
  });
}

/** Starts the way back, and restarts it if a lost connection has stopped it. Rejects with the reason if a change conflicts. */
async function follow(reverse: Link, source: pg.Client, target: pg.Client): Promise<void> {
  if ((await reverseState(reverse, target)) !== 'enabled') {
    await quietTriggers(source, target);
    await loosen(target, source);
  }
  const deadline = performance.now() + followMs;
  const tries = noTries();
  while (!(await following(reverse, source))) {
    if (performance.now() > deadline) throw notFollowed(reverse, `nothing streams after ${followMs} ms`);
    if ((await reverseState(reverse, target)) === 'enabled') await sleep(pollMs);
    else if (!(await revive(reverse, source, target, tries))) {
      const { problem, lasting } = await measure(reverse, source, target);
      throw notFollowed(reverse, problem ?? 'it is switched off', lasting);
    }
  }
}

/**
 * Fences the old colour for good and waits until the new one has everything. A node of the balancer that followed late may
 * have sent a write to the old colour. Sessions that still write there are terminated.
 */
async function leave({ from, to }: Move, sessions: Sessions): Promise<void> {
  const forward = linkBetween(from, to);
  await sessions.new.query(grantWrites);
  await removeStaleFences(sessions.old);
  const replay = async (): Promise<void> => {
    if (await subscribed(forward, sessions.new)) await untilReplayed(forward, sessions);
  };
  if (!(await mayWrite(sessions.old))) return replay();
  const fence = await Fence.prepare(from.access, 2 * followMs);
  try {
    await fence.raise(performance.now() + followMs, { insist: true });
    await replay();
    await fence.commit();
  } finally {
    await fence.lower();
  }
}

/** Waits until `new` has everything that `old` wrote. Restarts a replication that lost its connection. */
async function untilReplayed(forward: Link, sessions: Sessions): Promise<void> {
  const deadline = performance.now() + followMs;
  await untilRunning(forward, sessions, deadline);
  await caughtUpTo(sessions, forward, deadline);
  // The replication ends next, and nothing could be sent again.
  await flushed(sessions.new);
}

/** Waits for a worker to apply changes, and restarts a replication that lost its connection. Resolves to a problem that is left. */
async function untilRunning(link: Link, { old, new: newer }: Sessions, deadline: number): Promise<string | undefined> {
  const tries = noTries();
  for (;;) {
    const { state, worker, problem, lasting } = await measure(link, old, newer);
    if (worker) return problem;
    if (state === 'broken' && !(await revive(link, old, newer, tries)))
      throw notFollowed(link, problem ?? state, lasting);
    if (performance.now() > deadline) throw notFollowed(link, 'no worker is applying changes');
    await sleep(pollMs);
  }
}

const notFollowed = (link: Link, found: string, lasting = false): OperationError =>
  new OperationError(
    `following from ${link.from.colour} to ${link.to.colour}`,
    found,
    `see that both databases run, then: ${greenlight('resume')}`,
    { code: lasting ? 'lasting' : 'failed' },
  );

/** First half of undoing a move: `from` may write again, and nothing is replicated into it. Rejects if it does not come back. */
export function reopen({ from, to, direction }: Move): Promise<void> {
  return whileLost(performance.now() + backMs, () =>
    withClient(from.access, 'admin', async (old) => {
      await removeStaleFences(old);
      await old.query(grantWrites);
      if (direction !== 'rollback') await dropSubscription(old, linkBetween(to, from).name);
    }),
  );
}

/**
 * Second half of undoing a move: `to` may not write, the way back is removed, and the replication to `to` goes on. One that a window
 * has begun to end is removed: `to` may have been migrated since. Resolves to how far that succeeded. A stopped replication is only a
 * problem to report, as the live colour serves as before.
 */
export async function standDown(move: Move): Promise<{ revoked: boolean; replicating: boolean; problem?: string }> {
  const { from, to, direction } = move;
  const forward = linkBetween(from, to);
  let revoked = false;
  try {
    return await withSides(move, idleBackMs, async (sessions) => {
      await sessions.new.query(revokeWrites);
      revoked = true;
      if (direction !== 'rollback') await removeLink(linkBetween(to, from), sessions.new, sessions.old);
      if (!(await subscribed(forward, sessions.new))) {
        if (direction === 'window') await removeLink(forward, sessions.old, sessions.new);
        return { revoked, replicating: false };
      }
      const problem = await untilRunning(forward, sessions, performance.now() + followMs);
      return { revoked, replicating: problem === undefined, problem };
    });
  } catch (error) {
    if (!isLost(error) && !(error instanceof OperationError)) throw error;
    return { revoked, replicating: false, problem: (error as Error).message };
  }
}
