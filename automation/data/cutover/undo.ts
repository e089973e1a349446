import { messageOf } from '../../../infra/lib/errors.ts';
import { revokeWrites } from '../../../infra/application/roles.ts';
import type { Prepared } from './prepare.ts';
import { reopen, standDown } from './settle.ts';
import { readRouter } from './steps.ts';
import type { CutoverOptions } from './types.ts';

/** How far a cutover came that failed: what has to be undone. */
export interface Reached {
  /** Absent where the preparation failed, which has undone itself then. */
  prepared?: Prepared;
  /** The balancer was asked to hold writes. */
  held: boolean;
  /** The new colour's right to write was asked for. */
  granted: boolean;
}

/**
 * Back to how it was: the live colour writes, the other does not, held writes go on. Resolves to what could not be undone.
 * Where the balancer may have flipped, the old colour stays fenced, for good: what reached it now would be lost.
 */
export async function undo(options: CutoverOptions, { prepared, held, granted }: Reached): Promise<string[]> {
  if (prepared === undefined) return [];
  const { fence, sessions } = prepared;
  const leftovers: string[] = [];
  const attempt = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      leftovers.push(`${what}: ${messageOf(error)}`);
    }
  };
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
  if (held) await attempt('releasing writes', () => options.router.release());
  if (!flipped)
    await attempt('putting the other colour back', async () => {
      const stood = await standDown(options);
      if (!revoked && !stood.revoked) throw new Error(`${options.to.colour} may still write: ${stood.problem}`);
    });
  return leftovers;
}
