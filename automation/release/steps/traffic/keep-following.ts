import { setTimeout as sleep } from 'node:timers/promises';
import type { Colour } from '../../../../infra/model.ts';
import { noTries, reviveLink } from '../../../data/replication/revive.ts';
import type { ReleaseContext } from '../../context/context.ts';
import { linkOf } from './link.ts';

/** Milliseconds between two looks: a replication that lost its connection is off for so long at most. */
const lookMs = 5_000;

/**
 * While `work` is under way, starts the replication from one colour to the other again whenever a lost connection has
 * stopped it, and notes that. What cannot be started again is found by who needs it: the sync gate, the cutover, the bake time's end.
 */
export async function keepFollowing<T>(
  context: ReleaseContext,
  { from, to }: { from: Colour; to: Colour },
  work: () => Promise<T>,
): Promise<T> {
  const end = new AbortController();
  const tries = noTries();
  const look = async (): Promise<void> => {
    if (await reviveLink(await linkOf(context, from, to), tries))
      context.note(
        `the replication from ${from} to ${to} had stopped with a lost connection, and was started again`,
        'warning',
      );
  };
  const keeping = (async () => {
    while (!end.signal.aborted) {
      await sleep(lookMs, undefined, { signal: end.signal }).catch(() => undefined);
      // A database that cannot be reached now is looked at again.
      if (!end.signal.aborted && context.hasLock?.() !== false) await look().catch(() => undefined);
    }
  })();
  try {
    return await work();
  } finally {
    end.abort();
    await keeping;
  }
}
