import { setTimeout as sleep } from 'node:timers/promises';
import { OperationError } from '../../infra/errors.ts';
import type { Router } from '../../infra/platform.ts';
import { grantWrites, revokeWrites } from '../../infra/roles.ts';
import type { TableComparison } from '../release/events.ts';
import { compareDatabases, openSnapshot } from './compare.ts';
import { messageOf, row } from './connect.ts';
import { prepareCutover, type Prepared } from './cutover-prepare.ts';
import { dropSlot, dropSubscription, type Link, type Side } from './link.ts';
import { dropReverse, startHere, startReverse, type Sessions } from './reverse.ts';
import { carryOver } from './sequences.ts';
import { replayed } from './sync.ts';

/** In this order. Up to `grant` everything is undone on failure; `flip` decides; what follows is finished. */
export type CutoverStep = 'prepare' | 'hold' | 'drain' | 'fence' | 'replay' | 'carry-over' | 'grant' | 'flip' | 'release' | 'fenced' | 'detach' | 'follow' | 'compare'; // prettier-ignore

export interface CutoverOptions {
  router: Router;
  /** The live colour, whose replication to `to` is streaming. */
  from: Side;
  to: Side;
  /** `forward`: afterwards `from` follows `to`, for the way back. `rollback`: `from` is detached. */
  direction: 'forward' | 'rollback';
  settings: CutoverSettings;
  /** After each step. Those from `hold` to `flip` happen while writes wait: be quick. Throwing before the flip aborts. */
  onStep?: (step: CutoverStep, ms: number, detail?: string) => void;
  /** Aborts before the flip; after it, it is ignored. */
  signal?: AbortSignal;
}

export interface CutoverSettings {
  /** Lease of the hold, ms: the flip happens well before it ends, or not at all. */
  holdMs: number;
  /** Of it, the longest time for the writes in flight to end, ms. */
  drainMs: number;
}

export interface CutoverResult {
  /** From the request to hold writes until they were released, ms. */
  holdMs: number;
  totalMs: number;
  /** Both databases at the instant of the cutover; left is `from`, right is `to`. */
  tables: TableComparison[];
  compareMs: number;
  /** Whether all tables were compared and are equal. */
  equal: boolean;
  /** The way back, where it stands: `to` -> `from`. */
  reverse?: Link;
  /** What went wrong after the flip. With any of them, or with unequal tables, go back. */
  problems: string[];
  /** What an operator should know, and need not act on. */
  warnings: string[];
}

/** The cutover did not happen and everything is as before; or, where `undone` is false, it says what is not. */
export class CutoverAborted extends OperationError {
  readonly step: CutoverStep;
  readonly undone: boolean;

  constructor(step: CutoverStep, cause: unknown, leftovers: string[]) {
    const undone = leftovers.length === 0;
    const found = cause instanceof OperationError ? `${cause.doing}: ${cause.found}` : messageOf(cause);
    super(
      `cutover, step ${step}`,
      undone ? found : `${found}; and undoing it: ${leftovers.join('; ')}`,
      undone
        ? 'writes go to the live colour as before, and the replication goes on; put that right, then repeat'
        : 'run: npm run resume',
      { cause },
    );
    this.name = 'CutoverAborted';
    this.step = step;
    this.undone = undone;
  }
}

/** Of the lease, kept for the flip and its read-back: a fifth, at most so much, ms. */
const flipReserveMs = 200;
const pollMs = 1;
/** How long a balancer that does not say what it did is asked again, ms. */
const askAgainMs = 2_000;
/** Longest wait for the old side to follow after the flip, ms. */
const followMs = 10_000;

/**
 * Moves writes from one colour's database to the other's without losing or doubling one. Rejects with CutoverAborted
 * where it did not happen. Once it has happened it resolves, and `problems` and `equal` say whether to stay.
 */
export async function cutover(options: CutoverOptions): Promise<CutoverResult> {
  const { router, from, to } = options;
  const started = performance.now();
  let current: CutoverStep = 'prepare';
  let since = started;
  const done = (next: CutoverStep, detail?: string): void => {
    const ms = performance.now() - since;
    options.onStep?.(current, ms, detail);
    current = next;
    since = performance.now();
  };
  let prepared: Prepared | undefined;
  let heldAt: number | undefined;
  let granted = false;
  try {
    prepared = await prepareCutover(options);
    const { sessions, fence, forward, reverse, sequences, snapshots } = prepared;
    options.signal?.throwIfAborted();
    done('hold');

    heldAt = performance.now();
    const { holdMs, drainMs } = options.settings;
    const lastFlip = heldAt + holdMs - Math.min(holdMs / 5, flipReserveMs);
    const inTime = <T>(work: Promise<T>): Promise<T> => within(work, lastFlip, options.signal);
    await inTime(router.hold(holdMs));
    done('drain');
    const drained = Math.min(heldAt + drainMs, lastFlip);
    await inTime(drain(router, from, drained));
    done('fence');
    await inTime(fence.raise(drained));
    done('replay');
    const lsn = await inTime(caughtUpTo(sessions, forward, lastFlip));
    done('carry-over', lsn);
    const [moved] = await inTime(
      Promise.all([
        carryOver(sequences, sessions.old, sessions.new).then(async (n) => {
          if (reverse !== undefined) await startHere(reverse, sessions);
          return n;
        }),
        openSnapshot(snapshots.old),
        openSnapshot(snapshots.new),
      ]),
    );
    done('grant', `${moved} sequences`);
    granted = true;
    // Commits durably, and with it all that was applied before, which the replication had not waited for.
    await inTime(sessions.new.query(grantWrites));
    done('flip');
    await inTime(Promise.resolve());
    await flip(router, from, to);
  } catch (error) {
    throw new CutoverAborted(current, error, await undo(options, prepared, heldAt !== undefined, granted));
  }
  return await finish(options, prepared, { started, heldAt, done: settled(done) });
}

/** After the flip a failing observer must not stop what has to be finished. */
const settled =
  (done: (next: CutoverStep, detail?: string) => void) =>
  (next: CutoverStep, detail?: string): string | undefined => {
    try {
      done(next, detail);
      return undefined;
    } catch (error) {
      return `recording a step failed: ${messageOf(error)}`;
    }
  };

async function drain(router: Router, from: Side, deadline: number): Promise<void> {
  // Two zeros in a row: a write may be between the balancer's two lists at the instant of one reading.
  for (let zeros = 0; zeros < 2;) {
    const inFlight = await router.writesInFlight(from.colour);
    zeros = inFlight === 0 ? zeros + 1 : 0;
    if (zeros >= 2) return;
    if (performance.now() > deadline) {
      throw new OperationError(
        'waiting for writes in flight',
        `${inFlight} were not answered in time`,
        'find out what is slow, or allow more time (cutover.drainMs)',
      );
    }
    await sleep(pollMs);
  }
}

/**
 * Waits until all that `old` has committed is applied on `new`; returns the position. While a change that it applied is
 * not flushed, a subscriber reports no position beyond it, and looks again after 200 ms (wal_writer_delay) only. So
 * each round flushes the new side's log and gives the old side's something to send, at which the subscriber reports.
 */
async function caughtUpTo(sessions: Sessions, forward: Link, deadline: number): Promise<string> {
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
async function flip(router: Router, from: Side, to: Side): Promise<void> {
  const deadline = performance.now() + askAgainMs;
  let failure: unknown;
  try {
    await within(router.apply({ live: to.colour, percent: 0 }), deadline);
  } catch (error) {
    failure = error;
  }
  for (;;) {
    const live = await within(router.read(), deadline).then((state) => state.split?.live, () => undefined); // prettier-ignore
    if (live === to.colour) return;
    if (live === from.colour) {
      throw new OperationError(
        'flipping',
        failure === undefined ? 'the balancer took the command and did nothing' : messageOf(failure),
        'see the balancer’s log',
      );
    }
    if (performance.now() > deadline) {
      throw new OperationError(
        'flipping',
        'the balancer does not say who is live',
        'see that it runs, then: npm run resume',
      );
    }
    await sleep(pollMs);
  }
}

/** Back to how it was: the live colour writes, the other does not, held writes go on. Returns what could not be undone. */
async function undo(
  options: CutoverOptions,
  prepared: Prepared | undefined,
  held: boolean,
  granted: boolean,
): Promise<string[]> {
  const leftovers: string[] = [];
  const attempt = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      leftovers.push(`${what}: ${messageOf(error)}`);
    }
  };
  if (prepared !== undefined) {
    const { fence, sessions, reverse } = prepared;
    // A balancer that cannot be read may have flipped: then both stay able to write, and it alone decides where to.
    const flipped = granted ? await options.router.read().then((s) => s.split?.live !== options.from.colour, () => true) : false; // prettier-ignore
    if (flipped) leftovers.push('who is live is not known');
    await attempt('lowering the fence', () => fence.lower());
    if (granted && !flipped) await attempt('revoking writes', () => sessions.new.query(revokeWrites));
    if (held) await attempt('releasing writes', () => options.router.release());
    if (reverse !== undefined && !flipped) await attempt('removing the way back', () => dropReverse(reverse, sessions));
    await prepared.close();
  }
  return leftovers;
}

interface Progress {
  started: number;
  heldAt: number;
  done: (next: CutoverStep, detail?: string) => string | undefined;
}

/** Everything after the flip. Nothing here throws: the new colour is live, and what fails is a problem to decide on. */
async function finish(options: CutoverOptions, prepared: Prepared, progress: Progress): Promise<CutoverResult> {
  const { router, from, to, direction } = options;
  const { fence, sessions, forward, reverse, snapshots } = prepared;
  const problems: string[] = [];
  const warnings = prepared.warnings;
  const attempt = async (what: string, list: string[], work: () => Promise<unknown>): Promise<void> => {
    await work().catch((error: unknown) => list.push(`${what}: ${messageOf(error)}`));
  };
  const step = (next: CutoverStep): void => {
    const failed = progress.done(next);
    if (failed !== undefined) warnings.push(failed);
  };
  step('release');
  // Where this fails the lease ends the hold: the writes go to the new colour all the same, only later.
  await attempt('releasing the held writes', warnings, () => router.release());
  const holdMs = performance.now() - progress.heldAt;
  step('fenced');
  await attempt('fencing the old colour', problems, () => fence.commit().catch(() => sessions.old.query(revokeWrites)));
  await fence.lower();
  step('detach');
  let detached = false;
  await attempt('ending the replication to the new colour', problems, async () => {
    await dropSubscription(sessions.new, forward.name);
    detached = true;
    await dropSlot(sessions.old, forward.name);
    await sessions.old.query(`DROP PUBLICATION IF EXISTS ${forward.name}`);
  });
  step('follow');
  // Before the forward direction has ended for good, changes would go round in a circle.
  if (reverse !== undefined && detached) {
    await attempt('establishing the way back', problems, async () => {
      await startReverse(reverse, sessions.old);
      await followed(reverse, prepared);
    });
  }
  step('compare');
  const before = performance.now();
  let tables: TableComparison[] = [];
  await attempt('comparing the databases', problems, async () => {
    const names = { left: from.colour, right: to.colour };
    const columns = direction === 'forward' ? 'left' : 'common';
    tables = await compareDatabases(snapshots.old, snapshots.new, { columns, names });
  });
  const compareMs = performance.now() - before;
  const failed = progress.done('compare', `${tables.length} tables`);
  if (failed !== undefined) warnings.push(failed);
  await prepared.close();
  return {
    holdMs,
    totalMs: performance.now() - progress.started,
    tables,
    compareMs,
    equal: tables.length > 0 && tables.every((t) => t.equal),
    ...(reverse === undefined ? {} : { reverse }),
    problems,
    warnings,
  };
}

async function followed(reverse: Link, { sessions }: Prepared): Promise<void> {
  const deadline = performance.now() + followMs;
  const sql = `SELECT count(*)::int AS n FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'`;
  while ((await row<{ n: number }>(sessions.new, sql, [reverse.name])).n === 0) {
    if (performance.now() > deadline) throw new Error(`${reverse.to.colour} does not follow after ${followMs} ms`);
    await sleep(10);
  }
}

/** Rejects when `deadline` (performance.now()) passes or the signal aborts; the work's own outcome is then ignored. */
async function within<T>(work: Promise<T>, deadline: number, signal?: AbortSignal): Promise<T> {
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
