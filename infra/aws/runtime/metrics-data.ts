import { setTimeout as sleep } from 'node:timers/promises';
import {
  paginateGetMetricData,
  type CloudWatchClient,
  type GetMetricDataCommandInput,
  type MetricDataQuery,
} from '@aws-sdk/client-cloudwatch';
import { OperationError } from '../../errors.ts';
import { calling } from './errors.ts';

export interface MetricQuestion {
  namespace: string;
  metric: string;
  dimensions: Record<string, string>;
  /** `Sum`, `SampleCount`, `p95`, ... */
  stat: string;
}

/** Values by the begin of their period, ms since the epoch. What is not there was not told. */
export type Series = Map<number, number>;

/** Queries that one call takes, says the reference of `GetMetricData`. */
const perCall = 500;

const attempts = 3;
const pauseMs = 1_000;
const doing = 'reading metrics from CloudWatch';

/**
 * The answers, in the order of the questions. `from` and `to` are ms since the epoch, at the borders of periods. Rejects where
 * CloudWatch does not give all of it: a series of errors that is not there would read as none.
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

/** Asks again where the answer came in part: `StatusCode` says so of each series. */
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
          // A series may come in parts, on several pages: the last one counts.
          statuses[at] = StatusCode;
        }
    });
    const cut = statuses.filter((status) => status !== 'Complete');
    if (cut.length === 0) return answers;
    if (attempt === attempts)
      throw new OperationError(
        doing,
        `${cut.length} of ${ids.length} series are not complete (${cut[0]})`,
        'see the health of CloudWatch, then: npm run resume',
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
