import { greenlight } from '../../../infra/lib/command.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import { grantWrites } from '../../../infra/application/roles.ts';
import { CutoverAborted } from './aborted.ts';
import { finish, type Moved } from './finish.ts';
import { flipInTime, lastFlipOf } from './flip-in-time.ts';
import { beside, level } from './level.ts';
import { prepareCutover, type Prepared } from './prepare.ts';
import { cutoverSteps, Walk, type CutoverStep } from './procedure.ts';
import { caughtUpTo, drain, drainOrCut, within } from './steps.ts';
import type { CutoverOptions, CutoverResult } from './types.ts';
import { startHere } from '../replication/reverse.ts';
import type { Rest } from '../replication/rest.ts';
import { dropSubscription } from '../replication/subscription.ts';
import { undo, type Reached } from './undo.ts';

export { CutoverAborted };

/** Time to find out who is in the way, ms. */
const namedMs = 50;

/**
 * Moves writes from one colour's database to the other's without losing or doubling one. Rejects with CutoverAborted if the
 * move did not happen. Otherwise it resolves, and `problems` and `equal` say whether to stay.
 */
export async function cutover(options: CutoverOptions): Promise<CutoverResult> {
  const walk = new Walk(cutoverSteps, options.onStep);
  const reached: Reached = { held: false, granted: false, asked: false };
  const end = new AbortController();
  const moved = await move(options, walk, reached, end.signal).catch(async (error: unknown) => {
    // A balancer that has not begun to hold must not do so once nobody is there to end it.
    end.abort();
    const leftovers = await undo(options, reached);
    const { releasedAt } = reached;
    const undoMs = releasedAt === undefined ? undefined : releasedAt - walk.since;
    throw new CutoverAborted(walk.current, error, leftovers, undoMs);
  });
  return await finish(options, moved, walk);
}

/** The steps up to the flip. Records in `reached` what a failure has to undo. */
async function move(
  options: CutoverOptions,
  walk: Walk<CutoverStep>,
  reached: Reached,
  ended: AbortSignal,
): Promise<Moved> {
  const { router, from, to, signal } = options;
  const { holdMs, drainMs } = options.settings;
  // Forward, the clients of the live colour have priority. In a rollback users have a harmful version, so nothing may delay it.
  const insist = options.direction === 'rollback';

  const prepared = await walk.step('prepare', async () => {
    reached.prepared = await prepareCutover(options);
    await options.beforeHold?.();
    signal?.throwIfAborted();
    return reached.prepared;
  });
  const { sessions, fence, forward, reverse, rest } = prepared;

  reached.held = true;
  const heldAt = performance.now();
  const lastFlip = lastFlipOf(heldAt, holdMs, router);
  const inTime = <T>(work: Promise<T>): Promise<T> => within(work, lastFlip, signal);
  await walk.step('hold', () => inTime(router.hold(holdMs, { live: to.colour, percent: 0 }, ended)));

  const drained = Math.min(performance.now() + Math.min(drainMs, insist ? holdMs / 2 : drainMs), lastFlip);
  await walk.step(
    'drain',
    () =>
      inTime(
        insist ? drainOrCut(router, from, { deadline: drained, lastFlip }) : drain(router, from, drained, sessions.old),
      ),
    (cut) => cut,
  );

  let wayBack: Promise<void> = Promise.resolve();
  await level(walk, prepared, {
    inTime,
    // The deadline comes before that of the hold, so that the error can name the sessions in the way.
    raise: () => fence.raise(insist ? lastFlip - namedMs : drained, { insist }),
    replay: async (fencedAt) => {
      const upTo = await (rest === undefined
        ? caughtUpTo(sessions, forward, lastFlip - namedMs, fencedAt)
        : lastOf(rest, prepared));
      // Its position is read before the grant. It flushes the old side's log while the grant flushes the new side's.
      if (reverse !== undefined) wayBack = beside(startHere(reverse, sessions));
      return upTo;
    },
  });

  await walk.step('grant', () => {
    reached.granted = true;
    // Apply workers commit asynchronously, and so were sequences set. This durable commit flushes all of it.
    return inTime(Promise.all([sessions.new.query(grantWrites), wayBack]));
  });

  await walk.step('flip', async () => {
    await inTime(stillHeld(options));
    reached.asked = true;
    await flipInTime(sessions, { router, from, to, lastFlip, late: tooLate() });
  });
  return { prepared, heldAt };
}

/** Applies the last changes of a stopped replication, and ends that: nothing may start it again once the target is live. */
async function lastOf(rest: Rest, { sessions, forward }: Prepared): Promise<string> {
  const changes = await rest.apply();
  await dropSubscription(sessions.new, forward.name);
  return `${changes} changes applied one by one`;
}

const tooLate = (): OperationError =>
  new OperationError(
    'flipping',
    'the balancer made the flip after the time that writes may be held',
    'find out what was slow, or allow more time (cutover.holdMs)',
  );

/** Asks the balancer, as this machine may have been suspended: its clock stood still while the hold expired. */
async function stillHeld({ router, ours }: CutoverOptions): Promise<void> {
  const { holdMs } = await router.read();
  if (holdMs > 0 && ours?.() !== false) return;
  const found = holdMs > 0 ? 'another machine has taken the environment over' : 'writes are not held any more';
  throw new OperationError('flipping', found, `see who is live: ${greenlight('status')}; then start the release again`);
}
