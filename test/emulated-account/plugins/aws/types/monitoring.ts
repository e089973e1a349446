import {
  type ComparisonOperator,
  DeleteAlarmsCommand,
  DeleteDashboardsCommand,
  DescribeAlarmsCommand,
  GetDashboardCommand,
  PutDashboardCommand,
  PutMetricAlarmCommand,
  type Statistic,
} from '@aws-sdk/client-cloudwatch';
import {
  CreateLogGroupCommand,
  DeleteLogGroupCommand,
  DescribeLogGroupsCommand,
  PutRetentionPolicyCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import type { Unwrap } from '@pulumi/pulumi';
import type { DashboardArgs } from '@pulumi/aws/cloudwatch/dashboard.js';
import type { LogGroupArgs } from '@pulumi/aws/cloudwatch/logGroup.js';
import type { MetricAlarmArgs } from '@pulumi/aws/cloudwatch/metricAlarm.js';
import { resource, type Context, type Table } from '../../handler.ts';
import { tagList } from './tags.ts';

const logGroupArn = (name: string | undefined, { region, accountId }: Context) =>
  `arn:aws:logs:${region}:${accountId}:log-group:${name}`;
const alarmArn = (name: string | undefined, { region, accountId }: Context) =>
  `arn:aws:cloudwatch:${region}:${accountId}:alarm:${name}`;

const logGroup = resource<LogGroupArgs>({
  autoName: { property: 'name' },
  replaces: ['name'],
  async create({ name, kmsKeyId, retentionInDays, tags }, context) {
    await context.clients.logs.send(new CreateLogGroupCommand({ logGroupName: name, kmsKeyId, tags }));
    await retain(name, retentionInDays, context);
    return { id: name as string, outputs: { arn: logGroupArn(name, context) } };
  },
  async read(id, _state, context) {
    const { logGroups } = await context.clients.logs.send(new DescribeLogGroupsCommand({ logGroupNamePrefix: id }));
    const found = logGroups?.find(({ logGroupName }) => logGroupName === id);
    return found && { arn: logGroupArn(id, context), retentionInDays: found.retentionInDays };
  },
  async update({ inputs }, context) {
    await retain(inputs.name, inputs.retentionInDays, context);
  },
  async delete(id, _state, { clients }) {
    await clients.logs.send(new DeleteLogGroupCommand({ logGroupName: id }));
  },
});

async function retain(logGroupName: string | undefined, retentionInDays: number | undefined, { clients }: Context) {
  if (retentionInDays !== undefined)
    await clients.logs.send(new PutRetentionPolicyCommand({ logGroupName, retentionInDays }));
}

const dimensionList = (dimensions: Record<string, string> | undefined) =>
  Object.entries(dimensions ?? {}).map(([Name, Value]) => ({ Name, Value }));

const putAlarm = (inputs: Unwrap<MetricAlarmArgs>) =>
  new PutMetricAlarmCommand({
    AlarmName: inputs.name,
    AlarmDescription: inputs.alarmDescription,
    AlarmActions: inputs.alarmActions as string[] | undefined,
    OKActions: inputs.okActions as string[] | undefined,
    Namespace: inputs.namespace,
    MetricName: inputs.metricName,
    Dimensions: dimensionList(inputs.dimensions),
    Statistic: inputs.statistic as Statistic | undefined,
    ExtendedStatistic: inputs.extendedStatistic,
    Period: inputs.period,
    EvaluationPeriods: inputs.evaluationPeriods,
    DatapointsToAlarm: inputs.datapointsToAlarm,
    ComparisonOperator: inputs.comparisonOperator as ComparisonOperator,
    Threshold: inputs.threshold,
    TreatMissingData: inputs.treatMissingData,
    Metrics: inputs.metricQueries?.map(({ id, expression, label, returnData, metric }) => ({
      Id: id,
      Label: label,
      // AWS accepts either an expression or a metric.
      ReturnData: returnData ?? false,
      ...(expression === undefined ? {} : { Expression: expression }),
      ...(metric && {
        MetricStat: {
          Metric: {
            Namespace: metric.namespace,
            MetricName: metric.metricName,
            Dimensions: dimensionList(metric.dimensions),
          },
          Period: metric.period,
          Stat: metric.stat,
        },
      }),
    })),
    Tags: tagList(inputs.tags),
  });

const alarm = resource<MetricAlarmArgs>({
  autoName: { property: 'name' },
  replaces: ['name'],
  async create(inputs, context) {
    await context.clients.metrics.send(putAlarm(inputs));
    return { id: inputs.name as string, outputs: { arn: alarmArn(inputs.name, context) } };
  },
  async read(id, _state, { clients }) {
    const { MetricAlarms } = await clients.metrics.send(new DescribeAlarmsCommand({ AlarmNames: [id] }));
    const found = MetricAlarms?.[0];
    return found && { arn: found.AlarmArn, threshold: found.Threshold, evaluationPeriods: found.EvaluationPeriods };
  },
  async update({ inputs }, { clients }) {
    await clients.metrics.send(putAlarm(inputs));
  },
  async delete(id, _state, { clients }) {
    await clients.metrics.send(new DeleteAlarmsCommand({ AlarmNames: [id] }));
  },
});

const dashboard = resource<DashboardArgs>({
  replaces: ['dashboardName'],
  async create({ dashboardName, dashboardBody }, { clients, accountId }) {
    await clients.metrics.send(new PutDashboardCommand({ DashboardName: dashboardName, DashboardBody: dashboardBody }));
    const dashboardArn = `arn:aws:cloudwatch::${accountId}:dashboard/${dashboardName}`;
    return { id: dashboardName, outputs: { dashboardArn } };
  },
  async read(id, _state, { clients }) {
    await clients.metrics.send(new GetDashboardCommand({ DashboardName: id }));
    return {};
  },
  async update({ id, inputs }, { clients }) {
    await clients.metrics.send(new PutDashboardCommand({ DashboardName: id, DashboardBody: inputs.dashboardBody }));
  },
  async delete(id, _state, { clients }) {
    await clients.metrics.send(new DeleteDashboardsCommand({ DashboardNames: [id] }));
  },
});

export const monitoring: Table = {
  'aws:cloudwatch/logGroup:LogGroup': logGroup,
  'aws:cloudwatch/metricAlarm:MetricAlarm': alarm,
  'aws:cloudwatch/dashboard:Dashboard': dashboard,
};
