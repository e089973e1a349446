import type { ColourTraffic } from '../../platform.ts';
import type { MetricQuestion, Series } from './metrics-data.ts';
import { askedPercents, spread, type Quantile } from './quantiles.ts';

/** What is asked of CloudWatch about the traffic of a target group, and what follows from the answers. Pure. */

const namespace = 'AWS/ApplicationELB';
const answered = ['2XX', '3XX', '4XX', '5XX'] as const;
const counts = ['RequestCount', ...answered.map((kind) => `HTTPCode_Target_${kind}_Count`)];
const timeStats = ['SampleCount', 'Minimum', 'Maximum', ...askedPercents.map((percent) => `p${percent}`)];

/** Errors that the balancer answered itself. AWS tells them for the balancer as a whole only. */
export const ownErrors = (balancer: string): MetricQuestion => ({
  namespace,
  metric: 'HTTPCode_ELB_5XX_Count',
  dimensions: { LoadBalancer: balancer },
  stat: 'Sum',
});

export function questionsAbout(group: string, balancer: string): MetricQuestion[] {
  const dimensions = { TargetGroup: group, LoadBalancer: balancer };
  return [
    ...counts.map((metric) => ({ namespace, metric, dimensions, stat: 'Sum' })),
    ...timeStats.map((stat) => ({ namespace, metric: 'TargetResponseTime', dimensions, stat })),
  ];
}

/**
 * Of one target group, from the answers to `questionsAbout` and to `ownErrors`. Errors are the 5xx of the targets, and the requests
 * that got no answer of a target, as far as the balancer answered as many errors itself: a client that left is none.
 */
export function trafficOf(answers: Series[], own: Series): ColourTraffic {
  const [requests, ...classes] = answers.slice(0, counts.length) as [Series, ...Series[]];
  const times = answers.slice(counts.length);
  const traffic: ColourTraffic = { requests: 0, errors: 0, writes: 0, splitReads: 0, latenciesMs: [] };
  for (const [period, given] of requests) {
    const byClass = classes.map((series) => series.get(period) ?? 0);
    // A request is counted when it comes and its answer when it goes: at the border of a period there may be more answers.
    const count = Math.max(Math.round(given), ...[byClass.reduce((sum, n) => sum + n, 0)]);
    const unanswered = count - byClass.reduce((sum, n) => sum + n, 0);
    traffic.requests += count;
    traffic.errors += (byClass.at(-1) ?? 0) + Math.min(unanswered, own.get(period) ?? 0);
  }
  // Seconds. Of each period by itself: a mean of quantiles would be none.
  for (const [period, samples] of times[0] ?? []) {
    const quantiles = times.slice(1).flatMap((series, index): Quantile[] => {
      const value = series.get(period);
      const percent = [0, 100, ...askedPercents][index] ?? Number.NaN;
      return value === undefined ? [] : [{ percent, value: value * 1000 }];
    });
    // Without the slowest nothing is known of the tail: then there are too few times, and the judge cannot conclude.
    if (!quantiles.some(({ percent }) => percent === 100)) continue;
    for (const ms of spread(quantiles, Math.round(samples))) traffic.latenciesMs.push(ms);
  }
  return traffic;
}

export const together = (a: ColourTraffic, b: ColourTraffic): ColourTraffic => ({
  requests: a.requests + b.requests,
  errors: a.errors + b.errors,
  writes: a.writes + b.writes,
  splitReads: a.splitReads + b.splitReads,
  latenciesMs: [...a.latenciesMs, ...b.latenciesMs],
});
