import { OperationError, messageOf } from '../../../infra/lib/errors.ts';
import { grantWrites, revokeWrites } from '../../../infra/application/roles.ts';
import { openSnapshot } from '../comparison/compare.ts';
import { finish } from './finish.ts';
import { prepareCutover, type Prepared } from './prepare.ts';
import { caughtUpTo, drain, drainOrCut, flip, readRouter, within } from './steps.ts';
import type { CutoverOptions, CutoverResult, CutoverStep } from './types.ts';
import { startHere } from '../replication/reverse.ts';
import { carryOver } from '../replication/sequences.ts';
import { reopen, standDown } from './settle.ts';

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

/** Of the lease, kept for the flip and its read-back: a fifth, at most so much, ms, or a fifth of the time in which a balancer settles. */
const flipReserveMs = 200;
/** How long it takes to ask who is in the way of a fence, ms. */
const namedMs = 50;

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
    const [ended, ms] = [current, performance.now() - since];
    current = next;
    since = performance.now();
    options.onStep?.(ended, ms, detail);
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
    const lastFlip = heldAt + holdMs - Math.min(holdMs / 5, Math.max(flipReserveMs, router.settlesMs / 5));
    const inTime = <T>(work: Promise<T>): Promise<T> => within(work, lastFlip, options.signal);
    await inTime(router.hold(holdMs));
    done('drain');
    // Forward the live colour's clients come first. Back, users have a version that does harm, and nobody is waited for.
    const insist = options.direction === 'rollback';
    const drained = Math.min(performance.now() + Math.min(drainMs, insist ? holdMs / 2 : drainMs), lastFlip);
    const cut = insist
      ? await inTime(drainOrCut(router, from, { deadline: drained, lastFlip }))
      : await inTime(drain(router, from, drained));
    done('fence', cut);
    // Before the hold's own end, so that who is in the way is named.
    await inTime(fence.raise(insist ? lastFlip - namedMs : drained, { insist }));
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
    await inTime(stillHeld(options));
    await flip(router, from, to);
  } catch (error) {
    throw new CutoverAborted(current, error, await undo(options, prepared, heldAt !== undefined, granted));
  }
  return await finish(options, prepared, { started, heldAt, done });
}

/** A machine that slept meanwhile does not notice: its own clock stood still, and the hold has ended without it. */
async function stillHeld({ router, ours }: CutoverOptions): Promise<void> {
  const { holdMs } = await router.read();
  if (holdMs > 0 && ours?.() !== false) return;
  const found = holdMs > 0 ? 'another machine has taken the environment over' : 'writes are not held any more';
  throw new OperationError('flipping', found, 'see who is live: npm run status; then start the release again');
}

/**
 * Back to how it was: the live colour writes, the other does not, held writes go on. Returns what could not be undone. Where the
 * balancer may have flipped, the old colour stays fenced, for good: what reached it now would be lost.
 */
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
    const { fence, sessions } = prepared;
    const state = granted ? await readRouter(options.router) : undefined;
    const flipped = granted && (state?.split?.live !== options.from.colour || state.disagreeing !== undefined);
    if (flipped) leftovers.push('who is live is not known');
    // One that cannot be read at all: then both stay able to write, and it alone decides where to.
    if (flipped && state !== undefined) await attempt('fencing the old colour', () => fence.commit());
    await attempt('lowering the fence', () => fence.lower());
    // On the session that granted: a grant that waits on a server that stands still must not come after this.
    const revoked =
      !granted ||
      flipped ||
      (await sessions.new.query(revokeWrites).then(
        () => true,
        () => false,
      ));
    await prepared.close();
    if (!flipped) await attempt('letting the live colour write', () => reopen(options));
    if (held) await attempt('releasing writes', () => options.router.resumeWrites());
    if (!flipped)
      await attempt('putting the other colour back', async () => {
        const stood = await standDown(options);
        if (!revoked && !stood.revoked) throw new Error(`${options.to.colour} may still write: ${stood.problem}`);
      });
  }
  return leftovers;
}
