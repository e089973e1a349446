import { messageOf } from '../../../infra/lib/errors.ts';
import { revokeWrites } from '../../../infra/application/roles.ts';
import type { Router } from '../../../infra/platform/router.ts';
import type { Prepared } from './prepare.ts';
import { reopen, standDown, type Move } from './settle.ts';
import { keepLive, readRouter } from './steps.ts';

/** How far a failed cutover came, and so what has to be undone. */
export interface Reached {
  /** Absent if the preparation failed, which then has undone itself. */
  prepared?: Prepared;
  /** Whether the balancer was asked to hold or refuse writes. */
  held: boolean;
  /** When the undo let writes through again (`performance.now()`); absent if it could not. */
  releasedAt?: number;
  /** Whether the grant of the right to write on the new colour was sent. */
  granted: boolean;
  /** Whether the balancer was asked to flip. */
  asked: boolean;
}

interface Undoing extends Move {
  router: Router;
  /** Whether this program still owns the environment. */
  ours?: (() => boolean) | undefined;
}

/**
 * Undoes a move of writes: the live colour may write, the other may not, and writes are let through. Resolves to what could not
 * be undone. If the balancer may have flipped, the old colour stays fenced for good, as a write that reached it would be lost.
 */
export async function undo(options: Undoing, reached: Reached): Promise<string[]> {
  const { prepared, held, granted } = reached;
  if (prepared === undefined) return [];
  if (options.ours?.() === false) {
    // Who has it now settles this, or did so long ago: only what ends with this program's sessions is undone.
    await prepared.close();
    return ['another machine has taken the environment over, and settles it'];
  }
  const { fence, sessions } = prepared;
  const leftovers: string[] = [];
  const attempt = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      leftovers.push(`${what}: ${messageOf(error)}`);
    }
  };
  const oneWay = options.direction === 'window';
  const unsure = oneWay ? reached.asked : granted;
  const state = unsure ? await readRouter(options.router) : undefined;
  const flipped = unsure && (state?.split?.live !== options.from.colour || state.disagreeing !== undefined);
  if (flipped) leftovers.push('who is live is not known');
  // If the balancer cannot be read, both colours stay able to write, and the balancer alone decides which one does. In a window
  // nothing is replicated any more: what the old colour accepted meanwhile would be lost if the balancer has flipped.
  if (flipped && (oneWay || state !== undefined)) await attempt('fencing the old colour', () => fence.commit());
  const lower = () => attempt('lowering the fence', () => fence.lower());
  // Writes that are held wait for this. Those that are refused do not, so there is no time at which both colours may write.
  if (!oneWay) await lower();
  // On the session of the grant: if the server hangs, a grant that is still pending must not run after this.
  const revoked =
    !granted ||
    flipped ||
    (await sessions.new.query(revokeWrites).then(
      () => true,
      () => false,
    ));
  if (oneWay) await lower();
  await prepared.close();
  if (!flipped) await attempt('letting the live colour write', () => reopen(options));
  if (held)
    await attempt('releasing writes', async () => {
      await options.router.resumeWrites();
      reached.releasedAt = performance.now();
    });
  if (!flipped)
    await attempt('putting the other colour back', async () => {
      const stood = await standDown(options);
      if (!revoked && !stood.revoked) throw new Error(`${options.to.colour} may still write: ${stood.problem}`);
    });
  if (!flipped && reached.asked)
    await attempt('keeping the live colour at the balancer', () => keepLive(options.router, options.from));
  return leftovers;
}
