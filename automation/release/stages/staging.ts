import { other, type Colour } from '../../../infra/model.ts';
import type { ReleaseContext } from '../context/context.ts';
import { liveColour } from '../context/live.ts';
import type { FirstGoLive, Release, Replacement } from '../context/release.ts';
import { situation } from '../context/situation.ts';
import { during, type Stage, type Step } from '../context/stage.ts';
import { establishing, type Placed } from '../steps/data/establish.ts';
import { policies } from '../steps/policies.ts';
import { qualification, qualificationGates, qualificationMs } from '../steps/qualification.ts';

type Shape = Pick<Stage, 'id' | 'title' | 'workMs' | 'verify'>;

// There is no undo: staging keeps the version that was tried last, which is what it is for.
const shape: Shape = {
  id: 'staging',
  title: 'Staging',
  workMs: 30_000,

  async verify(context) {
    const { live } = await situation(context, 'staging');
    return live === undefined ? 'nothing is live on staging' : undefined;
  },
};

/** The version lives on staging with production's data, masked, and has to pass there what it must pass to go live. */
export const staging = (release: FirstGoLive | Replacement): Stage => ({
  ...shape,
  observationMs: qualificationMs(release.definition),
  steps: [
    during<Placed>(
      { says: `put ${release.to.version} on the colour of staging that is not live` },
      async (context, work) => work({ colour: await freeColour(context), artefact: context.artefact() }),
      establishing,
    ),
    judgePolicies,
    qualify(release),
  ],
});

/** For a rehearsal the old version is on staging first; the new one is judged when it has gone live there. */
export const oldOnStaging = ({ from }: Replacement): Stage => ({
  ...shape,
  observationMs: 0,
  steps: [
    during<Placed>(
      { says: `put ${from.version}, the version to be replaced, live on ${from.colour} of staging` },
      (_, work) => work(from),
      establishing,
    ),
    judgePolicies,
  ],
});

// Before the other gates: what those write is not of production.
const judgePolicies: Step = {
  says: 'judge security and privacy',
  gates: { policies: 'Security and privacy policies' },
  do: (context) => context.gates([policies(context, 'staging')]),
};

/** What a version has to pass before it goes live on production. */
export const qualify = ({ definition, to }: Release): Step => ({
  says: `try ${to.version} on staging: user acceptance, load, security`,
  gates: qualificationGates(definition),
  do: async (context) => context.gates(await qualification(context, 'staging', context.artefact())),
});

/** The colour of staging that is not live. */
async function freeColour({ engine }: ReleaseContext): Promise<Colour> {
  const live = await liveColour(engine, 'staging');
  return live === undefined ? 'blue' : other(live);
}
