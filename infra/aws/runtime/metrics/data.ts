import { setTimeout as sleep } from 'node:timers/promises';
import {
  paginateGetMetricData,
  type CloudWatchClient,
  type GetMetricDataCommandInput,
  type MetricDataQuery,
} from '@aws-sdk/client-cloudwatch';
import { greenlight } from '../../../lib/command.ts';
import { OperationError } from '../../../lib/errors.ts';
import { calling } from '../client/errors.ts';

export interface MetricQuestion {
  namespace: string;
  metric: string;
  dimensions: Record<string, string>;
  /** `Sum`, `SampleCount`, `p95`, ... */
  stat: string;
}

/** Values by the start of their period, ms since the epoch. Periods without data are absent. */
export type Series = Map<number, number>;

/** Most queries per call, according to the reference of `GetMetricData`. */
const perCall = 500;

const attempts = 3;
const pauseMs = 1_000;
const doing = 'reading metrics from CloudWatch';

/**
 * Reads metrics, in the order of the questions. `from` and `to` are ms since the epoch, at borders of periods. Rejects
 * if CloudWatch does not return all series completely: a missing series of errors would read as no errors.
 */
export async function metricData(
  client: CloudWatchClient,
  questions: MetricQuestion[],
  { from, to, periodSeconds }: { from: number; to: number; periodSeconds: number },
): Promise<Series[]> {
  const window = { StartTime: new Date(from), EndTime: new Date(to), ScanBy: 'TimestampAscending' as const };
  const queries = questions.map((question, index) => queryOf(question, index, periodSeconds));
  const answers: Series[] = [];
  for (let first = 0; first < queries.length; first += perCall) {
    const MetricDataQueries = queries.slice(first, first + perCall);
    answers.push(...(await wholeSeries(client, { ...window, MetricDataQueries })));
  }
  return answers;
}

/** Asks again for all series while the `StatusCode` of any says that it is not complete. */
async function wholeSeries(client: CloudWatchClient, input: GetMetricDataCommandInput): Promise<Series[]> {
  const ids = (input.MetricDataQueries ?? []).map(({ Id }) => Id);
  for (let attempt = 1; ; attempt++) {
    const answers = ids.map((): Series => new Map());
    const statuses = ids.map((): string => 'not there');
    await calling(doing, async () => {
      for await (const page of paginateGetMetricData({ client }, input))
        for (const { Id, Timestamps = [], Values = [], StatusCode = 'no status' } of page.MetricDataResults ?? []) {
          const at = ids.indexOf(Id);
          Timestamps.forEach((time, i) => answers[at]?.set(time.getTime(), Values[i] ?? Number.NaN));
          // A series may be split over pages. The status on its last page counts.
          statuses[at] = StatusCode;
        }
    });
    const cut = statuses.filter((status) => status !== 'Complete');
    if (cut.length === 0) return answers;
    if (attempt === attempts)
      throw new OperationError(
        doing,
        `${cut.length} of ${ids.length} series are incomplete (${cut[0]})`,
        `check the health of CloudWatch, then: ${greenlight('resume')}`,
      );
    await sleep(pauseMs);
  }
}

const queryOf = (
  { namespace, metric, dimensions, stat }: MetricQuestion,
  index: number,
  Period: number,
): MetricDataQuery => ({
  Id: `q${index}`,
  MetricStat: {
    Metric: {
      Namespace: namespace,
      MetricName: metric,
      Dimensions: Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value })),
    },
    Period,
    Stat: stat,
  },
});

/** Latencies reconstructed from CloudWatch's quantiles of each period. Pure. */

/** Percentiles that are requested in addition to minimum and maximum. Dense where objectives are. */
export const askedPercents = [1, 5, 10, 25, 40, 50, 60, 75, 85, 90, 92.5, 95, 97.5, 99, 99.5, 99.9] as const;

export interface Quantile {
  /** 0 to 100. */
  percent: number;
  value: number;
}

/** Response times in one period. */
export interface Times {
  quantiles: Quantile[];
  /** Number of requests. */
  count: number;
}

/**
 * Most values for a window of any length. With this many, a share of slow requests of 5% has a standard error of 0.3
 * percentage points.
 */
export const mostValues = 5_000;
/** The fractional parts of its multiples are spread evenly, for any number of multiples. */
const goldenRatio = (Math.sqrt(5) - 1) / 2;

/**
 * Values distributed according to the quantiles of each period, linear between two quantiles: as many as there were
 * requests, at most `most`. Each period gets its share. Periods without quantiles give no values, because nothing is
 * known about their times.
 */
export function spread(periods: Times[], most = mostValues): number[] {
  const known = periods
    .map(({ quantiles, count }) => ({ quantiles: rising(quantiles), count }))
    .filter(({ quantiles }) => quantiles.length > 0);
  const perValue = Math.max(1, known.reduce((sum, { count }) => sum + count, 0) / most);
  let before = 0;
  return known.flatMap(({ quantiles, count }, period) => {
    const values = Math.floor((before + count) / perValue) - Math.floor(before / perValue);
    before += count;
    // Varies the offset by period: the same few quantiles of every period would omit the values in between.
    const offset = perValue === 1 ? 0.5 : (period * goldenRatio) % 1;
    return Array.from({ length: values }, (_, index) => at(quantiles, (100 * (index + offset)) / values));
  });
}

/** Sorted and made monotonic: AWS estimates quantiles, and they may cross if there are few values. */
function rising(quantiles: Quantile[]): Quantile[] {
  let least = 0;
  return quantiles
    .filter(({ value }) => Number.isFinite(value) && value >= 0)
    .toSorted((a, b) => a.percent - b.percent)
    .map(({ percent, value }) => ({ percent, value: (least = Math.max(least, value)) }));
}

function at(known: Quantile[], percent: number): number {
  const above = known.findIndex((quantile) => quantile.percent >= percent);
  const [first, last] = [known[0], known.at(-1)] as [Quantile, Quantile];
  if (above <= 0) return above === 0 ? first.value : last.value;
  const [low, high] = [known[above - 1], known[above]] as [Quantile, Quantile];
  return low.value + ((high.value - low.value) * (percent - low.percent)) / (high.percent - low.percent);
}
