import { unarmedWayBackGate, wayBackGateName } from '../../gates/data/way-back.ts';
import { lastOf } from '../../journal/entries.ts';
import { readOnlyWindowOf, type FirstGoLive, type Release, type Replacement } from '../context/release.ts';
import { otherThan, situation } from '../context/situation.ts';
import { during, StageStopped, type Stage, type Step } from '../context/stage.ts';
import { qualificationMs } from '../steps/qualification.ts';
import { remedyOf } from '../steps/data/remake.ts';
import { endLong } from '../steps/traffic/end-long.ts';
import { watch } from '../steps/traffic/watch.ts';
import { whileWayBackHolds } from '../steps/traffic/keep-way-back.ts';
import { endSynthetic, keepTrafficUp } from '../synthetic/synthetic.ts';
import { qualify } from './staging.ts';

/** The new colour serves everybody and is watched; the old one stands by with all of its writes, but for those since a read-only window. */
export const bake = (release: Replacement): Stage => ({
  ...shape(release),
  steps: [traffic, ...watched(release), longEnded(release), judgeJourney],
});

/** A rehearsal judges the new version here, once it is live on staging. */
export const rehearsedBake = (release: Replacement): Stage => ({
  ...shape(release),
  observationMs: watchedMs(release) + qualificationMs(release.definition),
  steps: [traffic, ...watched(release), longEnded(release), qualify(release), judgeJourney],
});

/** No old colour stands by. */
export const firstBake = (release: FirstGoLive): Stage => ({
  ...shape(release),
  steps: [traffic, watchSlo(release, rollBack), judgeJourney],
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

const watchWhileFollowing = (release: Replacement) =>
  during<AbortSignal>(
    {
      says: `look after the replication back to ${release.from.colour}; ${release.definition.bake.brokenWayBack === 'stay' ? 'go on' : 'go back at once'} where the old schema cannot hold a change; make its database anew where that is lost`,
      gates: { [wayBackGateName.id]: wayBackGateName.title },
    },
    (context, work) => whileWayBackHolds(context, release, remedyOf(context, release), work),
    [watchSlo(release, rollBack)],
  );

const watched = (release: Replacement): Stage['steps'] =>
  readOnlyWindowOf(release) === undefined
    ? [watchWhileFollowing(release)]
    : [
        notArmed(release),
        watchSlo(release, 'stop when they break: nothing goes back by itself, and somebody has to decide'),
      ];

/** After a read-only window: the old schema does not hold the new rows, and losing the old database is no event any more. */
const notArmed = ({ from }: Replacement): Step => ({
  says: `no replication goes back to ${from.colour}, which stays as it was when the writes moved`,
  gates: { [wayBackGateName.id]: wayBackGateName.title },
  do: ({ journal, gates }) => gates([unarmedWayBackGate(lastOf(journal.entries(), 'approval.given')?.by)]),
});

const rollBack = 'roll back by itself when they break';

const watchSlo = ({ definition, to }: Release, otherwise: string): Step => ({
  says: `watch ${definition.bake.seconds} s against the SLOs; ${otherwise}`,
  async do(context, ended) {
    const watched = ended instanceof AbortSignal ? { ...context, signal: ended } : context;
    const { judgement } = await watch(watched, await context.connect(), {
      colour: to.colour,
      compared: false,
      seconds: definition.bake.seconds,
      what: 'bake',
    });
    if (judgement.verdict !== 'pass')
      throw new StageStopped('rolled-back', `bake: ${judgement.verdict}: ${judgement.reason}`);
  },
});

/** Begun in the cutover. Where the program was ended since, it is begun again here. */
const longEnded = ({ from }: Replacement): Step => ({
  says: `see that nothing stays connected to ${from.colour}, as far as the balancer can end it`,
  do: (context) => endLong(context, from.colour, context.signal),
});

const judgeJourney: Step = {
  says: 'end marked traffic; look for every acknowledged write',
  gates: { 'user-journey': 'Requests and writes during the release' },
  do: endSynthetic,
};
