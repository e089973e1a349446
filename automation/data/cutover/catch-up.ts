import { setTimeout as sleep } from 'node:timers/promises';
import { OperationError } from '../../../infra/lib/errors.ts';
import { blockingSubscription, endSessions, nameBlockers } from '../blockers.ts';
import type { Link } from '../link.ts';
import type { Sessions } from '../replication/reverse.ts';
import { noTries, revive } from '../replication/revive.ts';
import { lagOf, measure, replayed } from '../replication/sync-state.ts';
import { row } from '../connect.ts';
import type { Fence } from './fence.ts';
import { describeLag, nudge } from './steps.ts';
import type { Move } from './settle.ts';
import type { CutoverOptions } from './types.ts';

/** Waits before writes are held, for what the hold has no time for. */

/** Timeout of the catch-up, ms. */
const catchUpMs = 30_000;
/** How often it is looked at what is in the way, ms. */
const lookMs = 200;
/** How long open transactions may take to end, in holds. */
const holds = 5;
const pollMs = 10;

type Waiting = Pick<CutoverOptions, 'settings' | 'signal'> & Pick<Move, 'direction' | 'from'>;

/**
 * Waits until nobody keeps a table of the live colour locked for longer than writes in flight may take. Throws an OperationError
 * that names who does. A rollback ends sessions, so it waits for prepared transactions alone.
 */
export async function unobstructed(fence: Fence, { settings, signal, from, direction }: Waiting): Promise<void> {
  const deadline = performance.now() + holds * settings.holdMs;
  for (;;) {
    const open = await fence.inTheWay(settings.drainMs);
    const found = nameBlockers(direction === 'rollback' ? open.filter(({ pid }) => pid === undefined) : open);
    if (found === undefined) return;
    signal?.throwIfAborted();
    if (performance.now() > deadline) {
      throw new OperationError(
        `waiting until the tables of ${from.colour} can be locked`,
        `writes can wait for ${settings.drainMs} ms, and a transaction that writes stays open (${found})`,
        'end it, or repeat when it has ended; no write was held',
      );
    }
    await sleep(pollMs);
  }
}

/**
 * Waits until everything written so far is applied, and so quickly that the rest can be applied within the hold. A rollback waits
 * once only, and terminates the sessions that block the replication. Throws an OperationError with figures and names, and at once if
 * the replication stops.
 */
export async function caughtUp(
  sessions: Sessions,
  forward: Link,
  options: Waiting,
  timeoutMs = catchUpMs,
): Promise<void> {
  const { holdMs, drainMs } = options.settings;
  const budget = Math.max(holdMs / 4, (holdMs - drainMs) / 2);
  const began = { at: performance.now(), ...(await lagOf(sessions.old, forward.name)) };
  for (;;) {
    const started = performance.now();
    if (!(await appliedUpToNow(sessions, forward, options, began.at + timeoutMs)))
      throw await tooFarBehind(sessions, forward, began, budget);
    if (options.direction === 'rollback' || performance.now() - started <= budget) return;
  }
}

/** Resolves to whether everything written until now was applied before `deadline`. */
async function appliedUpToNow(
  sessions: Sessions,
  forward: Link,
  { direction, signal }: Waiting,
  deadline: number,
): Promise<boolean> {
  const { lsn } = await row<{ lsn: string }>(sessions.old, 'SELECT pg_current_wal_flush_lsn()::text AS lsn');
  let look = performance.now() + lookMs;
  const tries = noTries();
  while (!(await replayed(sessions.old, forward.name, lsn))) {
    signal?.throwIfAborted();
    if (performance.now() > deadline) return false;
    if (performance.now() > look) {
      look = performance.now() + lookMs;
      if (direction === 'rollback')
        await endSessions(sessions.new, await blockingSubscription(sessions.new, forward.name));
      const { state, problem, lasting } = await measure(forward, sessions.old, sessions.new);
      if (state !== 'streaming' && !(await revive(forward, sessions.old, sessions.new, tries)))
        throw notFollowing(forward, problem ?? state, lasting);
    }
    await nudge(sessions);
    await sleep(pollMs);
  }
  return true;
}

async function tooFarBehind(
  sessions: Sessions,
  forward: Link,
  began: { at: number; applied: number },
  budget: number,
): Promise<OperationError> {
  const ms = performance.now() - began.at;
  const { applied, behind } = await lagOf(sessions.old, forward.name);
  const rate = ((applied - began.applied) / ms) * 1000;
  const estimate =
    rate > 0
      ? `${Math.round(rate)} bytes/s were applied, so the rest takes about ${Math.round((behind / rate) * 1000)} ms`
      : 'nothing was applied meanwhile, as of one long transaction';
  return notFollowing(
    forward,
    `after ${Math.round(ms)} ms ${await describeLag(sessions, forward)}; ${estimate}; the hold has ${Math.round(budget)} ms for it`,
  );
}

const notFollowing = ({ to }: Link, found: string, lasting = false): OperationError =>
  new OperationError(
    `waiting for ${to.colour} to catch up`,
    found,
    lasting
      ? 'put that right, then repeat; no write was held'
      : 'repeat at a time with fewer writes; no write was held',
    { code: lasting ? 'lasting' : 'failed' },
  );
