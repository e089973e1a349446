import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { greenlight } from '../../../infra/lib/command.ts';
import { OperationError, messageOf } from '../../../infra/lib/errors.ts';
import type { Router, RouterState } from '../../../infra/platform/router.ts';
import { blockingSubscription, busySessions, nameBlockers } from '../blockers.ts';
import { row } from '../connect.ts';
import type { Link, Side } from '../link.ts';
import type { Sessions } from '../replication/reverse.ts';
import { lagOf, replayed } from '../replication/sync-state.ts';

/** Waits of the cutover while writes are held. Each ends at its deadline (`performance.now()`). */

const pollMs = 1;
/** Longest time to find out what is not answered, ms. Writes are held meanwhile. */
const nameMs = 100;
/** How long the balancer is asked again if it does not say what it did, ms. */
const askAgainMs = 2_000;
/** Timeout of one answer of the balancer, ms. After an abort it has as long to take its changes back. */
const answerMs = 10_000;

/** The balancer's state; undefined if it does not answer. */
export const readRouter = (router: Router): Promise<RouterState | undefined> =>
  within(router.read(), performance.now() + answerMs).catch(() => undefined);

/** Waits until no write to the old colour is in flight. Throws an OperationError at `deadline` that names those that are. */
export async function drain(router: Router, from: Side, deadline: number, old: pg.Client): Promise<undefined> {
  const left = await drained(router, from, deadline);
  if (left === 0) return undefined;
  throw new OperationError(
    'waiting for writes in flight',
    `${left} were not answered in time${await named(router, from, old)}`,
    'find out what is slow, or allow more time (cutover.drainMs)',
  );
}

/** Resolves to the number of writes that are in flight at `deadline`, or to 0 as soon as none is. */
async function drained(router: Router, from: Side, deadline: number): Promise<number> {
  // Two zeros in a row are needed, as a write may be between two of the balancer's lists at one reading.
  for (let zeros = 0; ;) {
    const inFlight = await router.writesInFlight(from.colour);
    zeros = inFlight === 0 ? zeros + 1 : 0;
    if (zeros >= 2) return 0;
    if (performance.now() > deadline) return inFlight;
    if (inFlight > 0) await sleep(pollMs);
  }
}

/** Requests that a message names, and sessions of the database. */
const mostNamed = 5;

/** The requests as far as the balancer knows them, and what the database does for them. */
async function named(router: Router, { colour }: Side, old: pg.Client): Promise<string> {
  const soon = performance.now() + nameMs;
  const [requests, sessions] = await Promise.all([
    within(router.nameWrites?.(colour) ?? Promise.resolve([]), soon).catch(() => []),
    within(busySessions(old), soon).catch(() => []),
  ]);
  const described = requests.slice(0, mostNamed).map(({ service, instance, method, path, ms }) => {
    const which = instance === undefined ? service : `${service}, instance ${instance}`;
    return `${method} ${path} of ${which} for ${Math.round(ms)} ms`;
  });
  const busy = nameBlockers(sessions);
  return [
    ...(described.length === 0 ? [] : [`: ${described.join('; ')}`]),
    ...(busy === undefined ? [] : [`; in the database: ${busy}`]),
  ].join('');
}

/**
 * As `drain`, but cuts the writes that are not answered at `deadline`, and resolves to their number as text. Their clients
 * cannot know whether they were done; the fence ends what is left of them. If the balancer cannot cut, the fence alone
 * stops them, and the cutover goes on.
 */
export async function drainOrCut(
  router: Router,
  from: Side,
  { deadline, lastFlip }: { deadline: number; lastFlip: number },
): Promise<string | undefined> {
  if ((await drained(router, from, deadline)) === 0) return undefined;
  try {
    // The fence needs what is left of the hold.
    const cut = await within(router.cutWrites?.(from.colour) ?? Promise.resolve(0), (performance.now() + lastFlip) / 2);
    return cut === 0 ? undefined : `${cut} ${cut === 1 ? 'write was' : 'writes were'} cut`;
  } catch (error) {
    return `writes could not be cut: ${messageOf(error)}`;
  }
}

/**
 * Flushes a server's log, and with it all commits so far. Resolves to a position behind them. A sender of changes sends only what
 * is flushed, and tells its subscriber that it has come this far.
 */
export async function flushed(client: pg.Client): Promise<string> {
  const sql = `SELECT pg_logical_emit_message(true, 'greenlight', 'fence')::text AS lsn`;
  return (await row<{ lsn: string }>(client, sql)).lsn;
}

/**
 * Makes the subscriber report at once what it has applied. It reports a change only once it is flushed, and looks again after
 * 200 ms (wal_writer_delay). This flushes the new side's log, and sends a message that is answered.
 */
export async function nudge(sessions: Sessions): Promise<void> {
  await flushed(sessions.new);
  await flushed(sessions.old);
}

/** How long the subscriber is given to report the last commit, before it is told of a later position, ms. */
const reportMs = 3;
/** How often it is told again, ms. */
const tellMs = 10;

/**
 * Waits until everything that `old` has committed is applied on `new`. What is applied is not yet flushed there: the next durable
 * commit does that. `fencedAt`: the position of the fence, if there is one. Resolves to the position. Throws an OperationError at
 * `deadline` (`performance.now()`) that says how much is left and who is in the way.
 */
export async function caughtUpTo(
  sessions: Sessions,
  forward: Link,
  deadline: number,
  fencedAt?: string,
): Promise<string> {
  // Mostly the last commit ends just there, and is reported as soon as it is applied.
  const soon = fencedAt === undefined ? 0 : Math.min(deadline, performance.now() + reportMs);
  while (fencedAt !== undefined && performance.now() < soon) {
    if (await replayed(sessions.old, forward.name, fencedAt)) return fencedAt;
    await sleep(pollMs);
  }
  // Behind it the log may have what nobody is sent, and what is not flushed.
  for (;;) {
    const lsn = await flushed(sessions.old);
    const again = performance.now() + tellMs;
    while (performance.now() < again) {
      if (await received(sessions.new, forward.name, lsn)) return lsn;
      if (performance.now() > deadline) {
        throw new OperationError(
          `waiting until ${forward.to.colour} has applied the last writes of ${forward.from.colour}`,
          await describeLag(sessions, forward),
          'repeat when fewer writes are under way, or allow more time (cutover.holdMs)',
        );
      }
      await sleep(pollMs);
    }
  }
}

/**
 * Whether the worker of a subscription has been told of `lsn`, which lies behind the last commit. It takes one message after the other,
 * so it has applied all that came before.
 */
async function received(target: pg.Client, name: string, lsn: string): Promise<boolean> {
  const sql =
    'SELECT coalesce(bool_or(received_lsn >= $1::pg_lsn), false) AS done FROM pg_stat_subscription WHERE subname = $2 AND relid IS NULL';
  return (await row<{ done: boolean }>(target, sql, [lsn, name])).done;
}

/** How far the subscriber is behind, and who keeps it waiting. */
export async function describeLag({ old, new: newer }: Sessions, { name }: Link): Promise<string> {
  const lag = await lagOf(old, name);
  const blocked = nameBlockers(await blockingSubscription(newer, name));
  return `${lag.behind} bytes of log are not applied${blocked === undefined ? '' : `, and its worker waits for ${blocked}`}`;
}

/** Flips the balancer and reads it back. If its answer is missing, its state is read, never assumed. */
export async function flip(router: Router, from: Side, to: Side, againMs = askAgainMs): Promise<void> {
  const deadline = performance.now() + againMs + router.settlesMs;
  let failure: unknown;
  const apply = async () => {
    const end = AbortSignal.timeout(Math.max(0, Math.ceil(deadline - performance.now())));
    const work = router.apply({ live: to.colour, percent: 0 }, end);
    await within(work, deadline + answerMs).catch((error: unknown) => (failure = error));
  };
  await apply();
  let half = false;
  for (;;) {
    // Who is live has to be known in any case, so this question has a timeout of its own.
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
        `see that it runs, then: ${greenlight('resume')}`,
      );
    }
    if (half) await apply();
    // A balancer that takes seconds to settle is reached over an API with a quota.
    await sleep(pollMs + router.settlesMs / 60);
  }
}

/** How long a balancer may still make a flip that it was asked for and that was given up, and how often it is asked, ms. */
const lateMs = 5_000;
const lateLookMs = 100;

/** Puts a balancer back that makes a flip too late. The other colour may not write by then: such writes fail, and none is lost. */
export async function keepLive(router: Router, { colour }: Side): Promise<void> {
  const until = performance.now() + lateMs + router.settlesMs;
  while (performance.now() < until) {
    const split = (await readRouter(router))?.split;
    if (split !== undefined && split.live !== colour)
      await within(router.apply({ live: colour, percent: 0 }), performance.now() + answerMs);
    await sleep(lateLookMs + router.settlesMs / 60);
  }
}

/** Rejects at `deadline` (`performance.now()`) with `late`, or when the signal aborts. The outcome of `work` is ignored then. */
export async function within<T>(
  work: Promise<T>,
  deadline: number,
  signal?: AbortSignal,
  late: Error = heldTooLong(),
): Promise<T> {
  work.catch(() => undefined);
  signal?.throwIfAborted();
  const timer = new AbortController();
  const left = deadline - performance.now();
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

const heldTooLong = (): OperationError =>
  new OperationError(
    'holding writes',
    'the time that writes may be held has passed',
    'find out what was slow, or allow more time (cutover.holdMs)',
  );
