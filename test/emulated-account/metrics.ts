import { setTimeout as delay } from 'node:timers/promises';
import { CloudWatchClient, PutMetricDataCommand, type MetricDatum } from '@aws-sdk/client-cloudwatch';
import type { Balancer } from './balancer.ts';
import { suffixOf } from './balancer-model.ts';
import type { Served } from './balancer-proxy.ts';
import type { Answer, Call, Part } from './hooks.ts';
import { percentile } from './metrics-percentile.ts';

export const namespace = 'AWS/ApplicationELB';

export interface MetricsOptions {
  moto: string;
  region: string;
  balancer: Balancer;
  /** Publishing interval, ms. Each data point is at the start of its period. AWS: 60,000. */
  periodMs?: number;
}

type Dimensions = Record<string, string>;
/** Response times of targets in one period, seconds. */
interface Taken {
  at: number;
  dimensions: Dimensions;
  seconds: number[];
}

/** How long response times are kept, ms: as long as a release may look back. */
const keepMs = 3 * 3_600_000;

/**
 * Publishes metrics of the balancer in moto's CloudWatch. Moto keeps only the sums that it is given and has no
 * percentiles, so this part answers for percentiles of response times.
 */
export class BalancerMetrics implements Part {
  readonly hooks: Part['hooks'];
  /** Errors of publishing; none is expected. */
  readonly errors: unknown[] = [];
  readonly #options: MetricsOptions;
  readonly #client: CloudWatchClient;
  readonly #end = new AbortController();
  readonly #publishing: Promise<void>;
  #served: Served[] = [];
  #taken: Taken[] = [];

  constructor(options: MetricsOptions) {
    this.#options = options;
    const { moto: endpoint, region, balancer } = options;
    this.#client = new CloudWatchClient({ endpoint, region, credentials: { accessKeyId: 'a', secretAccessKey: 'a' } });
    balancer.onServed((one) => this.#served.push(one));
    const after = (call: Call, answer: Answer) => Promise.resolve(this.#withPercentiles(call, answer));
    const before = (call: Call) => Promise.resolve(withoutPercentiles(call));
    this.hooks = [{ service: 'monitoring', actions: ['GetMetricData'], before, after }];
    this.#publishing = this.#publish();
  }

  async close(): Promise<void> {
    this.#end.abort();
    await this.#publishing;
    this.#client.destroy();
  }

  async #publish(): Promise<void> {
    const { signal } = this.#end;
    const periodMs = this.#options.periodMs ?? 5000;
    const periodOf = (at: number) => Math.floor(at / periodMs) * periodMs;
    for (;;) {
      const next = periodOf(Date.now()) + periodMs;
      await delay(next - Date.now(), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const ended = this.#served.filter(({ at }) => at < next);
      this.#served = this.#served.filter(({ at }) => at >= next);
      const periods = Map.groupBy(ended, ({ at }) => periodOf(at));
      const data = [...periods].flatMap(([at, served]) => this.#requests(at, served));
      await this.#send([...data, ...this.#hosts(next - periodMs)]).catch((error: unknown) => this.errors.push(error));
      this.#taken = this.#taken.filter(({ at }) => at > next - keepMs);
    }
  }

  async #send(data: MetricDatum[]): Promise<void> {
    // The limit of one call.
    for (let i = 0; i < data.length; i += 1000)
      await this.#client.send(new PutMetricDataCommand({ Namespace: namespace, MetricData: data.slice(i, i + 1000) }));
  }

  #requests(at: number, served: Served[]): MetricDatum[] {
    const kinds = [
      ...grouped(served, ({ balancerArn }) => ({ LoadBalancer: suffixOf(balancerArn) })),
      ...grouped(
        served.filter(({ groupArn }) => groupArn !== undefined),
        ({ balancerArn, groupArn = '' }) => ({ TargetGroup: suffixOf(groupArn), LoadBalancer: suffixOf(balancerArn) }),
      ),
    ];
    return kinds.flatMap(({ dimensions, of }) => {
      const seconds = of.flatMap(({ ms }) => (ms === undefined ? [] : [ms / 1000]));
      if (seconds.length > 0) this.#taken.push({ at, dimensions, seconds });
      return requestMetrics(of, 'TargetGroup' in dimensions).map((datum) => dated(datum, at, dimensions));
    });
  }

  #hosts(at: number): MetricDatum[] {
    return [...this.#options.balancer.groups()].flatMap(({ balancerArn, groupArn, targets }) => {
      if (targets.group.type === 'lambda') return [];
      const dimensions = { TargetGroup: suffixOf(groupArn), LoadBalancer: suffixOf(balancerArn) };
      const count = (state: string) => targets.all().filter((target) => target.state === state).length;
      return [
        dated({ MetricName: 'HealthyHostCount', Value: count('healthy'), Unit: 'Count' }, at, dimensions),
        dated({ MetricName: 'UnHealthyHostCount', Value: count('unhealthy'), Unit: 'Count' }, at, dimensions),
      ];
    });
  }

  /** Fills in the percentiles (`pNN`) of TargetResponseTime in moto's answer. */
  #withPercentiles({ input }: Call, answer: Answer): Answer | undefined {
    const { MetricDataQueries = [], StartTime, EndTime, ScanBy } = input as unknown as DataRequest;
    const wanted = MetricDataQueries.filter(isPercentile);
    if (wanted.length === 0) return undefined;
    const body = JSON.parse(answer.body.toString()) as { MetricDataResults: DataResult[] };
    for (const { Id, MetricStat, Label } of wanted) {
      const result = body.MetricDataResults.find((one) => one.Id === Id);
      if (result === undefined) continue;
      const points = this.#points(MetricStat, secondsOf(StartTime), secondsOf(EndTime));
      if (ScanBy !== 'TimestampAscending') points.reverse();
      result.Label = Label ?? `${MetricStat.Metric.MetricName} ${MetricStat.Stat}`;
      result.Timestamps = points.map(({ at }) => at);
      result.Values = points.map(({ value }) => value);
    }
    return { ...answer, body: Buffer.from(JSON.stringify(body)) };
  }

  /** Data points in ascending order. A period without requests has none. */
  #points({ Metric, Period, Stat }: MetricStat, from: number, to: number): { at: number; value: number }[] {
    const dimensions = Object.fromEntries((Metric.Dimensions ?? []).map(({ Name, Value }) => [Name, Value]));
    const mine = this.#taken.filter(
      (taken) => isSame(taken.dimensions, dimensions) && taken.at >= from * 1000 && taken.at < to * 1000,
    );
    const periods = Map.groupBy(mine, ({ at }) => from + Math.floor((at / 1000 - from) / Period) * Period);
    return [...periods]
      .map(([at, taken]) => ({
        at,
        value: percentile(
          taken.flatMap(({ seconds }) => seconds),
          Number(Stat.slice(1)),
        ),
      }))
      .sort((a, b) => a.at - b.at);
  }
}

/** Metrics of a period, as statistics over its requests. */
function requestMetrics(served: Served[], ofGroup: boolean): MetricDatum[] {
  const count = (MetricName: string, is: (one: Served) => boolean): MetricDatum[] => {
    const n = served.filter(is).length;
    // CloudWatch publishes no count of zero.
    return n === 0
      ? []
      : [{ MetricName, Unit: 'Count', StatisticValues: { SampleCount: n, Sum: n, Minimum: 1, Maximum: 1 } }];
  };
  const classes = [2, 3, 4, 5].flatMap((first) => {
    const isClass = ({ status }: Served) => Math.floor(status / 100) === first;
    const own =
      ofGroup || first < 3
        ? []
        : count(`HTTPCode_ELB_${first}XX_Count`, (one) => one.by === 'balancer' && isClass(one));
    return [...count(`HTTPCode_Target_${first}XX_Count`, (one) => one.by === 'target' && isClass(one)), ...own];
  });
  const seconds = served.flatMap(({ ms }) => (ms === undefined ? [] : [ms / 1000]));
  const [Minimum, Maximum] = [
    seconds.reduce((a, b) => Math.min(a, b), Infinity),
    seconds.reduce((a, b) => Math.max(a, b), 0),
  ];
  const Sum = seconds.reduce((a, b) => a + b, 0);
  const time: MetricDatum[] =
    seconds.length === 0
      ? []
      : [
          {
            MetricName: 'TargetResponseTime',
            Unit: 'Seconds',
            StatisticValues: { SampleCount: seconds.length, Sum, Minimum, Maximum },
          },
        ];
  return [
    // Only requests for which a target was chosen.
    ...count('RequestCount', ({ groupArn }) => groupArn !== undefined),
    ...classes,
    ...count('TargetConnectionErrorCount', ({ unreachable }) => unreachable === true),
    ...time,
  ];
}

function grouped(served: Served[], by: (one: Served) => Dimensions): { dimensions: Dimensions; of: Served[] }[] {
  const groups = Map.groupBy(served, (one) => JSON.stringify(by(one)));
  return [...groups].map(([key, of]) => ({ dimensions: JSON.parse(key) as Dimensions, of }));
}

const dated = (datum: MetricDatum, at: number, dimensions: Dimensions): MetricDatum => ({
  ...datum,
  Timestamp: new Date(at),
  Dimensions: Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value })),
});

const isSame = (a: Dimensions, b: Dimensions) =>
  Object.keys(a).length === Object.keys(b).length && Object.entries(a).every(([name, value]) => b[name] === value);

/** Replaces percentiles in a request, at which moto fails, by another statistic. The answer is filled in afterwards. */
function withoutPercentiles(call: Call): undefined {
  const { MetricDataQueries = [] } = call.input as unknown as DataRequest;
  if (!MetricDataQueries.some(isPercentile)) return;
  const queries = MetricDataQueries.map((query) =>
    isPercentile(query) ? { ...query, MetricStat: { ...query.MetricStat, Stat: 'SampleCount' } } : query,
  );
  delete call.headers['content-encoding'];
  call.body = Buffer.from(JSON.stringify({ ...call.input, MetricDataQueries: queries }));
}

interface MetricStat {
  Metric: { Namespace: string; MetricName: string; Dimensions?: { Name: string; Value: string }[] };
  Period: number;
  Stat: string;
}
interface Query {
  Id: string;
  Label?: string;
  MetricStat?: MetricStat;
}
interface DataRequest {
  MetricDataQueries?: Query[];
  /** Seconds since the epoch, or ISO 8601. */
  StartTime: number | string;
  EndTime: number | string;
  ScanBy?: string;
}
interface DataResult {
  Id: string;
  Label?: string;
  Timestamps: number[];
  Values: number[];
}

const isPercentile = (query: Query): query is Query & { MetricStat: MetricStat } =>
  query.MetricStat?.Metric.Namespace === namespace &&
  query.MetricStat.Metric.MetricName === 'TargetResponseTime' &&
  /^p\d/.test(query.MetricStat.Stat);

const secondsOf = (time: number | string) => Math.floor(typeof time === 'number' ? time : Date.parse(time) / 1000);
