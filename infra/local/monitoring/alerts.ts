import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { greenlight } from '../../lib/command.ts';
import { OperationError } from '../../lib/errors.ts';
import type { EnvironmentSpec } from '../../model.ts';
import type { Alerts } from '../../platform/alerts.ts';
import type { Layout } from '../lib/layout.ts';
import { deliveriesFile, receiverName } from './config.ts';
import { readDeliveries } from './deliveries.ts';

const answerMs = 5000;
/**
 * Detection, the rule's duration and delivery take a few seconds in total. A longer time means that something is
 * broken.
 */
const deliveryMs = 60_000;

interface PrometheusAlert {
  labels: Record<string, string>;
  state: 'pending' | 'firing' | 'inactive';
  activeAt: string;
}

/** Rules and active alerts from Prometheus, deliveries from the file of the environment's own receiver. */
export function createLocalAlerts(layout: Layout, spec: EnvironmentSpec): Alerts {
  return {
    deliveryMs,

    async rules() {
      const { groups } = await ask<{ groups: { rules: { name: string }[] }[] }>(layout, '/api/v1/rules?type=alert');
      return groups.flatMap((group) => group.rules.map(({ name }) => name));
    },

    async active() {
      const { alerts } = await ask<{ alerts: PrometheusAlert[] }>(layout, '/api/v1/alerts');
      return alerts
        .filter(({ state }) => state === 'firing')
        .map(({ labels: { alertname, ...labels }, activeAt }) => ({
          alert: alertname ?? '',
          labels,
          since: Date.parse(activeAt),
        }));
    },

    async watches(instance) {
      const query = `haproxy_server_status{kind="read",state="UP",server="${instance}"} == 1`;
      const { result } = await ask<{ result: unknown[] }>(layout, `/api/v1/query?query=${encodeURIComponent(query)}`);
      return result.length > 0;
    },

    deliveries: (since) => readDeliveries(deliveriesFile(layout), since),

    async failures(since) {
      const failures = countFailures(await alertmanagerLog(layout), since);
      return Object.fromEntries(
        spec.alertReceivers.map(({ name }, index) => [name, failures.get(receiverName(index)) ?? 0]),
      );
    },
  };
}

/**
 * Number of notifications by receiver that failed since `since` (ms since the epoch) and did not succeed in a later
 * attempt. From Alertmanager's log (logfmt), because its metrics do not distinguish receivers before version 0.28. It
 * logs the first failed attempt and the success of a later one.
 */
export function countFailures(log: string, since: number): Map<string, number> {
  const failures = new Map<string, number>();
  for (const line of log.split('\n')) {
    // The key is `time` from version 0.28 on, `ts` before.
    if (Date.parse(/(?:^|\s)(?:ts|time)=(\S+)/.exec(line)?.[1] ?? '') < since) continue;
    const receiver = /\sreceiver="?([^\s"]+)/.exec(line)?.[1];
    if (receiver === undefined) continue;
    const change = line.includes('"Notify attempt failed') ? 1 : line.includes('"Notify success"') ? -1 : 0;
    failures.set(receiver, Math.max(0, (failures.get(receiver) ?? 0) + change));
  }
  return failures;
}

async function alertmanagerLog(layout: Layout): Promise<string> {
  const file = join(layout.logs(), 'alertmanager.log');
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new OperationError(
      'counting failed notifications',
      `${file} is missing`,
      `check that Alertmanager runs: ${greenlight('status')}`,
      {
        cause: error,
      },
    );
  }
}

async function ask<T>(layout: Layout, path: string): Promise<T> {
  const url = `http://127.0.0.1:${layout.ports().prometheus}${path}`;
  let found: string;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(answerMs) });
    const answer = (await response.json()) as { status: string; data: T; error?: string };
    if (answer.status === 'success') return answer.data;
    found = answer.error ?? `status ${response.status}`;
  } catch (error) {
    found = `no answer from ${url} (${(error as Error).message})`;
  }
  throw new OperationError(
    'asking Prometheus',
    found,
    'see prometheus.log in the logs of the environment, then restart Prometheus',
  );
}
