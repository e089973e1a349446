import { setTimeout as sleep } from 'node:timers/promises';
import { OperationError, messageOf } from '../../../infra/lib/errors.ts';
import type { Router, RouterState } from '../../../infra/platform/router.ts';
import { row } from '../connect.ts';
import type { Link, Side } from '../link.ts';
import type { Sessions } from '../replication/reverse.ts';
import { replayed } from '../replication/sync-state.ts';

/** The steps of a cutover that wait for something while writes are held; each ends at its deadline (`performance.now()`). */

const pollMs = 1;
/** How long a balancer that does not say what it did is asked again, ms. */
const askAgainMs = 2_000;
/** Longest time for one answer of a balancer, and for one that was given up to put back what it had changed, ms. */
const answerMs = 10_000;

/** What the balancer does now; undefined where it does not say. */
export const readRouter = (router: Router): Promise<RouterState | undefined> =>
  within(router.read(), performance.now() + answerMs).catch(() => undefined);

/** Waits until no write is on its way to the colour that is being left. Throws an OperationError at `deadline`. */
export async function drain(router: Router, from: Side, deadline: number): Promise<undefined> {
  // Two zeros in a row: a write may be between the balancer's two lists at the instant of one reading.
  for (let zeros = 0; zeros < 2;) {
    const inFlight = await router.writesInFlight(from.colour);
    zeros = inFlight === 0 ? zeros + 1 : 0;
    if (zeros >= 2) return undefined;
    if (performance.now() > deadline) {
      throw new OperationError(
        'waiting for writes in flight',
        `${inFlight} were not answered in time`,
        'find out what is slow, or allow more time (cutover.drainMs)',
      );
    }
    await sleep(pollMs);
  }
  return undefined;
}

/**
 * The same, but what is not answered at `deadline` is cut; resolves to how many, for people. Whether those were done nobody
 * knows: the fence of the database ends what is left of them. Where the balancer cannot cut, or does not in time, they meet
 * the fence alone: that is no reason to stay.
 */
export async function drainOrCut(
  router: Router,
  from: Side,
  { deadline, lastFlip }: { deadline: number; lastFlip: number },
): Promise<string | undefined> {
  try {
    return await drain(router, from, deadline);
  } catch (error) {
    if (performance.now() < deadline) throw error;
  }
  try {
    // The fence needs what is left of the hold.
    const cut = await within(router.cutWrites?.(from.colour) ?? Promise.resolve(0), (performance.now() + lastFlip) / 2);
    return cut === 0 ? undefined : `${cut} ${cut === 1 ? 'write was' : 'writes were'} cut`;
  } catch (error) {
    return `writes could not be cut: ${messageOf(error)}`;
  }
}

/**
 * Waits until all that `old` has committed is applied on `new`; returns the position. While a change that it applied is
 * not flushed, a subscriber reports no position beyond it, and looks again after 200 ms (wal_writer_delay) only. So
 * each round flushes the new side's log and gives the old side's something to send, at which the subscriber reports.
 */
export async function caughtUpTo(sessions: Sessions, forward: Link, deadline: number): Promise<string> {
  const durableMessage = `SELECT pg_logical_emit_message(true, 'greenlight', 'fence')`;
  await sessions.old.query(durableMessage);
  const { lsn } = await row<{ lsn: string }>(sessions.old, 'SELECT pg_current_wal_flush_lsn()::text AS lsn');
  while (!(await replayed(sessions.old, forward.name, lsn)) && performance.now() < deadline) {
    await sessions.new.query(durableMessage);
    await sessions.old.query(durableMessage);
    await sleep(pollMs);
  }
  return lsn;
}

/** Flips and reads back. Where the balancer's answer is missing, what it does is asked for, never assumed. */
export async function flip(router: Router, from: Side, to: Side): Promise<void> {
  const deadline = performance.now() + askAgainMs + router.settlesMs;
  let failure: unknown;
  const apply = async () => {
    const end = AbortSignal.timeout(Math.max(0, Math.ceil(deadline - performance.now())));
    const work = router.apply({ live: to.colour, percent: 0 }, end);
    await within(work, deadline + answerMs).catch((error: unknown) => (failure = error));
  };
  await apply();
  let half = false;
  for (;;) {
    // Whatever became of it in time, who is live has to be known: that question has a time of its own.
    const state = await readRouter(router);
    const live = state?.split?.live;
    if (state !== undefined) half = state.disagreeing !== undefined;
    if (live === to.colour && !half) return;
    if (live === from.colour && !half) {
      throw new OperationError(
        'flipping',
        failure === undefined ? 'the balancer took the command and did nothing' : messageOf(failure),
        'see the balancer’s log',
      );
    }
    if (performance.now() > deadline) {
      throw new OperationError(
        'flipping',
        half
          ? `the balancer has changed some of its rules only: ${messageOf(failure)}`
          : 'the balancer does not say who is live',
        'see that it runs, then: npm run resume',
      );
    }
    if (half) await apply();
    await sleep(pollMs);
  }
}

/** Rejects when `deadline` (performance.now()) passes or the signal aborts; the work's own outcome is then ignored. */
export async function within<T>(work: Promise<T>, deadline: number, signal?: AbortSignal): Promise<T> {
  work.catch(() => undefined);
  signal?.throwIfAborted();
  const timer = new AbortController();
  const left = deadline - performance.now();
  const late = new OperationError(
    'holding writes',
    'the time that writes may be held has passed',
    'find out what was slow, or allow more time (cutover.holdMs)',
  );
  if (left <= 0) throw late;
  try {
    const expired = sleep(left, undefined, { signal: timer.signal }).then(() => Promise.reject(late));
    expired.catch(() => undefined);
    const aborted = new Promise<never>((_, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason as Error), { signal: timer.signal });
    });
    return await Promise.race([work, expired, aborted]);
  } finally {
    timer.abort();
  }
}
