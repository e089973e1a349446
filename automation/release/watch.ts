import { setTimeout as sleep } from 'node:timers/promises';
import { other, type Colour } from '../../infra/model.ts';
import type { Environment, TrafficWindow } from '../../infra/platform.ts';
import { judgeCanary, judgeLive, type Judgement } from '../traffic/analysis.ts';
import type { ReleaseContext } from './context.ts';
import { StageStopped } from './stage.ts';

/** Milliseconds between two looks at the traffic: what a failing colour costs at most before it is noticed. */
const lookMs = 1_000;

export interface Watched {
  judgement: Judgement;
  window: TrafficWindow;
}

/**
 * Watches a colour for `seconds` and judges all of that time's traffic at each look: ends early as soon as the verdict is `fail`. With `live`
 * the colour is a canary beside it; without, it serves everybody. The time counts as observation.
 */
export async function watch(
  context: ReleaseContext,
  { metrics }: Environment,
  options: { colour: Colour; compared: boolean; seconds: number; what: string },
): Promise<Watched> {
  const { definition, signal } = context;
  const { colour, compared, seconds, what } = options;
  const from = Date.now();
  const until = from + seconds * 1000;
  for (;;) {
    await sleep(Math.min(lookMs, Math.max(0, until - Date.now())), undefined, { signal });
    const now = Date.now();
    const window = await metrics.window(from, now);
    const candidate = window.colours[colour];
    const judgement = compared
      ? judgeCanary({ live: window.colours[other(colour)], canary: candidate }, definition, {
          now,
          newestAt: window.newestAt,
        })
      : judgeLive(candidate, definition, { now, newestAt: window.newestAt });
    context.waiting(`${what}: ${Math.max(0, Math.ceil((until - now) / 1000))} s left, ${candidate.requests} requests`);
    if (judgement.verdict === 'fail' || now >= until) {
      context.observationMs += now - from;
      return { judgement, window };
    }
    if (context.rollbackRequested())
      throw new StageStopped('rolled-back', 'rollback was asked for by npm run rollback');
  }
}
