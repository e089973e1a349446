import { join } from 'node:path';
import { colours, type EnvironmentSpec } from '../../model.ts';
import { ownProgram } from '../../lib/paths.ts';
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

/** Alertmanager's name of a configured receiver. The name in the release definition could break the parsing of logs. */
export const receiverName = (index: number): string => `configured-${index}`;

/** Deliveries acknowledged by the environment's own receiver: JSON, one object per line. */
export const deliveriesFile = (layout: Layout): string => join(layout.alertmanager(), 'deliveries.jsonl');

/**
 * Configuration files by name, for the directories `prometheus/` and `alertmanager/`. JSON, which is valid YAML. To be
 * written with mode 0600, because the URL of a webhook is often secret. Both programs reload them on SIGHUP.
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

/** Foreground command line of Prometheus. It is ready when /-/ready responds with 200. */
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

/**
 * Foreground command line of Alertmanager. It is ready when /-/ready responds with 200. Its log must be
 * `alertmanager.log`.
 */
export function alertmanagerCommand(layout: Layout, ports: Ports): string[] {
  return [
    toolPath('alertmanager'),
    `--config.file=${join(layout.alertmanager(), 'alertmanager.yml')}`,
    `--storage.path=${join(layout.alertmanager(), 'data')}`,
    '--data.retention=168h',
    `--web.listen-address=127.0.0.1:${ports.alertmanager}`,
    // Disables clustering, for which it would listen on all addresses.
    '--cluster.listen-address=',
  ];
}

/**
 * Foreground command line of the environment's own receiver and exporter. It is ready when /healthz responds with 200.
 */
export function alertReceiverCommand(layout: Layout, ports: Ports): string[] {
  return [
    process.execPath,
    ownProgram(import.meta.dirname, 'receiver'),
    `--port=${ports.alertReceiver}`,
    `--log=${deliveriesFile(layout)}`,
    `--traffic-map=${join(layout.balancer(), trafficMap)}`,
    ...colours.map((colour) => `--${colour}-database=${ports.database[colour]}`),
  ];
}

function prometheusConfiguration(spec: EnvironmentSpec, ports: Ports): unknown {
  const target = (port: number) => [{ targets: [`127.0.0.1:${port}`] }];
  // Splits `api.blue.read` into service, colour and kind.
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

/** Sends every alert, ungrouped and without delay, to the environment's own receiver and to each configured one. */
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
