import type { AlertDelivery } from '../../platform.ts';
import { parseAlarmName, type AlarmKind, type AlarmPlace, type AlarmSubject } from '../alarm-names.ts';

/** Alarms of CloudWatch in the words that both platforms use for alerts, and what SNS writes of them. Pure. */

/** By kind: the names under which the local platform has them too, where it has. */
const alertNames: Record<AlarmKind, string> = {
  tasks: 'InstanceDown',
  errors: 'HighErrorRate',
  latency: 'HighLatency',
  processor: 'DatabaseProcessorBusy',
  lag: 'ReplicationLag',
  storage: 'DatabaseStorageLow',
};

export const alertName = ({ kind }: AlarmSubject): string => alertNames[kind];

/** Of a test that raises the alarm of one instance: CloudWatch hands the reason on. */
export const reasonFor = (instance: string): string => `Test of the alert, as if the instance ${instance} were down.`;

const instanceIn = (reason: string): string | undefined => /as if the instance (\S+) were down/.exec(reason)?.[1];

/** The alarm knows of a service how many tasks are healthy, not which are not: the instance is told in a test only. */
export function labelsOf({ colour, part }: AlarmSubject, reason: string): Record<string, string> {
  const instance = instanceIn(reason);
  return { colour, service: part, ...(instance === undefined ? {} : { instance }) };
}

export interface QueueMessage {
  Body?: string | undefined;
  /** `SentTimestamp`, ms since the epoch: when the queue took it from SNS. */
  Attributes?: Record<string, string> | undefined;
}

/**
 * The delivery that a message of the queue tells of. Undefined where it is of something else: another environment's alarm, a
 * budget, an alarm that lacks data.
 */
export function parseMessage(place: AlarmPlace, receiver: string, { Body = '', Attributes }: QueueMessage): AlertDelivery | undefined {
  const envelope = json(Body);
  const message = json(text(envelope['Message']));
  const subject = parseAlarmName(place, text(message['AlarmName']));
  const status = ({ ALARM: 'firing', OK: 'resolved' } as const)[text(message['NewStateValue'])];
  const at = Number(Attributes?.['SentTimestamp'] ?? Date.parse(text(envelope['Timestamp'])));
  if (subject === undefined || status === undefined || !Number.isFinite(at)) return undefined;
  const labels = labelsOf(subject, text(message['NewStateReason']));
  return { receiver, alert: alertName(subject), status, labels, at };
} // prettier-ignore

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

function json(source: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(source);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
