import { grantWrites } from '../../../infra/application/roles.ts';
import { messageOf } from '../../../infra/lib/errors.ts';
import type { Router } from '../../../infra/platform/router.ts';
import { withClient } from '../connect.ts';
import { linkBetween, type Link, type Side } from '../link.ts';
import { carryOver, planSequences } from '../replication/sequences.ts';
import { stopSync } from '../replication/sync.ts';
import { moveEventTriggers } from '../replication/triggers.ts';
import { Fence } from './fence.ts';
import { flushed } from './steps.ts';

/** How long the fence of the colour that is left may wait for its writers, ms. Their sessions are ended. */
const fenceMs = 5_000;

interface WithoutRest {
  router: Router;
  holdMs: number;
  /** Gets what could not be done on the colour that is left. */
  onProblem: (text: string) => void;
}

/**
 * Makes the subscriber of a broken replication live, without what it has not got. The colour that is left is fenced if it answers, and
 * its numbers and event triggers go over; nothing else is changed there. Rejects where the subscriber or the balancer does not take part. May be
 * repeated.
 */
export async function leaveWithoutRest({ from, to }: Link, { router, holdMs, onProblem }: WithoutRest): Promise<void> {
  const attempt = (what: string, work: () => Promise<unknown>): Promise<unknown> =>
    work().catch((error: unknown) => onProblem(`${what}: ${messageOf(error)}`));
  await attempt('writes could not be held', () => router.hold(holdMs));
  try {
    // A database that does not answer cannot be fenced. The balancer sends it nothing once the other one is live.
    await attempt(`${from.colour} could not be fenced`, () => fenceForGood(from));
    await attempt(`the sequences of ${from.colour} could not be carried over`, () => carrySequences(from, to));
    await attempt(`the event triggers of ${from.colour} could not be moved`, () =>
      withClient(from.access, 'admin', (left) =>
        withClient(to.access, 'admin', (right) => moveEventTriggers(left, right)),
      ),
    );
    await stopSync(linkBetween(from, to));
    await withClient(to.access, 'admin', async (client) => {
      await client.query(grantWrites);
      // A grant that is repeated changes nothing, and flushes nothing of what was applied and carried over.
      await flushed(client);
    });
    await router.apply({ live: to.colour, percent: 0 });
  } finally {
    await attempt('held writes could not be released', () => router.resumeWrites());
  }
}

async function fenceForGood({ access }: Side): Promise<void> {
  const fence = await Fence.prepare(access, 2 * fenceMs);
  try {
    await fence.raise(performance.now() + fenceMs, { insist: true });
    await fence.commit();
  } finally {
    await fence.lower();
  }
}

/** Numbers that users have seen must not be given out again. */
const carrySequences = (from: Side, to: Side): Promise<number> =>
  withClient(from.access, 'admin', (left) =>
    withClient(to.access, 'admin', async (right) =>
      carryOver(await planSequences(left, right, to.colour), left, right),
    ),
  );
