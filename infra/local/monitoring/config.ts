import { join } from 'node:path';
import { colours, type EnvironmentSpec } from '../../model.ts';
import { toolPath } from '../../lib/tools.ts';
import { trafficMap } from '../haproxy/traffic-map.ts';
import type { Layout, Ports } from '../lib/layout.ts';
import { alertRules } from './rules.ts';

export interface MonitoringInputs {
  spec: EnvironmentSpec;
  ports: Ports;
}

/** Name of the environment's own receiver in alerts and deliveries. */
export const ownReceiver = 'greenlight';

/** Alertmanager's name of a configured receiver: its own may hold anything, this is safe in logs. */
export const receiverName = (index: number): string => `configured-${index}`;

/** What the environment's own receiver acknowledged: one JSON object a line. */
export const deliveriesFile = (layout: Layout): string => join(layout.alertmanager(), 'deliveries.jsonl');

/**
 * Configuration files (YAML in its JSON form) by name, for the directories `prometheus/` and `alertmanager/`; mode
 * 0600, as a webhook's URL often is a secret. SIGHUP makes either program read them again.
 */
export function renderMonitoring({ spec, ports }: MonitoringInputs): {
  prometheus: Record<string, string>;
  alertmanager: Record<string, string>;
} {
  return {
    prometheus: {
      'prometheus.yml': json(prometheusConfiguration(spec, ports)),
      'rules.yml': json({ groups: [{ name: 'greenlight', rules: alertRules(spec.slo) }] }),
    },
    alertmanager: { 'alertmanager.yml': json(alertmanagerConfiguration(spec, ports)) },
  };
}

/** Foreground command line of Prometheus; ready when /-/ready answers 200. */
export function prometheusCommand(layout: Layout, ports: Ports): string[] {
  return [
    toolPath('prometheus'),
    `--config.file=${join(layout.prometheus(), 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(layout.prometheus(), 'data')}`,
    '--storage.tsdb.retention.time=7d',
    '--storage.tsdb.retention.size=256MB',
    `--web.listen-address=127.0.0.1:${ports.prometheus}`,
  ];
}

/** Foreground command line of Alertmanager; ready when /-/ready answers 200. Its log has to be `alertmanager.log`. */
export function alertmanagerCommand(layout: Layout, ports: Ports): string[] {
  return [
    toolPath('alertmanager'),
    `--config.file=${join(layout.alertmanager(), 'alertmanager.yml')}`,
    `--storage.path=${join(layout.alertmanager(), 'data')}`,
    '--data.retention=168h',
    `--web.listen-address=127.0.0.1:${ports.alertmanager}`,
    // Alone: else it listens for others on every address.
    '--cluster.listen-address=',
  ];
}

/** Foreground command line of the environment's own receiver and exporter; ready when /healthz answers 200. */
export function alertReceiverCommand(layout: Layout, ports: Ports): string[] {
  return [
    process.execPath,
    join(import.meta.dirname, 'receiver.ts'),
    `--port=${ports.alertReceiver}`,
    `--log=${deliveriesFile(layout)}`,
    `--traffic-map=${join(layout.balancer(), trafficMap)}`,
    ...colours.map((colour) => `--${colour}-database=${ports.database[colour]}`),
  ];
}

function prometheusConfiguration(spec: EnvironmentSpec, ports: Ports): unknown {
  const target = (port: number) => [{ targets: [`127.0.0.1:${port}`] }];
  // `api.blue.read` -> service, colour, kind.
  const part = (label: string, replacement: string) => ({
    source_labels: ['proxy'],
    regex: String.raw`(.+)\.(blue|green)\.(read|write)`,
    target_label: label,
    replacement,
  });
  return {
    global: {
      scrape_interval: '1s',
      scrape_timeout: '1s',
      evaluation_interval: '1s',
      external_labels: { application: spec.application, environment: spec.environment },
    },
    rule_files: ['rules.yml'],
    alerting: { alertmanagers: [{ static_configs: target(ports.alertmanager) }] },
    scrape_configs: [
      {
        job_name: 'balancer',
        params: { scope: ['global', 'backend', 'server'] },
        static_configs: target(ports.balancerMetrics),
        metric_relabel_configs: [
          {
            source_labels: ['__name__'],
            regex:
              'haproxy_(server_status|server_current_sessions|backend_(http_requests_total|http_responses_total|total_time_average_seconds|current_sessions|active_servers)|process_(current_connections|requests_total|dropped_logs_total|start_time_seconds))',
            action: 'keep',
          },
          part('service', '$1'),
          part('colour', '$2'),
          part('kind', '$3'),
        ],
      },
      { job_name: 'greenlight', static_configs: target(ports.alertReceiver) },
    ],
  };
}

/** Every alert goes to the environment's own receiver and to each configured one, on its own and at once. */
function alertmanagerConfiguration(spec: EnvironmentSpec, ports: Ports): unknown {
  const receivers = [
    { name: ownReceiver, url: `http://127.0.0.1:${ports.alertReceiver}/alerts` },
    ...spec.alertReceivers.map(({ webhook }, index) => ({ name: receiverName(index), url: webhook })),
  ];
  return {
    route: {
      receiver: ownReceiver,
      group_by: ['...'],
      group_wait: '0s',
      group_interval: '2s',
      repeat_interval: '4h',
      routes: receivers.map(({ name }) => ({ receiver: name, continue: true })),
    },
    receivers: receivers.map(({ name, url }) => ({ name, webhook_configs: [{ url, send_resolved: true }] })),
  };
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
