import { paginateDescribeAlarms, SetAlarmStateCommand, type MetricAlarm } from '@aws-sdk/client-cloudwatch';
import { DeleteMessageBatchCommand, ReceiveMessageCommand, type Message } from '@aws-sdk/client-sqs';
import { OperationError } from '../../errors.ts';
import type { EnvironmentSpec } from '../../model.ts';
import type { AlertDelivery, Alerts } from '../../platform.ts';
import { alarmName, alarmPrefix, parseAlarmName, type AlarmSubject } from '../alarm-names.ts';
import type { FoundationOutputs } from '../foundation-reference.ts';
import { alertName, labelsOf, parseMessage, reasonFor } from './alerts-messages.ts';
import type { Clients } from './clients.ts';
import { calling } from './errors.ts';
import { metricData } from './metrics-data.ts';

export interface AwsAlertsOptions {
  clients: Pick<Clients, 'metrics' | 'queues'>;
  foundation: Pick<FoundationOutputs, 'alarmTopicArn' | 'deliveryQueueUrl'>;
  /** With its receivers. */
  spec: EnvironmentSpec;
  /** Longest time that the queue is asked to wait for a message, seconds (20 at most). */
  waitSeconds?: number;
  /** Longest time from a raised alarm to its message in the queue, ms. */
  deliveryMs?: number;
  now?: () => number;
}

/** Name of the environment's own receiver, the queue that a release reads. */
export const queueReceiver = 'deliveries';

/** A raised alarm is published at once; SNS and SQS take seconds. More than this says that something is broken. */
const usualDeliveryMs = 60_000;

const minute = 60_000;

/** Alerts of an environment on AWS: alarms of CloudWatch, and what SNS brought of them into the queue. */
export function createAwsAlerts(options: AwsAlertsOptions): Alerts {
  const { clients, foundation, spec, waitSeconds = 1, deliveryMs = usualDeliveryMs, now = Date.now } = options;
  const { application, environment } = spec;
  const place = { application, environment };
  /** Everything that was read: the queue forgets it then. */
  const received: AlertDelivery[] = [];
  let reading: Promise<void> = Promise.resolve();

  const alarms = (): Promise<{ alarm: MetricAlarm; subject: AlarmSubject }[]> =>
    calling('reading the alarms', async () => {
      const found: MetricAlarm[] = [];
      const input = { AlarmNamePrefix: alarmPrefix(place) };
      for await (const page of paginateDescribeAlarms({ client: clients.metrics }, input)) found.push(...(page.MetricAlarms ?? [])); // prettier-ignore
      return found.flatMap((alarm) => {
        const subject = parseAlarmName(place, alarm.AlarmName ?? '');
        return subject === undefined ? [] : [{ alarm, subject }];
      });
    });

  const tasksAlarm = async (instance: string) => {
    const [service, colour] = instance.split('.');
    const all = await alarms();
    return all.find(({ subject }) => subject.kind === 'tasks' && subject.part === service && subject.colour === colour);
  };

  /** Deleted once it is kept here. A message that is not understood is no alarm of ours: nobody waits for it. */
  const keep = async (messages: Message[]): Promise<void> => {
    for (const message of messages) {
      const delivery = parseMessage(place, queueReceiver, message);
      if (delivery !== undefined) received.push(delivery);
    }
    const Entries = messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
    await clients.queues.send(new DeleteMessageBatchCommand({ QueueUrl: foundation.deliveryQueueUrl, Entries }));
  };

  const readQueue = (): Promise<void> =>
    calling('reading the deliveries of alarms', async () => {
      for (let WaitTimeSeconds = waitSeconds; ; WaitTimeSeconds = 0) {
        const { Messages = [] } = await clients.queues.send(
          new ReceiveMessageCommand({
            QueueUrl: foundation.deliveryQueueUrl,
            MaxNumberOfMessages: 10,
            WaitTimeSeconds,
            MessageSystemAttributeNames: ['SentTimestamp'],
          }),
        );
        if (Messages.length === 0) return;
        await keep(Messages);
      }
    });

  return {
    deliveryMs,

    async rules() {
      return [...new Set((await alarms()).map(({ subject }) => alertName(subject)))];
    },

    async active() {
      const firing = (await alarms()).filter(({ alarm }) => alarm.StateValue === 'ALARM');
      return firing.map(({ alarm, subject }) => ({
        alert: alertName(subject),
        labels: labelsOf(subject, alarm.StateReason ?? ''),
        since: alarm.StateTransitionedTimestamp?.getTime() ?? alarm.StateUpdatedTimestamp?.getTime() ?? 0,
      }));
    },

    async deliveries(since) {
      // One after the other: two readers would take messages from each other.
      reading = reading.catch(() => undefined).then(readQueue);
      await reading;
      return received.filter(({ at }) => at >= since).toSorted((a, b) => a.at - b.at);
    },

    /** An alarm that has had data, and finds nothing bad: an alarm that lacks data would not notice either. */
    async watches(instance) {
      return (await tasksAlarm(instance))?.alarm.StateValue === 'OK';
    },

    /** AWS counts by topic, not by receiver: what failed is told of all who are behind it. */
    async failures(since) {
      const names = spec.alertReceivers.map(({ name }) => name);
      if (names.length === 0) return {};
      const question = {
        namespace: 'AWS/SNS',
        metric: 'NumberOfNotificationsFailed',
        dimensions: { TopicName: foundation.alarmTopicArn.slice(foundation.alarmTopicArn.lastIndexOf(':') + 1) },
        stat: 'Sum',
      };
      const from = Math.floor(since / minute) * minute;
      const to = Math.floor(now() / minute) * minute + minute;
      const [series] = await metricData(clients.metrics, [question], { from, to, periodSeconds: 60 });
      const failed = [...(series?.values() ?? [])].reduce((sum, count) => sum + count, 0);
      return { [names.join(' or ')]: failed };
    },

    /** Sets the state of the alarm on its service's tasks; at its next evaluation, within a minute, it is what the tasks are. */
    async raise(instance) {
      const doing = `raising the alert of ${instance}`;
      const found = await tasksAlarm(instance);
      if (found === undefined) {
        const [service = '', colour = ''] = instance.split('.');
        const name = colour === 'blue' || colour === 'green' ? alarmName(place, { colour, part: service, kind: 'tasks' }) : instance; // prettier-ignore
        throw new OperationError(doing, `there is no alarm ${name}`, 'bring that colour up first');
      }
      const { AlarmName } = found.alarm;
      const command = new SetAlarmStateCommand({ AlarmName, StateValue: 'ALARM', StateReason: reasonFor(instance) });
      await calling(doing, () => clients.metrics.send(command));
    },
  };
}
