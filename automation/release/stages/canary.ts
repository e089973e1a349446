import { other, type Colour } from '../../../infra/model.ts';
import { greenlight } from '../../../infra/lib/command.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { ReleaseContext } from '../context/context.ts';
import { readOnlyWindowOf, type Replacement } from '../context/release.ts';
import { otherThan, situation } from '../context/situation.ts';
import { during, StageStopped, type Stage, type Step } from '../context/stage.ts';
import { compareInactive } from '../steps/data/compare-inactive.ts';
import { keepReadsFresh, readsFresh, type FreshReads } from '../steps/traffic/fresh-reads.ts';
import { keepFollowing } from '../steps/traffic/keep-following.ts';
import { observedPercent } from '../synthetic/recorder.ts';
import { keepTrafficUp } from '../synthetic/synthetic.ts';
import { beginRollback, endRollback, lossOfReads, wasRollingBack } from '../steps/traffic/record-rollback.ts';
import { watch, type Watched } from '../steps/traffic/watch.ts';

/** An inconclusive step is watched once more for this many times its seconds, then it stops the release. */
const extension = 1;

type Shape = Pick<Stage, 'id' | 'title'>;
const shape: Shape = { id: 'canary', title: 'Canary' };

/** Some of the reads go to the new colour, step by step; writes stay where they are. */
export const canary = (release: Replacement): Stage => {
  const { definition, from, to } = release;
  const { steps: percents, stepSeconds } = definition.canary;
  return {
    ...shape,
    workMs: percents.length * 2_500,
    observationMs: percents.length * stepSeconds * 1000,

    steps: [
      { says: 'keep marked traffic up, where the definition asks for it', do: keepTrafficUp },
      ...(percents.length === 0 ? [without(release)] : []),
      during<FreshReads>(
        { says: `keep ${to.colour} following${percents.length === 0 ? '' : `; ${readsFresh(from.colour)}`}` },
        (context, work) =>
          keepFollowing(context, { from: from.colour, to: to.colour }, () =>
            keepReadsFresh(context, from.colour, work),
          ),
        [
          ...percents.map((percent): Step<FreshReads> => ({
            says: `${percent} % of reads${onlyWithCookie(definition)} for ${stepSeconds} s, judged against SLOs and the live colour`,
            do: (context, fresh) => step(context, percent, from.colour, fresh),
          })),
          // Just before the cutover: from here on a difference would be found after the flip only.
          compareInactive(release),
          { says: `see that ${to.colour} is not behind`, do: (_, fresh) => fresh.regained() },
        ],
      ),
    ],

    verify: async (context) =>
      otherThan(await situation(context), { live: from.colour, percent: percents.at(-1) ?? 0 }),

    async undo(context, why) {
      const { journal } = context;
      const { live, split, disagreeing } = await situation(context);
      // After the cutover the way back is a cutover too: that is the cutover stage's to undo.
      if (live !== from.colour) return undefined;
      const there = split?.percent === 0 && disagreeing === undefined;
      if (there && !wasRollingBack(journal.entries())) return undefined;
      const started = performance.now();
      beginRollback(context, why);
      const back = { live, percent: 0 };
      const { router } = await context.connect();
      if (!there) await context.act('reads-back', `take all reads back to ${live}`, () => router.apply(back));
      const ms = Math.round(performance.now() - started);
      if (!there) journal.append({ type: 'traffic.set', split: back, by: 'balancer', ms });
      const detail = `all reads are back on ${live}, after ${ms} ms`;
      return endRollback(context, live, { ms, loss: lossOfReads(journal.entries()), detail });
    },
  };
};

/** With a read-only window the new version would meet a schema before it that it does not know. */
const without = (release: Replacement): Step => {
  const why =
    readOnlyWindowOf(release) === undefined
      ? 'the definition has no steps of it'
      : `${release.to.version} starts in the read-only window`;
  const says = `no canary, as ${why}: users meet ${release.to.version} all at once`;
  return { says, do: (context) => Promise.resolve(context.note(says)) };
};

export const noCanary: Stage = {
  ...shape,
  workMs: 0,
  observationMs: 0,
  steps: [{ says: 'nothing is live yet: no canary', do: () => Promise.resolve() }],
};

async function step(context: ReleaseContext, percent: number, live: Colour, fresh: FreshReads): Promise<void> {
  const { definition, journal, environment } = context;
  const split = { live, percent };
  await fresh.regained();
  const started = performance.now();
  await context.up(environment, { kind: 'traffic', split });
  journal.append({ type: 'traffic.set', split, by: 'engine', ms: Math.round(performance.now() - started) });
  const running = await context.connect();
  const { split: found, disagreeing } = await situation(context);
  const there = found?.percent === percent || (fresh.behind && found?.percent === 0);
  if (found?.live !== live || !there || disagreeing !== undefined) {
    throw new OperationError(
      `setting ${percent} % on ${other(live)}`,
      `the balancer has ${JSON.stringify(found)}${disagreeing === undefined ? '' : `, and not in all rules: ${disagreeing.join(', ')}`}`,
      `run: ${greenlight('status')}`,
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
    await fresh.regained();
    watched = await look();
  }
  tellWithoutCookie(context, watched);
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

/** Others write, and stay where writes go. */
const onlyWithCookie = ({ application: { writes } }: Replacement['definition']): string =>
  writes.withoutCookie === undefined ? '' : ` that have a cookie ${writes.withoutCookie.join(' or ')}`;

/** What the canary could not have: requests without a session cookie. */
function tellWithoutCookie(context: ReleaseContext, { window: { colours } }: Watched): void {
  const cookies = context.definition.application.writes.withoutCookie;
  if (cookies === undefined) return;
  const [kept, reads] = (['withoutCookie', 'splitReads'] as const).map((name) =>
    Object.values(colours).reduce((sum, traffic) => sum + (traffic[name] ?? 0), 0),
  ) as [number, number];
  if (kept + reads === 0) return;
  const share = Math.round((100 * kept) / (kept + reads));
  context.note(
    `${share} % of the reads (${kept} of ${kept + reads}) had no cookie ${cookies.join(' or ')}, and stayed on the live colour`,
  );
}
