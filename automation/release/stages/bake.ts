import { qualification, qualificationGates, qualificationMs } from '../qualification.ts';
import { endSynthetic, keepTrafficUp } from '../synthetic.ts';
import { StageStopped, type Stage } from '../stage.ts';
import { watch } from '../watch.ts';

/** The new colour serves everybody and is watched; the old one stands by with all of its writes. */
export const bake: Stage = {
  id: 'bake',
  title: 'Bake',

  plan: ({ definition, kind }) => ({
    steps: [`watch ${definition.bake.seconds} s against the SLOs; roll back by itself when they break`],
    gates: {
      ...(kind === 'rehearsal' ? qualificationGates(definition) : {}),
      'user-journey': 'Requests and writes during the release',
    },
    workMs: 1_000,
    observationMs: definition.bake.seconds * 1000 + (kind === 'rehearsal' ? qualificationMs(definition) : 0),
  }),

  async apply(context) {
    await keepTrafficUp(context);
    const environment = await context.connect();
    const { judgement } = await watch(context, environment, {
      colour: context.to.colour,
      compared: false,
      seconds: context.definition.bake.seconds,
      what: 'bake',
    });
    if (judgement.verdict !== 'pass')
      throw new StageStopped('rolled-back', `bake: ${judgement.verdict}: ${judgement.reason}`);
    if (context.kind === 'rehearsal') await context.gates(await qualification(context, 'staging', context.artefact()));
    await endSynthetic(context);
  },

  async verify(context) {
    const { split } = await (await context.connect()).router.read();
    return split?.live === context.to.colour ? undefined : `the balancer says ${JSON.stringify(split)}`;
  },

  // The cutover stage takes the traffic back.
  undo: () => Promise.resolve(undefined),
};
