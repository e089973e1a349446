import { other, type Colour } from '../../../infra/model.ts';
import type { ReleaseContext } from '../context/context.ts';
import { establish } from '../steps/data/establish.ts';
import { liveColour } from '../context/live.ts';
import { policies } from '../steps/policies.ts';
import { qualification, qualificationGates, qualificationMs } from '../steps/qualification.ts';
import type { Stage } from '../context/stage.ts';

/** The version lives on staging with production's data, masked, and has to pass there what it must pass to go live. */
export const staging: Stage = {
  id: 'staging',
  title: 'Staging',

  plan: ({ definition, kind }) => ({
    steps:
      kind === 'rehearsal'
        ? ['put what is live on staging, with production’s latest backup, personal data masked']
        : [
            "restore production's latest backup, mask personal data (first go-live: seed)",
            'migrate, start the version, give it all of staging’s traffic',
          ],
    gates: {
      policies: 'Security and privacy policies',
      ...(kind === 'rehearsal' ? {} : qualificationGates(definition)),
    },
    workMs: 30_000,
    observationMs: kind === 'rehearsal' ? 0 : qualificationMs(definition),
  }),

  async apply(context) {
    const artefact = context.artefact();
    // A rehearsal needs the old version there first: its gates come when the new one has gone live on staging.
    if (context.kind === 'rehearsal' && context.from !== undefined) {
      await establish(context, context.from.colour, context.from.artefact);
      await context.gates([policies(context, 'staging')]);
      return;
    }
    await establish(context, await freeColour(context), artefact);
    // Policies first: what the other gates write is not of production.
    await context.gates([policies(context, 'staging'), ...(await qualification(context, 'staging', artefact))]);
  },

  async verify(context) {
    const { split } = await (await context.connect('staging')).router.read();
    return split === undefined ? 'nothing is live on staging' : undefined;
  },

  // Staging keeps the version that was tried last: that is what it is for.
  undo: () => Promise.resolve(undefined),
};

/** The colour of staging that is not live. */
async function freeColour({ engine }: ReleaseContext): Promise<Colour> {
  const live = await liveColour(engine, 'staging');
  return live === undefined ? 'blue' : other(live);
}
