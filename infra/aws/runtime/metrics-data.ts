import { paginateGetMetricData, type CloudWatchClient, type MetricDataQuery } from '@aws-sdk/client-cloudwatch';
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

/** The answers, in the order of the questions. `from` and `to` are ms since the epoch, at the borders of periods. */
export async function metricData(
  client: CloudWatchClient,
  questions: MetricQuestion[],
  { from, to, periodSeconds }: { from: number; to: number; periodSeconds: number },
): Promise<Series[]> {
  const answers: Series[] = questions.map(() => new Map<number, number>());
  const window = { StartTime: new Date(from), EndTime: new Date(to), ScanBy: 'TimestampAscending' as const };
  const queries = questions.map((question, index) => queryOf(question, index, periodSeconds));
  for (let first = 0; first < queries.length; first += perCall) {
    const MetricDataQueries = queries.slice(first, first + perCall);
    await calling('reading metrics from CloudWatch', async () => {
      for await (const page of paginateGetMetricData({ client }, { ...window, MetricDataQueries }))
        for (const { Id = '', Timestamps = [], Values = [] } of page.MetricDataResults ?? [])
          Timestamps.forEach((time, i) => answers[Number(Id.slice(1))]?.set(time.getTime(), Values[i] ?? Number.NaN));
    });
  }
  return answers;
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
