import { PutMetricAlarmCommand, PutMetricDataCommand, SetAlarmStateCommand } from '@aws-sdk/client-cloudwatch';
import { CreateTopicCommand, PublishCommand, SubscribeCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand, GetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { expect } from 'chai';
import { isAbout, judgeRules } from '../../../../../../automation/gates/environment/alerts.ts';
import { alarmName, databaseAlarms, databasePart, serviceAlarms } from '../../../../../../infra/aws/lib/alarm-names.ts';
import { createAwsAlerts } from '../../../../../../infra/aws/runtime/metrics/alerts.ts';
import { OperationError } from '../../../../../../infra/lib/errors.ts';
import type { AlertDelivery, Alerts } from '../../../../../../infra/platform/alerts.ts';
import { openEntry, type Entry } from '../../entry.ts';

describe('the alerts of AWS', function () {
  this.timeout(120_000);
  let entry: Entry;
  let topic: string;
  let queue: string;
  const place = { application: 'coins', environment: 'staging' } as const;

  before(async () => {
    // Alarms are not looked at by themselves here: each test says what they are.
    entry = await openEntry({ live: 'blue', percent: 0 }, { alarmsMs: 3_600_000 });
    const { topics, queues, metrics } = entry.clients;
    topic = (await topics.send(new CreateTopicCommand({ Name: 'alarms' }))).TopicArn ?? '';
    queue = (await queues.send(new CreateQueueCommand({ QueueName: 'deliveries' }))).QueueUrl ?? '';
    const { Attributes } = await queues.send(
      new GetQueueAttributesCommand({ QueueUrl: queue, AttributeNames: ['QueueArn'] }),
    );
    await topics.send(new SubscribeCommand({ TopicArn: topic, Protocol: 'sqs', Endpoint: Attributes?.['QueueArn'] }));
    const names = [
      ...['web', 'api'].flatMap((part) =>
        serviceAlarms.map((kind) => alarmName(place, { colour: 'blue', part, kind })),
      ),
      ...databaseAlarms.map((kind) => alarmName(place, { colour: 'blue', part: databasePart, kind })),
      'coins/production/blue/api/tasks',
      'TargetTracking-service/staging/api-AlarmHigh',
    ];
    for (const AlarmName of names)
      await metrics.send(
        new PutMetricAlarmCommand({
          AlarmName,
          Namespace: 'x',
          MetricName: 'x',
          Statistic: 'Sum',
          Period: 60,
          EvaluationPeriods: 1,
          Threshold: 1,
          ComparisonOperator: 'LessThanThreshold',
          AlarmActions: [topic],
          OKActions: [topic],
        }),
      );
    for (const AlarmName of names) await set(AlarmName, 'OK');
    // What came before is none of a test's.
    await make().deliveries(0);
  });
  after(async () => {
    const errors = entry.account.errors();
    await entry.close();
    expect(errors).to.deep.equal([]);
  });
  afterEach(() => entry.account.faults.clear());

  const set = (AlarmName: string, StateValue: 'OK' | 'ALARM' | 'INSUFFICIENT_DATA') =>
    entry.clients.metrics.send(new SetAlarmStateCommand({ AlarmName, StateValue, StateReason: 'test' }));
  const make = (): Alerts =>
    createAwsAlerts({
      clients: entry.clients,
      foundation: { alarmTopicArn: topic, deliveryQueueUrl: queue },
      spec: entry.spec,
    });
  const apiTasks = alarmName(place, { colour: 'blue', part: 'api', kind: 'tasks' });
  const delivered = async (alerts: Alerts, since: number, wanted: (one: AlertDelivery) => boolean) => {
    for (let i = 0; i < 20; i++) {
      const found = (await alerts.deliveries(since)).find(wanted);
      if (found !== undefined) return found;
    }
    return expect.fail('it was not delivered');
  };

  it('have rules for all that has to be watched, and none of others', async () => {
    const rules = await make().rules();
    expect(judgeRules(rules).map(({ verdict }) => verdict)).to.deep.equal(['pass', 'pass', 'pass']);
    expect(rules).to.have.members([
      'HighErrorRate',
      'HighLatency',
      'InstanceDown',
      'DatabaseProcessorBusy',
      'ReplicationLag',
      'DatabaseStorageLow',
    ]);
  });

  it('are raised for an instance, reach the queue, and end', async () => {
    const alerts = make();
    const since = Date.now();
    expect(await alerts.watches('api.blue.1')).to.equal(true);
    await alerts.raise?.('api.blue.1');
    const fired = await delivered(alerts, since, (one) => isAbout(one, 'api.blue.1'));
    expect(fired).to.deep.include({
      alert: 'InstanceDown',
      labels: { colour: 'blue', service: 'api', instance: 'api.blue.1' },
    });
    expect(fired.at).to.be.at.least(since - 1000);
    expect(isAbout(fired, 'api.blue.2')).to.equal(false);
    expect((await alerts.active()).map(({ alert, labels }) => [alert, labels['service']])).to.deep.equal([
      ['InstanceDown', 'api'],
    ]);
    expect(await alerts.watches('api.blue.1')).to.equal(false);
    await set(apiTasks, 'OK');
    await delivered(alerts, since, ({ status, alert }) => status === 'resolved' && alert === 'InstanceDown');
    expect(await alerts.active()).to.deep.equal([]);
    // Kept, though the queue has forgotten them.
    expect((await alerts.deliveries(since)).map(({ status }) => status)).to.deep.equal(['firing', 'resolved']);
    expect(await make().deliveries(since)).to.deep.equal([]);
  });

  it('leave out what is no alarm of this environment', async () => {
    const alerts = make();
    const since = Date.now();
    await set('coins/production/blue/api/tasks', 'ALARM');
    await entry.clients.topics.send(new PublishCommand({ TopicArn: topic, Message: 'Your budget' }));
    await set(alarmName(place, { colour: 'blue', part: 'web', kind: 'errors' }), 'ALARM');
    await delivered(alerts, since, ({ alert }) => alert === 'HighErrorRate');
    expect(await alerts.deliveries(since)).to.have.length(1);
  });

  it('are not watched over an alarm that lacks data, or that is not there', async () => {
    await set(apiTasks, 'INSUFFICIENT_DATA');
    expect(await make().watches('api.blue.1')).to.equal(false);
    expect(await make().watches('api.green.1')).to.equal(false);
    const error = await make()
      .raise?.('api.green.1')
      .then(
        () => undefined,
        (reason: unknown) => reason,
      );
    expect(error).to.be.instanceOf(OperationError);
    expect((error as OperationError).found).to.contain('coins/staging/green/api/tasks');
  });

  it('count what could not be delivered since a time', async () => {
    const minute = Math.floor(Date.now() / 60_000) * 60_000;
    expect(await make().failures(minute)).to.deep.equal({ 'on-call': 0 });
    const Dimensions = [{ Name: 'TopicName', Value: 'alarms' }];
    const MetricData = [minute - 300_000, minute].map((time, index) => ({
      MetricName: 'NumberOfNotificationsFailed',
      Value: index + 1,
      Timestamp: new Date(time),
      Dimensions,
    }));
    await entry.clients.metrics.send(new PutMetricDataCommand({ Namespace: 'AWS/SNS', MetricData }));
    expect(await make().failures(minute + 30_000)).to.deep.equal({ 'on-call': 2 });
    expect(await make().failures(minute - 600_000)).to.deep.equal({ 'on-call': 3 });
  });

  it('are read again where AWS has trouble', async () => {
    const throttled = entry.account.faults.add({ kind: 'throttling', service: 'monitoring', times: 2 });
    const broken = entry.account.faults.add({ kind: 'internal', service: 'sqs', times: 2 });
    await make().rules();
    await make().deliveries(0);
    expect([throttled.struck, broken.struck]).to.deep.equal([2, 2]);
    entry.account.faults.add({ kind: 'expired-token', service: 'sqs' });
    const error = await make()
      .deliveries(0)
      .then(
        () => undefined,
        (reason: unknown) => reason,
      );
    expect((error as OperationError).todo).to.contain('aws sso login');
  });
});
