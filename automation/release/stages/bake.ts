import type { ReleaseContext } from '../context/context.ts';
import { qualification, qualificationGates, qualificationMs } from '../steps/qualification.ts';
import { keepFollowing } from '../steps/traffic/keep-following.ts';
import { endSynthetic, keepTrafficUp } from '../synthetic/synthetic.ts';
import { linkBetween } from '../../data/link.ts';
import { syncStatus } from '../../data/replication/sync.ts';
import { StageStopped, type Stage } from '../context/stage.ts';
import { watch } from '../steps/traffic/watch.ts';

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
    const { from, to, definition } = context;
    const look = () =>
      watch(context, environment, {
        colour: to.colour,
        compared: false,
        seconds: definition.bake.seconds,
        what: 'bake',
      });
    const { judgement } = await (from === undefined
      ? look()
      : keepFollowing(context, { from: to.colour, to: from.colour }, look));
    if (judgement.verdict !== 'pass')
      throw new StageStopped('rolled-back', `bake: ${judgement.verdict}: ${judgement.reason}`);
    await lookBack(context);
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

/** Whether the old colour has followed until the end of the bake time: what a rollback rests on. */
async function lookBack(context: ReleaseContext): Promise<void> {
  const { from, to, journal } = context;
  if (from === undefined) return;
  const { databases } = await context.connect();
  const [now, old] = [await databases.of(to.colour), await databases.of(from.colour)];
  const found = await syncStatus(linkBetween({ colour: to.colour, access: now }, { colour: from.colour, access: old }));
  const { tablesReady, tables, lagBytes, lagMs, problem } = found;
  journal.append({ type: 'sync.progress', direction: 'reverse', tablesReady, tables, lagBytes, lagMs });
  if (found.state === 'broken') {
    context.note(
      `${from.colour} does not follow any more (${problem}): a rollback would lose what was written since`,
      'warning',
    );
  }
}
