import type { ColourTraffic } from '../../platform.ts';
import type { MetricQuestion, Series } from './metrics-data.ts';
import { askedPercents, spread, type Quantile, type Times } from './quantiles.ts';

/** What is asked of CloudWatch about the traffic of a target group, and what follows from the answers. Pure. */

const namespace = 'AWS/ApplicationELB';
const classes = ['2XX', '3XX', '4XX', '5XX'] as const;
const counts = ['RequestCount', ...classes.map((kind) => `HTTPCode_Target_${kind}_Count`)];
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
 * Of a colour, from the answers to `questionsAbout` each of its target groups and to `ownErrors`. Errors are the 5xx of the targets, and
 * the requests that got no answer of a target, as far as the balancer answered as many errors itself: a client that left is none.
 */
export function trafficOf(groups: Series[][], own: Series): ColourTraffic {
  const traffic: ColourTraffic = { requests: 0, errors: 0, writes: 0, splitReads: 0, latenciesMs: [] };
  for (const series of groups) {
    const [requests, ...answers] = series.slice(0, counts.length) as [Series, ...Series[]];
    for (const [period, given] of requests) {
      const byClass = answers.map((kind) => kind.get(period) ?? 0);
      const answered = byClass.reduce((sum, n) => sum + n, 0);
      // A request is counted when it comes and its answer when it goes: at the border of a period there may be more answers.
      const count = Math.max(Math.round(given), answered);
      const unanswered = count - answered;
      traffic.requests += count;
      traffic.errors += (byClass.at(-1) ?? 0) + Math.min(unanswered, own.get(period) ?? 0);
    }
  }
  const times = groups.flatMap((answers) => timesOf(answers.slice(counts.length)));
  const timed = times.reduce((sum, { count }) => sum + count, 0);
  return { ...traffic, timed, latenciesMs: spread(times) };
}

/** Of each period by itself: a mean of quantiles would be none. */
function timesOf([samples, ...stats]: Series[]): Times[] {
  return [...(samples ?? [])].flatMap(([period, count]) => {
    const quantiles = stats.flatMap((series, index): Quantile[] => {
      const seconds = series.get(period);
      const percent = [0, 100, ...askedPercents][index] ?? Number.NaN;
      return seconds === undefined ? [] : [{ percent, value: seconds * 1000 }];
    });
    // Without the slowest nothing is known of the tail: then there are too few times, and the judge cannot conclude.
    return quantiles.some(({ percent }) => percent === 100) ? [{ quantiles, count: Math.round(count) }] : [];
  });
}
