import { setTimeout as sleep } from 'node:timers/promises';
import type { Colour } from '../../../../infra/model.ts';
import { lookAndFollow } from '../../../data/replication/partitions.ts';
import { noTries, reviveLink } from '../../../data/replication/revive.ts';
import { describeDrift, SchemaWatch } from '../../../data/replication/schema-drift.ts';
import { withClient } from '../../../data/connect.ts';
import type { ReleaseContext } from '../../context/context.ts';
import { linkOf } from './link.ts';

/** Milliseconds between two looks: a lost connection stops the replication for so long at most. */
const lookMs = 5_000;

/**
 * While `work` runs, says what is changed in a schema, and restarts the replication between the colours whenever a lost connection has stopped it, and notes that. If it
 * cannot be restarted, the next one that needs it reports that: the sync gate, the cutover, or the end of the bake time.
 */
export async function keepFollowing<T>(
  context: ReleaseContext,
  { from, to }: { from: Colour; to: Colour },
  work: () => Promise<T>,
): Promise<T> {
  const end = new AbortController();
  const tries = noTries();
  const schema = new SchemaWatch();
  let told = '';
  const look = async (): Promise<void> => {
    const link = await linkOf(context, from, to);
    if (await reviveLink(link, tries))
      context.note(
        `the replication from ${from} to ${to} had stopped with a lost connection, and was started again`,
        'warning',
      );
    const { followed, drifts } = await withClient(link.from.access, 'admin', (source) =>
      withClient(link.to.access, 'admin', (target) => lookAndFollow(schema, link, source, target)),
    );
    for (const what of followed) context.note(`${what}, as on ${from}`);
    const found = describeDrift(drifts);
    if (found !== '' && found !== told) context.note(`the schemas of ${from} and ${to} differ: ${found}`, 'warning');
    told = found;
  };
  const keeping = (async () => {
    while (!end.signal.aborted) {
      await sleep(lookMs, undefined, { signal: end.signal }).catch(() => undefined);
      // A database that cannot be reached now is tried again at the next look.
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
