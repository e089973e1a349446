import type { Colour } from '../../../../infra/model.ts';
import { compareFollowing } from '../../../data/comparison/following.ts';
import { describeDrift } from '../../../data/replication/schema-drift.ts';
import { replayChanges } from '../../../data/replication/replay.ts';
import type { Link } from '../../../data/link.ts';
import { followingGate, type FollowingFacts } from '../../../gates/data/data.ts';
import { stops } from '../../../journal/verdict.ts';
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
 * Compares the inactive colour, which follows, with the live one, in all that the live one has: rows and catalog. What differs would
 * take the release back after the flip: here it stops it before any write is held. Throws a StageStopped that names what differs.
 */
export async function requireFollowing(context: ReleaseContext, live: Colour): Promise<void> {
  const { colour } = context.to;
  const link = await linkOf(context, live, colour);
  const schema = await compareSchema(context, link);
  const compare = async () => ({ tables: await compareFollowing(link, 'left', context.signal), schema });
  const [result] = await context.gates([followingGate({ title, compare })]);
  if (result !== undefined && !stops(result.verdict)) return;
  const found = (result?.measurements ?? []).filter(({ verdict }) => stops(verdict));
  const reasons = found.map(({ name, measured, note }) => `${name}: ${measured}${inBrackets(note)}`);
  throw new StageStopped('no-go', `${colour} does not hold what ${live} holds: ${reasons.join('; ')}`);
}

/** Repeats harmless changes of the live schema on the inactive colour first. */
async function compareSchema(context: ReleaseContext, link: Link): Promise<FollowingFacts['schema']> {
  const { to } = link;
  const { objects, drifts } = await replayChanges(link, async (safe, replay) => {
    const what = describeDrift(safe);
    await context.act('replay-schema', `repeat on ${to.colour}: ${what}`, replay);
    context.note(`${what}: repeated on ${to.colour}`);
  });
  return { objects, different: drifts.map((drift) => describeDrift([drift])) };
}

const inBrackets = (note: string | undefined): string => (note === undefined ? '' : ` (${note})`);
