import type { Colour } from '../../../../infra/model.ts';
import { compareFollowing } from '../../../data/comparison/following.ts';
import { followingGate } from '../../../gates/data/data.ts';
import { passes } from '../../../journal/verdict.ts';
import type { ReleaseContext } from '../../context/context.ts';
import type { Replacement } from '../../context/release.ts';
import { StageStopped, type Step } from '../../context/stage.ts';
import { linkOf } from '../traffic/link.ts';

const title = 'Inactive colour holds what the live one holds';

export const compareInactive = ({ from, to }: Replacement): Step => ({
  says: `compare ${to.colour} with ${from.colour}, which is live`,
  gates: { following: title },
  do: (context) => requireFollowing(context, from.colour),
});

/**
 * Compares the inactive colour, which follows, with the live one, in all that the live one has. What differs would take the
 * release back after the flip: here it stops it before any write is held. Throws a StageStopped that names the tables.
 */
export async function requireFollowing(context: ReleaseContext, live: Colour): Promise<void> {
  const { colour } = context.to;
  const link = await linkOf(context, live, colour);
  const compare = () => compareFollowing(link, 'left', context.signal);
  const [result] = await context.gates([followingGate({ title, compare })]);
  if (result !== undefined && passes(result.verdict)) return;
  const found = (result?.measurements ?? []).filter(({ verdict }) => !passes(verdict));
  const reasons = found.map(({ name, measured, note }) => `${name}: ${measured}${inBrackets(note)}`);
  throw new StageStopped('no-go', `${colour} does not hold what ${live} holds: ${reasons.join('; ')}`);
}

const inBrackets = (note: string | undefined): string => (note === undefined ? '' : ` (${note})`);
