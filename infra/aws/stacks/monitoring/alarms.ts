import type * as pulumi from '@pulumi/pulumi';
import { MetricAlarm } from '@pulumi/aws/cloudwatch/metricAlarm.js';
import type { Colour, EnvironmentSpec } from '../../../model.ts';
import { alarmName, databasePart, type AlarmKind } from '../../lib/alarm-names.ts';
import { Component, type Place } from '../../lib/place.ts';

/** Errors per minute below which an error rate is ignored as chance. The same as in the local rules. */
const fewErrors = 5;
/** Bytes. RDS stops a database whose storage is full. */
const leastStorage = 5 * 1024 ** 3;
/** Bytes of WAL kept for a lagging subscriber: half of `max_slot_wal_keep_size`, beyond which the slot is lost. */
const mostLag = 2 * 1024 ** 3;
const mostCpuPercent = 85;

export interface AlarmsArgs {
  colour: Colour;
  slo: EnvironmentSpec['slo'];
  topicArn: pulumi.Input<string>;
  balancerSuffix: pulumi.Input<string>;
  databaseIdentifier: pulumi.Input<string>;
  targetGroups: Record<string, { suffix: pulumi.Input<string>; tasks: number }>;
}

interface Rule {
  /** A service, or `databasePart`. */
  part: string;
  kind: AlarmKind;
  description: string;
  namespace: string;
  metric: string;
  dimensions: Record<string, pulumi.Input<string>>;
  statistic: string;
  comparison: 'GreaterThanThreshold' | 'LessThanThreshold';
  threshold: number;
  /** `[2, 3]`: two of the last three minutes must be bad. */
  bad: [number, number];
  /** `treatMissingData` of CloudWatch: what a minute without data means. */
  missing: 'breaching' | 'notBreaching' | 'missing';
}

/**
 * Alarms of one colour. No data means no requests for error rate and latency, which is fine. For the health of tasks
 * and for free storage it is a breach.
 */
export class Alarms extends Component {
  readonly #args: AlarmsArgs;

  constructor(args: AlarmsArgs, place: Place, options: pulumi.ComponentResourceOptions) {
    super('Alarms', `${place.environment}-${args.colour}-alarms`, place, options);
    this.#args = args;
    for (const service of Object.keys(args.targetGroups)) this.#ofService(service);
    this.#ofDatabase();
    this.registerOutputs({});
  }

  #ofService(service: string) {
    const { slo, balancerSuffix, targetGroups } = this.#args;
    const { suffix, tasks } = targetGroups[service] as AlarmsArgs['targetGroups'][string];
    const dimensions = { TargetGroup: suffix, LoadBalancer: balancerSuffix };
    const ofTargets = { namespace: 'AWS/ApplicationELB', dimensions };
    this.#errorRate(service, dimensions);
    this.#alarm({
      ...ofTargets,
      part: service,
      kind: 'latency',
      description: `The slowest 5% of the requests take longer than ${slo.p95Ms} ms`,
      metric: 'TargetResponseTime',
      statistic: 'p95',
      comparison: 'GreaterThanThreshold',
      threshold: slo.p95Ms / 1000,
      bad: [2, 3],
      missing: 'notBreaching',
    });
    this.#alarm({
      ...ofTargets,
      part: service,
      kind: 'tasks',
      description: `Fewer than ${tasks} tasks answer their health check`,
      metric: 'HealthyHostCount',
      statistic: 'Minimum',
      comparison: 'LessThanThreshold',
      threshold: tasks,
      bad: [2, 3],
      missing: 'breaching',
    });
  }

  #ofDatabase() {
    const dimensions = { DBInstanceIdentifier: this.#args.databaseIdentifier };
    const above = (kind: AlarmKind, description: string, metric: string, threshold: number): Rule => ({
      part: databasePart,
      kind,
      description,
      metric,
      threshold,
      dimensions,
      namespace: 'AWS/RDS',
      statistic: 'Average',
      comparison: 'GreaterThanThreshold',
      bad: [5, 5],
      missing: 'missing',
    });
    this.#alarm(
      above('processor', `The database uses more than ${mostCpuPercent}% of its CPU`, 'CPUUtilization', mostCpuPercent),
    );
    this.#alarm(
      above('lag', 'A subscriber lags: its replication slot will soon be lost', 'OldestReplicationSlotLag', mostLag),
    );
    const storage = above(
      'storage',
      'The database has less than 5 GiB of free storage',
      'FreeStorageSpace',
      leastStorage,
    );
    this.#alarm({ ...storage, comparison: 'LessThanThreshold', missing: 'breaching' });
  }

  #errorRate(service: string, dimensions: Rule['dimensions']) {
    const { slo } = this.#args;
    const count = (id: string, metricName: string) => ({
      id,
      metric: { namespace: 'AWS/ApplicationELB', metricName, dimensions, period: 60, stat: 'Sum' },
    });
    const rate = { id: 'rate', expression: `IF(errors >= ${fewErrors}, errors / requests, 0)`, returnData: true };
    new MetricAlarm(
      this.#resource(service, 'errors'),
      {
        name: this.#name(service, 'errors'),
        alarmDescription: `More than ${slo.errorRate * 100}% of the answers are errors`,
        comparisonOperator: 'GreaterThanThreshold',
        threshold: slo.errorRate,
        evaluationPeriods: 1,
        metricQueries: [count('errors', 'HTTPCode_Target_5XX_Count'), count('requests', 'RequestCount'), rate],
        treatMissingData: 'notBreaching',
        ...this.#notifies(),
      },
      this.child,
    );
  }

  #alarm({ part, kind, description, metric, comparison, bad: [points, periods], missing, statistic, ...rule }: Rule) {
    const percentile = statistic.startsWith('p');
    new MetricAlarm(
      this.#resource(part, kind),
      {
        name: this.#name(part, kind),
        alarmDescription: description,
        namespace: rule.namespace,
        metricName: metric,
        dimensions: rule.dimensions,
        ...(percentile ? { extendedStatistic: statistic } : { statistic }),
        comparisonOperator: comparison,
        threshold: rule.threshold,
        period: 60,
        evaluationPeriods: periods,
        datapointsToAlarm: points,
        treatMissingData: missing,
        ...this.#notifies(),
      },
      this.child,
    );
  }

  #resource = (part: string, kind: AlarmKind) =>
    this.named(`${this.#args.colour}-${part === databasePart ? 'database' : part}-${kind}`);

  #name(part: string, kind: AlarmKind) {
    const { environment, tags } = this.place;
    return alarmName(
      { application: tags['application'] ?? '', environment },
      { colour: this.#args.colour, part, kind },
    );
  }

  #notifies = () => ({
    alarmActions: [this.#args.topicArn],
    okActions: [this.#args.topicArn],
    tags: this.place.tags,
  });
}
