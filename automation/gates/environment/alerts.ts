import { OperationError } from '../../../infra/lib/errors.ts';
import { poll } from '../../../infra/lib/poll.ts';
import type { AlertDelivery, Alerts } from '../../../infra/platform/alerts.ts';
import type { Instances } from '../../../infra/platform/instances.ts';
import { check, type Gate, type Measurement } from '../../journal/verdict.ts';

export interface AlertsGate {
  alerts: Alerts;
  instances: Instances;
  /** A redundant instance, such as `api.green.1`. It is stopped while the alert is proven. */
  instance: string;
  /**
   * Longest wait for each of: monitoring sees the instance, delivery, instance is back; ms. Default: the platform's.
   */
  waitMs?: number;
  pollMs?: number;
  /** Called for the journal when the alert was delivered. */
  onDelivered?: (delivery: { alert: string; receiver: string; ms: number }) => void;
}

/** Longest wait for instances that have just been started, ms. */
const settleMs = 10_000;
const settlePollMs = 100;

/** What has to be watched, and the pattern of the names of its rules. */
const kinds: Record<string, RegExp> = {
  uptime: /down/i,
  'response times': /slow|latency|response|p95/i,
  'error rates': /error/i,
};

/** The alert that a stopped instance raises. */
const expectedAlert = 'InstanceDown';

/** Proves monitoring end to end: an instance is stopped, and a receiver has to acknowledge the alert about it. */
export function alertsGate(options: AlertsGate): Gate {
  const { alerts, instances, instance, waitMs = alerts.deliveryMs, pollMs = 250, onDelivered } = options;
  return {
    id: 'alerts',
    title: 'Monitoring and alerts',
    async measure({ evidence, signal }) {
      const rules = await alerts.rules();
      await refuseUnlessRedundant(instances, instance, signal);
      const pace = { everyMs: pollMs, timeoutMs: waitMs, signal };
      await poll(async () => (await alerts.watches(instance)) || undefined, pace);
      const stoppedAt = Date.now();
      let delivered: AlertDelivery | undefined;
      try {
        // A platform that would take minutes to notice the loss raises the same alert itself.
        await (alerts.raise?.(instance) ?? instances.stop(instance));
        const look = async () => (await alerts.deliveries(stoppedAt)).find((one) => isAbout(one, instance));
        delivered = await poll(look, pace);
      } finally {
        await instances.start(instance);
      }
      const running = async () =>
        (await instances.list()).find(({ id, state }) => id === instance && state === 'running');
      const back = await poll(running, pace);
      const raised = alerts.raise === undefined ? 'by stopping the instance' : 'as a test of the alarm itself';
      const failures = await alerts.failures(stoppedAt);
      const ms = delivered === undefined ? undefined : delivered.at - stoppedAt;
      if (delivered !== undefined && ms !== undefined) {
        onDelivered?.({ alert: delivered.alert, receiver: delivered.receiver, ms });
      }
      await evidence.write(
        'alerts.json',
        JSON.stringify({ rules, instance, raised, stoppedAt, delivered, failures }, undefined, 2),
      );
      const measurements = [
        ...judgeRules(rules),
        judgeDelivery(instance, delivered, ms, waitMs),
        ...judgeReceivers(failures),
        check(
          'instance started again',
          'running',
          back === undefined ? 'not running' : 'running',
          back !== undefined,
          `Start it by hand: ${instance}.`,
        ),
      ];
      return { measurements };
    },
  };
}

/**
 * Waits until no instance of the service is starting. Throws an OperationError unless this instance and another one run
 * then, because stopping the only instance would be an outage.
 */
async function refuseUnlessRedundant(instances: Instances, instance: string, signal: AbortSignal): Promise<void> {
  const group = instance.slice(0, instance.lastIndexOf('.') + 1);
  const mine = async () => (await instances.list()).filter(({ id }) => id.startsWith(group));
  const look = async () => {
    const all = await mine();
    return all.some(({ state }) => state === 'starting') ? undefined : all;
  };
  const settled = await poll(look, { everyMs: settlePollMs, timeoutMs: settleMs, signal });
  const running = (settled ?? (await mine())).filter(({ state }) => state === 'running');
  if (running.some(({ id }) => id === instance) && running.length > 1) return;
  throw new OperationError(
    `proving alerts with ${instance}`,
    `${running.length} instances of its group are running, so it is not redundant`,
    'run at least two instances of the service',
  );
}

/** Whether an alert is about this instance: a label has its id, or labels have its service, colour and number. */
export function isAbout({ alert, status, labels }: AlertDelivery, instance: string): boolean {
  if (alert !== expectedAlert || status !== 'firing') return false;
  const values = Object.values(labels);
  return values.includes(instance) || instance.split('.').every((part) => values.includes(part));
}

/** One measurement per kind: at least one loaded rule has a matching name. */
export function judgeRules(rules: string[]): Measurement[] {
  return Object.entries(kinds).map(([kind, pattern]) => {
    const found = rules.filter((rule) => pattern.test(rule));
    return check(
      `rules for ${kind}`,
      '>= 1',
      found.length === 0 ? 'none' : found.join(', '),
      found.length > 0,
      `No loaded rule has a name that matches ${pattern}.`,
    );
  });
}

function judgeDelivery(
  instance: string,
  delivered: AlertDelivery | undefined,
  ms: number | undefined,
  waitMs: number,
): Measurement {
  const wanted = `acknowledged within ${waitMs / 1000} s`;
  const name = `alert that ${instance} is down`;
  if (delivered === undefined || ms === undefined) {
    return check(
      name,
      wanted,
      'not delivered',
      false,
      'No receiver acknowledged it: check the rules and the receivers.',
    );
  }
  return check(name, wanted, `${delivered.receiver} after ${(ms / 1000).toFixed(1)} s`, ms <= waitMs);
}

/** One measurement per receiver: every notification was delivered. */
export function judgeReceivers(failures: Record<string, number>): Measurement[] {
  return Object.entries(failures).map(([receiver, count]) =>
    check(
      `receiver ${receiver}`,
      'no failed notification',
      `${count} failed`,
      count === 0,
      'This receiver cannot be reached: the people behind it would not be alerted.',
    ),
  );
}
