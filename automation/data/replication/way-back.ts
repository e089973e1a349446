import type pg from 'pg';
import { messageOf, OperationError } from '../../../infra/lib/errors.ts';
import type { Colour } from '../../../infra/model.ts';
import { close, connect, isDamage } from '../connect.ts';
import type { Link } from '../link.ts';
import { followPartitions } from './partitions.ts';
import { describeUnfit, Rest, waitsInSlot, type Unfit } from './rest.ts';
import { noTries, revive, type Tries } from './revive.ts';
import { enableSubscription } from './subscription.ts';
import { measure, type SyncStatus } from './sync-state.ts';

/** One look at the way back. */
export type Look =
  | ({ kind: 'follows' } & Pick<SyncStatus, 'lagBytes' | 'lagMs'>)
  /** It had stopped, and goes on; `what` was done. */
  | { kind: 'mended'; what: string }
  /** No worker applies changes at this moment. PostgreSQL starts one again within 5 s (wal_retrieve_retry_interval). */
  | { kind: 'waits' }
  /** The other schema cannot hold a change. All that is missing waits in the slot. */
  | { kind: 'broken'; problem: string }
  /** It cannot go on with what the subscriber has: that needs a new copy. */
  | { kind: 'lost'; problem: string }
  /** A database does not answer. */
  | { kind: 'silent'; colour: Colour; problem: string };

/** What one series of looks has done so far. */
export interface Mending {
  tries: Tries;
}

export const noMending = (): Mending => ({ tries: noTries() });

/**
 * Looks whether the replication goes on, and mends it where that is safe: a lost connection is made again, partitions that only the
 * publisher has are created on the subscriber, which serves nobody. Opens sessions of its own.
 */
export async function lookAfter(link: Link, mending: Mending): Promise<Look> {
  const sides = [link.from, link.to];
  const opened = await Promise.allSettled(sides.map(({ access }) => connect(access, 'admin')));
  const sessions = opened.map((session) => (session.status === 'fulfilled' ? session.value : undefined));
  try {
    const [source, target] = sessions;
    const silent = opened.findIndex(({ status }) => status === 'rejected');
    if (source === undefined || target === undefined) {
      const { reason } = opened[silent] as { reason: unknown };
      return {
        kind: 'silent',
        colour: sides[silent]?.colour as Colour,
        problem: reason instanceof OperationError ? reason.found : messageOf(reason),
      };
    }
    const { state, worker, problem, lagBytes, lagMs } = await measure(link, source, target);
    if (state === 'none') return { kind: 'lost', problem: 'the replication is gone from both databases' };
    if (state !== 'broken') return worker ? { kind: 'follows', lagBytes, lagMs } : { kind: 'waits' };
    const followed = await followPartitions(link, source, target);
    if (followed.length > 0) {
      await enableSubscription(link, source, target);
      mending.tries = noTries();
      return { kind: 'mended', what: followed.join('; ') };
    }
    const stopped = `${link.to.colour} could not apply a change and stopped`;
    // What waits in the slot can go back by hand, change by change: such a copy is not lost.
    const waiting = await waitsInSlot(link, source, target);
    try {
      const unfit = waiting ? await foresee(link, source, target) : [];
      if (unfit.length > 0) return { kind: 'broken', problem: `${stopped}: ${describeUnfit(unfit)}` };
    } catch (error) {
      if (isDamage(error)) return { kind: 'lost', problem: `${stopped}: ${messageOf(error)}` };
      throw error;
    }
    if (await revive(link, source, target, mending.tries))
      return { kind: 'mended', what: 'it had stopped with a lost connection, and was started again' };
    return { kind: waiting ? 'broken' : 'lost', problem: problem ?? state };
  } finally {
    await Promise.all(sessions.map(close));
  }
}

const foresee = async (link: Link, source: pg.Client, target: pg.Client): Promise<Unfit[]> =>
  (await Rest.open(link, source, target)).foresee();
