import { other } from '../../../infra/model.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import { inactiveCompared, requireFollowing } from '../steps/data/compare-inactive.ts';
import type { ReleaseContext } from '../context/context.ts';
import { keepFollowing } from '../steps/traffic/keep-following.ts';
import { observedPercent } from '../synthetic/recorder.ts';
import { keepTrafficUp } from '../synthetic/synthetic.ts';
import { StageStopped, type Stage } from '../context/stage.ts';
import { beginRollback, endRollback, lossOfReads, wasRollingBack } from '../steps/traffic/roll-back.ts';
import { watch, type Watched } from '../steps/traffic/watch.ts';

/** An inconclusive step is watched once more for this many times its seconds, then it stops the release. */
const extension = 1;

/** Some of the reads go to the new colour, step by step; writes stay where they are. */
export const canary: Stage = {
  id: 'canary',
  title: 'Canary',

  plan: ({ kind, definition }) =>
    kind === 'go-live'
      ? { steps: ['nothing is live yet: no canary'], workMs: 0, observationMs: 0 }
      : {
          steps: [
            ...definition.canary.steps.map(
              (percent) =>
                `${percent} % of reads for ${definition.canary.stepSeconds} s, judged against SLOs and the live colour`,
            ),
            'compare the inactive colour with the live one once more',
          ],
          gates: inactiveCompared,
          workMs: definition.canary.steps.length * 2_500,
          observationMs: definition.canary.steps.length * definition.canary.stepSeconds * 1000,
        },

  async apply(context) {
    if (context.from === undefined) return;
    await keepTrafficUp(context);
    const { colour: live } = context.from;
    await keepFollowing(context, { from: live, to: context.to.colour }, async () => {
      for (const percent of context.definition.canary.steps) await step(context, percent, live);
      // Just before the cutover: from here on a difference would be found after the flip only.
      await requireFollowing(context, live);
    });
  },

  async verify(context) {
    const { from, definition } = context;
    if (from === undefined) return undefined;
    const { split } = await (await context.connect()).router.read();
    return split?.live === from.colour && split.percent === definition.canary.steps.at(-1)
      ? undefined
      : `the balancer says ${JSON.stringify(split)}`;
  },

  async undo(context) {
    const { from, journal } = context;
    if (from === undefined) return undefined;
    const { router } = await context.connect();
    const { split, disagreeing } = await router.read();
    // After the cutover the way back is a cutover too: that is the cutover stage's to undo.
    if (split?.live !== from.colour) return undefined;
    const there = split.percent === 0 && disagreeing === undefined;
    if (there && !wasRollingBack(journal.entries())) return undefined;
    const started = performance.now();
    beginRollback(context);
    const back = { live: from.colour, percent: 0 };
    if (!there) await context.act('reads-back', `take all reads back to ${from.colour}`, () => router.apply(back));
    const ms = Math.round(performance.now() - started);
    if (!there) journal.append({ type: 'traffic.set', split: back, by: 'balancer', ms });
    const detail = `all reads are back on ${back.live}, after ${ms} ms`;
    return endRollback(context, from.colour, { ms, loss: lossOfReads(journal.entries()), detail });
  },
};

async function step(context: ReleaseContext, percent: number, live: 'blue' | 'green'): Promise<void> {
  const { definition, journal, environment } = context;
  const split = { live, percent };
  const started = performance.now();
  await context.up(environment, { kind: 'traffic', split });
  journal.append({ type: 'traffic.set', split, by: 'engine', ms: Math.round(performance.now() - started) });
  const running = await context.connect();
  const { split: found, disagreeing } = await running.router.read();
  if (found?.live !== live || found.percent !== percent || disagreeing !== undefined) {
    throw new OperationError(
      `setting ${percent} % on ${other(live)}`,
      `the balancer has ${JSON.stringify(found)}${disagreeing === undefined ? '' : `, and not in all rules: ${disagreeing.join(', ')}`}`,
      'run: npm run status',
    );
  }

  const look = () =>
    watch(context, running, {
      colour: other(live),
      compared: true,
      seconds: definition.canary.stepSeconds,
      what: `canary at ${percent} %`,
    });
  let watched: Watched = await look();
  for (let more = 0; more < extension && watched.judgement.verdict === 'inconclusive'; more += 1) {
    context.note(`canary at ${percent} % is inconclusive (${watched.judgement.reason}): watched once more`, 'warning');
    watched = await look();
  }
  const { verdict, reason } = watched.judgement;
  journal.append({
    type: 'canary.step',
    percent,
    verdict,
    reason,
    observedPercent: observedPercent(watched.window, live),
  });
  if (verdict !== 'pass') throw new StageStopped('rolled-back', `canary at ${percent} %: ${verdict}: ${reason}`);
}
