import { setTimeout as sleep } from 'node:timers/promises';
import { other, type Colour } from '../../infra/model.ts';
import type { Environment, TrafficWindow } from '../../infra/platform.ts';
import { judgeCanary, judgeLive, type Judgement } from '../traffic/analysis.ts';
import type { ReleaseContext } from './context.ts';
import { StageStopped } from './stage.ts';

/** Milliseconds between two looks at the traffic: what a failing colour costs at most before it is noticed. */
const lookMs = 1_000;

/** Where the platform counts in periods, a shorter time than this may hold no whole one. */
const leastPeriods = 2;

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
  const { colour, compared, what } = options;
  const seconds = Math.max(options.seconds, (leastPeriods * metrics.periodMs) / 1000);
  const from = Date.now();
  const until = from + seconds * 1000;
  for (;;) {
    await sleep(Math.min(lookMs, Math.max(0, until + metrics.delayMs - Date.now())), undefined, { signal });
    // What is younger than the platform's delay is not complete yet: the time is over when its last record has come.
    const now = Math.max(from, Date.now() - metrics.delayMs);
    const window = await metrics.window(from, now);
    const candidate = window.colours[colour];
    const judgement = compared
      ? judgeCanary({ live: window.colours[other(colour)], canary: candidate }, definition, {
          now: window.to,
          newestAt: window.newestAt,
        })
      : judgeLive(candidate, definition, { now: window.to, newestAt: window.newestAt });
    const left = Math.max(0, Math.ceil((until + metrics.delayMs - Date.now()) / 1000));
    context.waiting(`${what}: ${left} s left, ${candidate.requests} requests`);
    if (judgement.verdict === 'fail' || now >= until) {
      context.observationMs += Date.now() - from;
      return { judgement, window };
    }
    if (context.rollbackRequested())
      throw new StageStopped('rolled-back', 'rollback was asked for by npm run rollback');
  }
}
