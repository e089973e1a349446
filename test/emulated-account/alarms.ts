import { setTimeout as delay } from 'node:timers/promises';
import {
  CloudWatchClient,
  DescribeAlarmsCommand,
  SetAlarmStateCommand,
  type MetricAlarm,
} from '@aws-sdk/client-cloudwatch';
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import type { Balancer } from './balancer.ts';
import { suffixOf } from './balancer-model.ts';
import type { Call, Part } from './hooks.ts';
import { accountId } from './moto.ts';

export interface AlarmsOptions {
  moto: string;
  region: string;
  balancer: Balancer;
  /** How often alarms are evaluated, ms. */
  periodMs?: number;
}

/** Evaluates alarms and sends notifications. Moto only stores alarms and their states. */
export class BalancerAlarms implements Part {
  readonly hooks: Part['hooks'];
  /** Errors of evaluations; none is expected. */
  readonly errors: unknown[] = [];
  readonly #options: AlarmsOptions;
  readonly #metrics: CloudWatchClient;
  readonly #topics: SNSClient;
  readonly #end = new AbortController();
  readonly #evaluating: Promise<void>;
  readonly #evaluations = new Map<string, boolean[]>();
  /** State of each alarm before the current SetAlarmState call. */
  readonly #states = new Map<string, string>();

  constructor(options: AlarmsOptions) {
    this.#options = options;
    const { moto: endpoint, region } = options;
    const common = { endpoint, region, credentials: { accessKeyId: 'a', secretAccessKey: 'a' } };
    this.#metrics = new CloudWatchClient(common);
    this.#topics = new SNSClient(common);
    this.hooks = [
      {
        service: 'monitoring',
        actions: ['SetAlarmState'],
        before: (call) => this.#remember(String(call.input['AlarmName'])),
        after: (call) => this.#afterSet(call),
      },
    ];
    this.#evaluating = this.#evaluate();
  }

  async close(): Promise<void> {
    this.#end.abort();
    await this.#evaluating;
    this.#metrics.destroy();
    this.#topics.destroy();
  }

  async #remember(name: string): Promise<undefined> {
    this.#states.set(name, (await this.#alarm(name))?.StateValue ?? 'INSUFFICIENT_DATA');
  }

  async #afterSet({ input }: Call): Promise<undefined> {
    const alarm = await this.#alarm(String(input['AlarmName']));
    if (alarm !== undefined) await this.#notify(alarm, this.#states.get(alarm.AlarmName ?? '') ?? 'INSUFFICIENT_DATA');
  }

  async #alarm(name: string): Promise<MetricAlarm | undefined> {
    const { MetricAlarms = [] } = await this.#metrics.send(new DescribeAlarmsCommand({ AlarmNames: [name] }));
    return MetricAlarms[0];
  }

  async #evaluate(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      await delay(this.#options.periodMs ?? 2000, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      await this.#judgeAll().catch((error: unknown) => this.errors.push(error));
    }
  }

  async #judgeAll(): Promise<void> {
    const { MetricAlarms = [] } = await this.#metrics.send(new DescribeAlarmsCommand({ MaxRecords: 100 }));
    for (const alarm of MetricAlarms) {
      const healthy = this.#healthy(alarm);
      if (healthy === undefined) continue;
      const isBad = this.#fires(alarm, breaches(healthy, alarm));
      const state = isBad ? 'ALARM' : 'OK';
      if (alarm.StateValue === state) continue;
      const reason = `Threshold Crossed: 1 datapoint [${healthy}] was ${isBad ? '' : 'not '}${words(alarm)} the threshold (${alarm.Threshold}).`;
      if (!(await this.#set(alarm, state, reason))) continue;
      const was = alarm.StateValue ?? 'INSUFFICIENT_DATA';
      await this.#notify({ ...alarm, StateValue: state, StateReason: reason, StateUpdatedTimestamp: new Date() }, was);
    }
  }

  /** Resolves to false if the alarm was deleted meanwhile. */
  #set({ AlarmName }: MetricAlarm, StateValue: 'ALARM' | 'OK', StateReason: string): Promise<boolean> {
    return this.#metrics.send(new SetAlarmStateCommand({ AlarmName, StateValue, StateReason })).then(
      () => true,
      (error: unknown) => {
        if (error instanceof Error && error.name.startsWith('ResourceNotFound')) return false;
        throw error;
      },
    );
  }

  /**
   * Healthy targets of the alarm's target group. Undefined if the alarm is about something else, or if no target was
   * healthy yet.
   */
  #healthy({ Namespace, MetricName, Dimensions = [] }: MetricAlarm): number | undefined {
    if (Namespace !== 'AWS/ApplicationELB' || MetricName !== 'HealthyHostCount') return undefined;
    const value = (name: string) => Dimensions.find(({ Name }) => Name === name)?.Value;
    for (const { balancerArn, groupArn, targets } of this.#options.balancer.groups()) {
      if (suffixOf(groupArn) !== value('TargetGroup') || suffixOf(balancerArn) !== value('LoadBalancer')) continue;
      return targets.proven ? targets.all().filter(({ state }) => state === 'healthy').length : undefined;
    }
    return undefined;
  }

  /** Whether as many of the last evaluations were bad as the alarm requires of its periods. */
  #fires({ AlarmName = '', EvaluationPeriods = 1, DatapointsToAlarm = EvaluationPeriods }: MetricAlarm, now: boolean) {
    const last = [...(this.#evaluations.get(AlarmName) ?? []), now].slice(-EvaluationPeriods);
    this.#evaluations.set(AlarmName, last);
    return last.filter(Boolean).length >= DatapointsToAlarm;
  }

  async #notify(alarm: MetricAlarm, was: string): Promise<void> {
    const { StateValue, ActionsEnabled, AlarmActions = [], OKActions = [], InsufficientDataActions = [] } = alarm;
    if (ActionsEnabled === false || StateValue === was) return;
    const actions = { ALARM: AlarmActions, OK: OKActions, INSUFFICIENT_DATA: InsufficientDataActions }[
      StateValue ?? 'OK'
    ];
    const topics = (actions ?? []).filter((action) => action.startsWith('arn:aws:sns:'));
    const message = JSON.stringify(notification(alarm, was, this.#options.region));
    const Subject = `${StateValue}: "${alarm.AlarmName}" in ${this.#options.region}`.slice(0, 100);
    for (const TopicArn of topics) await this.#topics.send(new PublishCommand({ TopicArn, Subject, Message: message }));
  }
}

function breaches(value: number, { ComparisonOperator, Threshold = 0 }: MetricAlarm): boolean {
  switch (ComparisonOperator) {
    case 'LessThanThreshold':
      return value < Threshold;
    case 'LessThanOrEqualToThreshold':
      return value <= Threshold;
    case 'GreaterThanThreshold':
      return value > Threshold;
    case 'GreaterThanOrEqualToThreshold':
      return value >= Threshold;
    default:
      throw new Error(`the comparison ${ComparisonOperator} is not emulated`);
  }
}

const words = ({ ComparisonOperator }: MetricAlarm) =>
  String(ComparisonOperator)
    .replace('Threshold', '')
    .replaceAll(/(?<=[a-z])([A-Z])/g, ' $1')
    .toLowerCase();

/** The message that CloudWatch publishes when an alarm changes its state. */
function notification(alarm: MetricAlarm, was: string, region: string): Record<string, unknown> {
  const { Namespace, MetricName, Dimensions = [], Metrics } = alarm;
  const common = {
    Period: alarm.Period,
    EvaluationPeriods: alarm.EvaluationPeriods,
    DatapointsToAlarm: alarm.DatapointsToAlarm,
    ComparisonOperator: alarm.ComparisonOperator,
    Threshold: alarm.Threshold,
    TreatMissingData: alarm.TreatMissingData ?? '',
    EvaluateLowSampleCountPercentile: alarm.EvaluateLowSampleCountPercentile ?? '',
  };
  const statistic = alarm.ExtendedStatistic
    ? { StatisticType: 'ExtendedStatistic', ExtendedStatistic: alarm.ExtendedStatistic }
    : { StatisticType: 'Statistic', Statistic: alarm.Statistic?.toUpperCase() };
  const single = {
    MetricName,
    Namespace,
    ...statistic,
    Unit: alarm.Unit ?? null,
    Dimensions: Dimensions.map(({ Name, Value }) => ({ value: Value, name: Name })),
  };
  return {
    AlarmName: alarm.AlarmName,
    AlarmDescription: alarm.AlarmDescription ?? null,
    AWSAccountId: accountId,
    AlarmConfigurationUpdatedTimestamp: written(alarm.AlarmConfigurationUpdatedTimestamp),
    NewStateValue: alarm.StateValue,
    NewStateReason: alarm.StateReason,
    StateChangeTime: written(alarm.StateUpdatedTimestamp),
    Region: region,
    AlarmArn: alarm.AlarmArn,
    OldStateValue: was,
    OKActions: alarm.OKActions ?? [],
    AlarmActions: alarm.AlarmActions ?? [],
    InsufficientDataActions: alarm.InsufficientDataActions ?? [],
    Trigger: MetricName ? { ...single, ...common } : { Metrics, ...common },
  };
}

/** `2026-01-31T12:00:00.000+0000`. */
const written = (time: Date | undefined) => (time ?? new Date()).toISOString().replace('Z', '+0000');
