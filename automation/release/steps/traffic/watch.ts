import { setTimeout as sleep } from 'node:timers/promises';
import { greenlight } from '../../../../infra/lib/command.ts';
import { OperationError } from '../../../../infra/lib/errors.ts';
import { other, type Colour } from '../../../../infra/model.ts';
import type { Environment } from '../../../../infra/platform/environment.ts';
import type { Metrics, TrafficWindow } from '../../../../infra/platform/metrics.ts';
import { judgeCanary, judgeLive, type Judgement } from '../../../canary/judge.ts';
import type { ReleaseContext } from '../../context/context.ts';
import { StageStopped } from '../../context/stage.ts';

/** Milliseconds between two looks at the traffic: a failing colour serves users for so long at most before it is noticed. */
const lookMs = 1_000;

/** Looks in a row that may fail: metrics can be unavailable for a moment, which says nothing about the colour. */
const mostMissed = 2;

/** Where the platform counts in periods, a shorter time than this may hold no whole one. */
const leastPeriods = 2;

export interface Watched {
  judgement: Judgement;
  window: TrafficWindow;
}

interface Watch {
  colour: Colour;
  /** True: it is a canary, and is judged beside the colour that is live. False: it serves everybody. */
  compared: boolean;
  seconds: number;
  /** For messages. */
  what: string;
  /** Asked at each look: why the watch ends with a rollback, whatever the traffic says. */
  problem?: () => Promise<string | undefined>;
}

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Rejects with an AbortError where the signal is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

const systemClock: Clock = { now: Date.now, sleep: (ms, signal) => sleep(ms, undefined, { signal }) };

/**
 * Watches a colour for `seconds`, and judges all of that time's traffic at each look. Ends early as soon as the verdict is `fail`,
 * and never without a look at all of the time: rejects where too many looks in a row are missed. The time counts as observation.
 */
export const watch = (
  context: ReleaseContext,
  { metrics }: Pick<Environment, 'metrics'>,
  options: Watch,
  clock: Clock = systemClock,
): Promise<Watched> => context.observe(() => untilJudged(context, metrics, options, clock));

async function untilJudged(context: ReleaseContext, metrics: Metrics, options: Watch, clock: Clock): Promise<Watched> {
  const { definition, signal } = context;
  const { colour, compared, what } = options;
  const seconds = Math.max(options.seconds, (leastPeriods * metrics.periodMs) / 1000);
  const from = clock.now();
  const until = from + seconds * 1000;
  // What is younger than the platform's delay is not complete yet: the time is over when its last record has come.
  const end = until + metrics.delayMs;
  let lookAt = Math.min(nextLook(metrics, from), end);
  let missed = 0;
  let requests = 0;
  for (;;) {
    await clock.sleep(Math.min(lookMs, Math.max(0, lookAt - clock.now())), signal);
    const due = clock.now() >= lookAt;
    const now = Math.max(from, clock.now() - metrics.delayMs);
    const window = due ? await metrics.window(from, now).catch(miss) : undefined;
    const judgement = window === undefined ? undefined : judge(window);
    const left = Math.max(0, Math.ceil((end - clock.now()) / 1000));
    context.waiting(`${what}: ${left} s left, ${requests} requests`);
    if (window !== undefined && judgement !== undefined && (judgement.verdict === 'fail' || now >= until))
      return { judgement, window };
    const problem = await options.problem?.();
    if (problem !== undefined) throw new StageStopped('rolled-back', `${what}: ${problem}`);
    if (context.rollbackRequested())
      throw new StageStopped('rolled-back', `rollback was asked for by ${greenlight('rollback')}`);
    if (!due) continue;
    const next = nextLook(metrics, clock.now());
    lookAt = clock.now() < end ? Math.min(next, end) : next;
  }

  function judge(window: TrafficWindow): Judgement {
    missed = 0;
    const candidate = window.colours[colour];
    ({ requests } = candidate);
    const freshness = { now: window.to, newestAt: window.newestAt };
    return compared
      ? judgeCanary({ live: window.colours[other(colour)], canary: candidate }, definition, freshness)
      : judgeLive(candidate, definition, freshness);
  }

  function miss(error: unknown): undefined {
    if (!(error instanceof OperationError) || missed === mostMissed) throw error;
    missed += 1;
    context.note(`${what}: a look at the traffic was missed: ${error.message}`, 'warning');
  }
}

/** The time of the next look, ms: with periods, when the next one is complete and its delay has passed. */
function nextLook({ delayMs, periodMs }: Metrics, now: number): number {
  const period = periodMs === 0 ? 0 : (Math.floor((now - delayMs) / periodMs) + 1) * periodMs + delayMs;
  return Math.max(now + lookMs, period);
}
