import { setTimeout as sleep } from 'node:timers/promises';
import type { Colour } from '../../../model.ts';
import type { ColourTraffic, Metrics, TrafficWindow } from '../../../platform/metrics.ts';
import type { FoundationOutputs } from '../../lib/foundation-reference.ts';
import type { Clients } from '../client/clients.ts';
import { ownedServices } from '../instances/instances.ts';
import { databaseParts, servicePart, type CpuPart } from './cpu.ts';
import {
  metricData,
  type MetricQuestion,
  type Series,
  askedPercents,
  spread,
  type Quantile,
  type Times,
} from './data.ts';
import { suffixOf, type OwnedGroup } from '../router/target-groups.ts';

export interface AwsMetricsOptions {
  clients: Pick<Clients, 'metrics' | 'containers' | 'databases' | 'network'>;
  foundation: Pick<FoundationOutputs, 'balancerSuffix' | 'cluster' | 'spec'>;
  /** Current target groups of both colours. */
  targetGroups: () => Promise<OwnedGroup[]>;
  /** A load balancer publishes metrics once a minute, according to its user guide. */
  periodSeconds?: number;
  /** AWS promises no delay. The metrics of a minute are usually complete two minutes after its end. */
  delayMs?: number;
  /** ms since the epoch. */
  now?: () => number;
}

const none: ColourTraffic = { requests: 0, errors: 0, writes: 0, splitReads: 0, latenciesMs: [] };

/**
 * Metrics of an environment from CloudWatch, in whole periods. They include requests by header route, because AWS
 * counts by target group and not by rule. For the same reason `writes` and `splitReads` are 0, which means "not
 * observed": the router's probes prove the shares.
 */
export function createAwsMetrics(options: AwsMetricsOptions): Metrics {
  const { clients, foundation, targetGroups, periodSeconds = 60, delayMs = 180_000, now = Date.now } = options;
  const periodMs = periodSeconds * 1000;
  const down = (time: number) => Math.floor(time / periodMs) * periodMs;
  const up = (time: number) => Math.ceil(time / periodMs) * periodMs;
  let countedFrom: number | undefined;

  const cpuParts = async (): Promise<CpuPart[]> => {
    const [services, databases] = await Promise.all([
      targetGroups().then((groups) => ownedServices(clients, foundation.cluster.arn, groups)),
      databaseParts(clients, foundation),
    ]);
    return [...services.map((service) => servicePart(service, foundation.cluster.name)), ...databases];
  };

  return {
    delayMs,
    periodMs,

    async window(from, to): Promise<TrafficWindow> {
      const start = up(from);
      const end = Math.max(start, down(to));
      const nothing: TrafficWindow = {
        from: start,
        to: end,
        colours: { blue: none, green: none },
        newestAt: undefined,
      };
      if (end === start) return nothing;
      const balancer = foundation.balancerSuffix;
      const groups = await targetGroups();
      const about = groups.map(({ arn }) => questionsAbout(suffixOf(arn), balancer));
      const asked = { from: start, to: end, periodSeconds };
      const [own, ...answers] = await metricData(clients.metrics, [ownErrors(balancer), ...about.flat()], asked);
      const size = about[0]?.length ?? 0;
      const of = (colour: Colour): ColourTraffic => {
        const mine = groups.flatMap((group, i) =>
          group.colour === colour ? [answers.slice(i * size, (i + 1) * size)] : [],
        );
        return trafficOf(mine, own ?? new Map<number, number>());
      };
      const periods = answers.flatMap((series) => [...series.keys()]);
      const newest = periods.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
      // A period's data covers its whole length.
      const newestAt = periods.length === 0 ? undefined : Math.min(end, newest + periodMs);
      return { from: start, to: end, colours: { blue: of('blue'), green: of('green') }, newestAt };
    },

    /**
     * Counts from the first call on, which returns no parts. Later calls wait until the current numbers exist, at most
     * `delayMs`. AWS does not report the CPU use of a balancer, so it is no part.
     */
    async cpuSeconds() {
      if (countedFrom === undefined) {
        countedFrom = down(now());
        return {};
      }
      const to = up(now());
      const deadline = now() + delayMs;
      const parts = await cpuParts();
      const questions = parts.flatMap((part) => part.questions);
      for (;;) {
        const asked = { from: countedFrom, to: Math.max(to, countedFrom + periodMs), periodSeconds };
        const answers = questions.length === 0 ? [] : await metricData(clients.metrics, questions, asked);
        const complete = answers.length > 0 && answers.every((series) => series.has(asked.to - periodMs));
        if (complete || questions.length === 0 || now() >= deadline) return secondsOf(parts, answers);
        await sleep(Math.min(periodMs, 5_000, Math.max(1, deadline - now())));
      }
    },
  };

  function secondsOf(parts: CpuPart[], answers: Awaited<ReturnType<typeof metricData>>): Record<string, number> {
    let first = 0;
    const seconds: Record<string, number> = {};
    for (const { part, questions, cpus } of parts) {
      const mine = answers.slice(first, (first += questions.length));
      for (const period of mine[0]?.keys() ?? []) {
        const used = cpus(mine, period);
        if (used !== undefined) seconds[part] = (seconds[part] ?? 0) + used * periodSeconds;
      }
    }
    return seconds;
  }
}

/** Questions to CloudWatch about the traffic of a target group, and the evaluation of the answers. Pure. */

const namespace = 'AWS/ApplicationELB';
const classes = ['2XX', '3XX', '4XX', '5XX'] as const;
const counts = ['RequestCount', ...classes.map((kind) => `HTTPCode_Target_${kind}_Count`)];
const timeStats = ['SampleCount', 'Minimum', 'Maximum', ...askedPercents.map((percent) => `p${percent}`)];

/** Errors that the balancer itself answered. AWS reports them only for the balancer as a whole. */
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
 * Traffic of a colour, from the answers to `questionsAbout` each of its target groups and to `ownErrors`. Errors are
 * the targets' 5xx, and requests without a target's answer, up to the number of errors that the balancer itself
 * answered: a client that left is no error.
 */
export function trafficOf(groups: Series[][], own: Series): ColourTraffic {
  const traffic: ColourTraffic = { requests: 0, errors: 0, writes: 0, splitReads: 0, latenciesMs: [] };
  for (const series of groups) {
    const [requests, ...answers] = series.slice(0, counts.length) as [Series, ...Series[]];
    for (const [period, given] of requests) {
      const byClass = answers.map((kind) => kind.get(period) ?? 0);
      const answered = byClass.reduce((sum, n) => sum + n, 0);
      // CloudWatch counts a request when it arrives and its answer when it leaves, so a period may have more answers
      // than requests.
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

/** Times of each period. They are not averaged: the mean of quantiles is not a quantile. */
function timesOf([samples, ...stats]: Series[]): Times[] {
  return [...(samples ?? [])].flatMap(([period, count]) => {
    const quantiles = stats.flatMap((series, index): Quantile[] => {
      const seconds = series.get(period);
      const percent = [0, 100, ...askedPercents][index] ?? Number.NaN;
      return seconds === undefined ? [] : [{ percent, value: seconds * 1000 }];
    });
    // Without the slowest value the tail is unknown. Too few latencies are reported, so that the judge is inconclusive.
    return quantiles.some(({ percent }) => percent === 100) ? [{ quantiles, count: Math.round(count) }] : [];
  });
}
