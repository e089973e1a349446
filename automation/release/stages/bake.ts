import { syncStatus } from '../../data/replication/sync.ts';
import type { ReleaseContext } from '../context/context.ts';
import type { FirstGoLive, Release, Replacement } from '../context/release.ts';
import { otherThan, situation } from '../context/situation.ts';
import { during, StageStopped, type Stage, type Step } from '../context/stage.ts';
import { qualificationMs } from '../steps/qualification.ts';
import { keepFollowing } from '../steps/traffic/keep-following.ts';
import { linkOf } from '../steps/traffic/link.ts';
import { watch } from '../steps/traffic/watch.ts';
import { endSynthetic, keepTrafficUp } from '../synthetic/synthetic.ts';
import { qualify } from './staging.ts';

/** The new colour serves everybody and is watched; the old one stands by with all of its writes. */
export const bake = (release: Replacement): Stage => ({
  ...shape(release),
  steps: [traffic, ...watchWhileFollowing(release), judgeJourney],
});

/** A rehearsal judges the new version here, once it is live on staging. */
export const rehearsedBake = (release: Replacement): Stage => ({
  ...shape(release),
  observationMs: watchedMs(release) + qualificationMs(release.definition),
  steps: [traffic, ...watchWhileFollowing(release), qualify(release), judgeJourney],
});

/** No old colour stands by. */
export const firstBake = (release: FirstGoLive): Stage => ({
  ...shape(release),
  steps: [traffic, watchSlo(release), judgeJourney],
});

const watchedMs = ({ definition }: Release): number => definition.bake.seconds * 1000;

// There is no undo: the cutover stage takes the traffic back.
const shape = (release: Release): Omit<Stage, 'steps'> => ({
  id: 'bake',
  title: 'Bake',
  workMs: 1_000,
  observationMs: watchedMs(release),
  verify: async (context) => otherThan(await situation(context), { live: release.to.colour }),
});

const traffic: Step = { says: 'keep marked traffic up, where the definition asks for it', do: keepTrafficUp };

const watchWhileFollowing = (release: Replacement) => [
  during<void>(
    { says: `keep ${release.from.colour} following, for the way back` },
    (context, work) => keepFollowing(context, { from: release.to.colour, to: release.from.colour }, () => work()),
    [watchSlo(release)],
  ),
  {
    says: `see that ${release.from.colour} has followed until the end`,
    do: (context: ReleaseContext) => lookBack(context, release),
  },
];

const watchSlo = ({ definition, to }: Release): Step => ({
  says: `watch ${definition.bake.seconds} s against the SLOs; roll back by itself when they break`,
  async do(context) {
    const { judgement } = await watch(context, await context.connect(), {
      colour: to.colour,
      compared: false,
      seconds: definition.bake.seconds,
      what: 'bake',
    });
    if (judgement.verdict !== 'pass')
      throw new StageStopped('rolled-back', `bake: ${judgement.verdict}: ${judgement.reason}`);
  },
});

const judgeJourney: Step = {
  says: 'end marked traffic; look for every acknowledged write',
  gates: { 'user-journey': 'Requests and writes during the release' },
  do: endSynthetic,
};

/** Whether the old colour has received all writes until the end of the bake time: a rollback needs them. */
async function lookBack(context: ReleaseContext, { from, to }: Replacement): Promise<void> {
  const found = await syncStatus(await linkOf(context, to.colour, from.colour));
  const { tablesReady, tables, lagBytes, lagMs, problem } = found;
  context.journal.append({ type: 'sync.progress', direction: 'reverse', tablesReady, tables, lagBytes, lagMs });
  if (found.state === 'broken') {
    context.note(
      `${from.colour} no longer receives the writes of ${to.colour} (${problem}): a rollback would lose what was written since`,
      'warning',
    );
  }
}
