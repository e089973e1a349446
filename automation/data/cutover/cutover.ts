import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode, OperationError, messageOf } from '../../../infra/lib/errors.ts';
import { grantWrites, revokeWrites } from '../../../infra/application/roles.ts';
import { takeSnapshot } from '../comparison/snapshot.ts';
import { finish, type Moved } from './finish.ts';
import { prepareCutover, type Prepared } from './prepare.ts';
import { Walk, type CutoverStep } from './procedure.ts';
import { caughtUpTo, drain, drainOrCut, flip, readRouter, within } from './steps.ts';
import type { CutoverOptions, CutoverResult } from './types.ts';
import { startHere } from '../replication/reverse.ts';
import type { Rest } from '../replication/rest.ts';
import { dropSubscription } from '../replication/subscription.ts';
import { requireUnchanged } from './schema-guard.ts';
import { readNumbers, setNumbers } from '../replication/sequences.ts';
import { undo, type Reached } from './undo.ts';

/** The cutover did not happen. `undone`: everything is as before; otherwise the message lists what is not. */
export class CutoverAborted extends OperationError {
  readonly step: CutoverStep;
  readonly undone: boolean;
  /** From the end of the last step until the held writes were released, ms; absent if none were held, or not released. */
  readonly undoMs: number | undefined;

  constructor(step: CutoverStep, cause: unknown, leftovers: string[], undoMs?: number) {
    const undone = leftovers.length === 0;
    const found = cause instanceof OperationError ? `${cause.doing}: ${cause.found}` : messageOf(cause);
    super(
      `cutover, step ${step}`,
      undone ? found : `${found}; and undoing it: ${leftovers.join('; ')}`,
      undone
        ? 'writes go to the live colour as before, and the replication goes on; put that right, then repeat'
        : 'run: npm run resume',
      { cause, code: hasCode(cause, 'lasting') ? 'lasting' : 'failed' },
    );
    this.name = 'CutoverAborted';
    this.step = step;
    this.undone = undone;
    this.undoMs = undoMs;
  }
}

/**
 * Least reserve for the flip and its read-back at the end of the lease, ms. A balancer that settles slowly gets a fifth of that
 * time. The reserve is at most a fifth of the lease.
 */
const flipReserveMs = 200;
/** Time to find out who is in the way, ms. */
const namedMs = 50;

/**
 * Moves writes from one colour's database to the other's without losing or doubling one. Rejects with CutoverAborted if the
 * move did not happen. Otherwise it resolves, and `problems` and `equal` say whether to stay.
 */
export async function cutover(options: CutoverOptions): Promise<CutoverResult> {
  const walk = new Walk(options.onStep);
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
async function move(options: CutoverOptions, walk: Walk, reached: Reached, ended: AbortSignal): Promise<Moved> {
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
  const { sessions, fence, forward, reverse, rest, sequences, snapshots, schema } = prepared;

  reached.held = true;
  const heldAt = performance.now();
  const lastFlip = heldAt + holdMs - Math.min(holdMs / 5, Math.max(flipReserveMs, router.settlesMs / 5));
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

  // The deadline comes before that of the hold, so that the error can name the sessions in the way.
  const fencedAt = await walk.step('fence', () =>
    inTime(fence.raise(insist ? lastFlip - namedMs : drained, { insist })),
  );

  // Beside the replay, as the old side is at rest. The fence does not keep functions from being replaced.
  const unchanged = beside(schema === undefined ? Promise.resolve() : requireUnchanged(schema));
  const numbers = beside(readNumbers(sequences, snapshots.old));
  const oldSnapshot = beside(takeSnapshot(snapshots.old));

  await walk.step(
    'replay',
    () =>
      inTime(rest === undefined ? caughtUpTo(sessions, forward, lastFlip - namedMs, fencedAt) : lastOf(rest, prepared)),
    (upTo) => upTo,
  );

  // Its position is read before the grant. It flushes the old side's log while the grant flushes the new side's.
  const wayBack = beside(reverse === undefined ? Promise.resolve() : startHere(reverse, sessions));
  await walk.step(
    'carry-over',
    () =>
      inTime(
        Promise.all([
          numbers.then((found) => setNumbers(sequences, sessions.new, found)),
          takeSnapshot(snapshots.new),
          oldSnapshot,
          unchanged,
        ]),
      ),
    ([count]) => `${count} sequences`,
  );

  await walk.step('grant', () => {
    reached.granted = true;
    // Apply workers commit asynchronously, and so were sequences set. This durable commit flushes all of it.
    return inTime(Promise.all([sessions.new.query(grantWrites), wayBack]));
  });

  await walk.step('flip', async () => {
    await inTime(stillHeld(options));
    reached.asked = true;
    await flipInTime(prepared, options, lastFlip);
  });
  return { prepared, heldAt };
}

/** Work that goes on beside a step, and is waited for later. */
function beside<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  return work;
}

/** Applies the last changes of a stopped replication, and ends that: nothing may start it again once the target is live. */
async function lastOf(rest: Rest, { sessions, forward }: Prepared): Promise<string> {
  const changes = await rest.apply();
  await dropSubscription(sessions.new, forward.name);
  return `${changes} changes applied one by one`;
}

/**
 * Flips the balancer. One that has not flipped by `lastFlip` may do so once the hold has ended and the old colour writes again, and both
 * would have the writes of that time. So the new colour loses the right to write then, and the balancer is put back.
 */
async function flipInTime(
  { sessions }: Prepared,
  { router, from, to }: CutoverOptions,
  lastFlip: number,
): Promise<void> {
  const flipped = beside(flip(router, from, to));
  const timer = new AbortController();
  const over = beside(sleep(Math.max(0, lastFlip - performance.now()), true, { signal: timer.signal }));
  const late = await Promise.race([flipped.then(() => false), over]).finally(() => timer.abort());
  if (!late || (await readRouter(router))?.split?.live === to.colour) return flipped;
  await sessions.new.query(revokeWrites);
  await flipped;
  await flip(router, to, from);
  throw new OperationError(
    'flipping',
    'the balancer made the flip after the time that writes may be held',
    'find out what was slow, or allow more time (cutover.holdMs)',
  );
}

/** Asks the balancer, as this machine may have been suspended: its clock stood still while the hold expired. */
async function stillHeld({ router, ours }: CutoverOptions): Promise<void> {
  const { holdMs } = await router.read();
  if (holdMs > 0 && ours?.() !== false) return;
  const found = holdMs > 0 ? 'another machine has taken the environment over' : 'writes are not held any more';
  throw new OperationError('flipping', found, 'see who is live: npm run status; then start the release again');
}
