import { paginateDescribeAlarms, SetAlarmStateCommand, type MetricAlarm } from '@aws-sdk/client-cloudwatch';
import { DeleteMessageBatchCommand, ReceiveMessageCommand, type Message } from '@aws-sdk/client-sqs';
import { OperationError } from '../../../lib/errors.ts';
import type { EnvironmentSpec } from '../../../model.ts';
import type { AlertDelivery, Alerts } from '../../../platform/alerts.ts';
import {
  alarmName,
  alarmPrefix,
  parseAlarmName,
  type AlarmSubject,
  type AlarmKind,
  type AlarmPlace,
} from '../../lib/alarm-names.ts';
import type { FoundationOutputs } from '../../lib/foundation-reference.ts';
import type { Clients } from '../client/clients.ts';
import { calling } from '../client/errors.ts';
import { metricData } from './data.ts';

export interface AwsAlertsOptions {
  clients: Pick<Clients, 'metrics' | 'queues'>;
  foundation: Pick<FoundationOutputs, 'alarmTopicArn' | 'deliveryQueueUrl'>;
  /** Including its alert receivers. */
  spec: EnvironmentSpec;
  /** Long polling time of the queue, seconds (at most 20). */
  waitSeconds?: number;
  /** Longest time from a raised alarm to its message in the queue, ms. */
  deliveryMs?: number;
  now?: () => number;
}

/** Name of the environment's own receiver: the queue that a release reads. */
export const queueReceiver = 'deliveries';

/** An alarm is published at once, and SNS and SQS take seconds. A longer delay means that something is broken. */
const usualDeliveryMs = 60_000;

const minute = 60_000;

/** Alerts of an environment on AWS: CloudWatch alarms, and their notifications that SNS delivered to the queue. */
export function createAwsAlerts(options: AwsAlertsOptions): Alerts {
  const { clients, foundation, spec, waitSeconds = 1, deliveryMs = usualDeliveryMs, now = Date.now } = options;
  const { application, environment } = spec;
  const place = { application, environment };
  /** All deliveries that were read, because they are then deleted from the queue. */
  const received: AlertDelivery[] = [];
  let reading: Promise<void> = Promise.resolve();

  const alarms = (): Promise<{ alarm: MetricAlarm; subject: AlarmSubject }[]> =>
    calling('reading the alarms', async () => {
      const found: MetricAlarm[] = [];
      const input = { AlarmNamePrefix: alarmPrefix(place) };
      for await (const page of paginateDescribeAlarms({ client: clients.metrics }, input))
        found.push(...(page.MetricAlarms ?? []));
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

  /** Stores alarms of this environment, drops other messages, and then deletes all of them from the queue. */
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
      // One reader at a time: two would take each other's messages.
      reading = reading.catch(() => undefined).then(readQueue);
      await reading;
      return received.filter(({ at }) => at >= since).toSorted((a, b) => a.at - b.at);
    },

    /**
     * Whether the instance's alarm is in the state OK. One without data would not fire either, so it does not count.
     */
    async watches(instance) {
      return (await tasksAlarm(instance))?.alarm.StateValue === 'OK';
    },

    /** AWS counts failed deliveries per topic, so each is reported for every receiver of that topic. */
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

    /**
     * Sets the alarm on the tasks of the instance's service to ALARM. Its next evaluation, within a minute, sets the
     * true state again.
     */
    async raise(instance) {
      const doing = `raising the alert of ${instance}`;
      const found = await tasksAlarm(instance);
      if (found === undefined) {
        const [service = '', colour = ''] = instance.split('.');
        const name =
          colour === 'blue' || colour === 'green'
            ? alarmName(place, { colour, part: service, kind: 'tasks' })
            : instance;
        throw new OperationError(doing, `there is no alarm ${name}`, 'bring that colour up first');
      }
      const { AlarmName } = found.alarm;
      const command = new SetAlarmStateCommand({ AlarmName, StateValue: 'ALARM', StateReason: reasonFor(instance) });
      await calling(doing, () => clients.metrics.send(command));
    },
  };
}

/** Translates CloudWatch alarms, and SNS messages about them, into the alerts of both platforms. Pure. */

/** Names of alerts by kind of alarm. The local platform uses the same names for those that it has. */
const alertNames: Record<AlarmKind, string> = {
  tasks: 'InstanceDown',
  errors: 'HighErrorRate',
  latency: 'HighLatency',
  processor: 'DatabaseProcessorBusy',
  lag: 'ReplicationLag',
  storage: 'DatabaseStorageLow',
};

export const alertName = ({ kind }: AlarmSubject): string => alertNames[kind];

/** State reason of a test that raises the alarm of one instance. CloudWatch passes it on in the notification. */
export const reasonFor = (instance: string): string => `Test of the alert, as if the instance ${instance} were down.`;

const instanceIn = (reason: string): string | undefined => /as if the instance (\S+) were down/.exec(reason)?.[1];

/** An alarm counts healthy tasks of a service, so it names an instance only in a test (`reasonFor`). */
export function labelsOf({ colour, part }: AlarmSubject, reason: string): Record<string, string> {
  const instance = instanceIn(reason);
  return { colour, service: part, ...(instance === undefined ? {} : { instance }) };
}

export interface QueueMessage {
  Body?: string | undefined;
  /** `SentTimestamp`, ms since the epoch: when the queue received it from SNS. */
  Attributes?: Record<string, string> | undefined;
}

/**
 * The delivery that a message in the queue reports. Undefined for anything but an alarm of this environment that fires
 * or resolves.
 */
export function parseMessage(
  place: AlarmPlace,
  receiver: string,
  { Body = '', Attributes }: QueueMessage,
): AlertDelivery | undefined {
  const envelope = json(Body);
  const message = json(text(envelope['Message']));
  const subject = parseAlarmName(place, text(message['AlarmName']));
  const status = ({ ALARM: 'firing', OK: 'resolved' } as const)[text(message['NewStateValue'])];
  const at = Number(Attributes?.['SentTimestamp'] ?? Date.parse(text(envelope['Timestamp'])));
  if (subject === undefined || status === undefined || !Number.isFinite(at)) return undefined;
  const labels = labelsOf(subject, text(message['NewStateReason']));
  return { receiver, alert: alertName(subject), status, labels, at };
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

function json(source: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(source);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
