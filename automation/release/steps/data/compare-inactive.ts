import type { Colour } from '../../../../infra/model.ts';
import { compareFollowing } from '../../../data/comparison/following.ts';
import { linkBetween } from '../../../data/link.ts';
import { followingGate } from '../../../gates/data/data.ts';
import { passes } from '../../../journal/verdict.ts';
import type { ReleaseContext } from '../../context/context.ts';
import { StageStopped } from '../../context/stage.ts';

/** The gate, for the plan of a stage that asks for it. */
export const inactiveCompared = { following: 'Inactive colour holds what the live one holds' };

/**
 * Compares the inactive colour, which follows, with the live one, in all that the live one has. What differs would take the
 * release back after the flip: here it stops it before any write is held. Throws a StageStopped that names the tables.
 */
export async function requireFollowing(context: ReleaseContext, live: Colour): Promise<void> {
  const { databases } = await context.connect();
  const { colour } = context.to;
  const [from, to] = await Promise.all([databases.of(live), databases.of(colour)]);
  const link = linkBetween({ colour: live, access: from }, { colour, access: to });
  const compare = () => compareFollowing(link, 'left', context.signal);
  const [result] = await context.gates([followingGate({ title: inactiveCompared.following, compare })]);
  if (result !== undefined && passes(result.verdict)) return;
  const found = (result?.measurements ?? []).filter(({ verdict }) => !passes(verdict));
  const reasons = found.map(({ name, measured, note }) => `${name}: ${measured}${inBrackets(note)}`);
  throw new StageStopped('no-go', `${colour} does not hold what ${live} holds: ${reasons.join('; ')}`);
}

const inBrackets = (note: string | undefined): string => (note === undefined ? '' : ` (${note})`);
