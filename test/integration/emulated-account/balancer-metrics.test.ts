import { expect } from 'chai';
import { GetMetricDataCommand, PutMetricAlarmCommand, SetAlarmStateCommand } from '@aws-sdk/client-cloudwatch';
import { CreateTopicCommand, SubscribeCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand, GetQueueAttributesCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { suffixOf } from '../../emulated-account/balancer-model.ts';
import { balancerTestbed } from '../../emulated-account/balancer-testbed.ts';

describe("what CloudWatch knows of the emulated account's load balancer", function () {
  this.timeout(120_000);
  const { forward, path, rule, group, serve, stop, register, until, settled, colour, get, unique, here } =
    balancerTestbed();

  const dimensions = (groupArn: string) => [
    { Name: 'TargetGroup', Value: suffixOf(groupArn) },
    { Name: 'LoadBalancer', Value: suffixOf(here().balancerArn) },
  ];

  it('has what the balancer saw, percentiles too', async () => {
    const arn = await group();
    const { port: of } = await serve((incoming, response) => {
      if (incoming.url === '/bad') response.writeHead(500);
      setTimeout(() => response.end(), incoming.url === '/slow' ? 300 : 0);
    });
    await register(arn, of);
    await rule(10, [path('/*')], forward({ [arn]: 1 }));
    await settled(arn, 'healthy');
    const StartTime = new Date(Math.floor(Date.now() / 1000) * 1000);
    for (let i = 0; i < 18; i++) await get('/');
    await get('/slow');
    await get('/bad');
    const stat = (Id: string, MetricName: string, Stat: string) => ({
      Id,
      MetricStat: {
        Metric: { Namespace: 'AWS/ApplicationELB', MetricName, Dimensions: dimensions(arn) },
        Period: 60,
        Stat,
      },
    });
    const values = await until('all 20 requests are told', async () => {
      const { MetricDataResults = [] } = await here().clients.metrics.send(
        new GetMetricDataCommand({
          StartTime,
          EndTime: new Date(StartTime.getTime() + 60_000),
          MetricDataQueries: [
            stat('requests', 'RequestCount', 'Sum'),
            stat('errors', 'HTTPCode_Target_5XX_Count', 'Sum'),
            stat('good', 'HTTPCode_Target_2XX_Count', 'Sum'),
            stat('median', 'TargetResponseTime', 'p50'),
            stat('worst', 'TargetResponseTime', 'p99.9'),
            stat('hosts', 'HealthyHostCount', 'Minimum'),
          ],
        }),
      );
      const first = Object.fromEntries(
        MetricDataResults.map(({ Id, Values }): [string, number | undefined] => [Id ?? '', Values?.[0]]),
      );
      const times = new Set(MetricDataResults.map(({ Timestamps }) => Timestamps?.[0]?.getTime()));
      expect([...times].filter((time) => time !== undefined)).to.have.lengthOf.at.most(1);
      return first['requests'] === 20 && first;
    });
    expect(values).to.include({ requests: 20, errors: 1, good: 19, hosts: 1 });
    expect(values['median']).to.be.lessThan(0.29);
    expect(values['worst']).to.be.greaterThan(0.25);
  });

  async function alarmOn(groupArn: string, threshold: number) {
    const name = `alarms-${unique()}`;
    const { TopicArn } = await here().clients.topics.send(new CreateTopicCommand({ Name: name }));
    const { QueueUrl } = await here().clients.queues.send(new CreateQueueCommand({ QueueName: name }));
    const { Attributes } = await here().clients.queues.send(
      new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }),
    );
    await here().clients.topics.send(
      new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint: Attributes?.QueueArn }),
    );
    const AlarmName = `tasks-${unique()}`;
    await here().clients.metrics.send(
      new PutMetricAlarmCommand({
        AlarmName,
        Namespace: 'AWS/ApplicationELB',
        MetricName: 'HealthyHostCount',
        Dimensions: dimensions(groupArn),
        Statistic: 'Minimum',
        ComparisonOperator: 'LessThanThreshold',
        Threshold: threshold,
        Period: 60,
        EvaluationPeriods: 3,
        DatapointsToAlarm: 2,
        TreatMissingData: 'breaching',
        AlarmActions: [TopicArn ?? ''],
        OKActions: [TopicArn ?? ''],
      }),
    );
    const next = () =>
      until(`${AlarmName} tells`, async () => {
        const { Messages } = await here().clients.queues.send(
          new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 1 }),
        );
        const [message] = Messages ?? [];
        if (message === undefined) return undefined;
        const { Message } = JSON.parse(message.Body ?? '') as { Message: string };
        return JSON.parse(Message) as Record<string, unknown>;
      });
    return { AlarmName, next };
  }

  it('raises the alarm of a target that stopped, and ends it', async () => {
    const { arn, server, port: of } = await colour('blue');
    await rule(10, [path('/*')], forward({ [arn]: 1 }));
    const { AlarmName, next } = await alarmOn(arn, 1);
    await settled(arn, 'healthy');
    await stop(server);
    const raised = await next();
    expect(raised).to.include({
      AlarmName,
      NewStateValue: 'ALARM',
      OldStateValue: 'OK',
      Region: here().account.region,
    });
    expect(raised['Trigger']).to.deep.include({
      MetricName: 'HealthyHostCount',
      Dimensions: dimensions(arn).map(({ Name, Value }) => ({ value: Value, name: Name })),
    });
    server.listen(of, '127.0.0.1');
    expect(await next()).to.include({ NewStateValue: 'OK', OldStateValue: 'ALARM' });
  });

  it('tells of a state that was set, once', async () => {
    const idle = await group();
    const { AlarmName, next } = await alarmOn(idle, 1);
    const set = (StateValue: 'ALARM' | 'OK') =>
      here().clients.metrics.send(new SetAlarmStateCommand({ AlarmName, StateValue, StateReason: 'proof' }));
    await set('ALARM');
    await set('ALARM');
    await set('OK');
    expect(await next()).to.include({ NewStateValue: 'ALARM', NewStateReason: 'proof' });
    expect(await next()).to.include({ NewStateValue: 'OK', OldStateValue: 'ALARM' });
  });
});
