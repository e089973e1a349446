import type { EnvironmentSpec } from '../../model.ts';

export interface AlertRule {
  alert: string;
  expr: string;
  for: string;
  labels: { severity: 'critical' | 'warning' };
  annotations: { summary: string };
}

/** Minimum number of errors in the window. Fewer say nothing about the rate. */
const fewErrors = 5;
const rateWindow = '30s';
/** A server that is down counts as failed if it was up within this time. Otherwise it may not have been started yet. */
const recently = '1h';

const up = 'haproxy_server_status{kind="read",state="UP"}';
const inUse = 'on (colour) greenlight_colour_in_use == 1';
const answers = 'haproxy_backend_http_responses_total';

/**
 * Alert rules, per colour. A colour is in use if it is live or gets a share of the reads. On a colour that is not in
 * use, a server that is down raises an alert only while another server of the colour is up: otherwise the colour may
 * just be shutting down.
 */
export function alertRules(slo: EnvironmentSpec['slo']): AlertRule[] {
  return [
    rule('BalancerDown', 'critical', '2s', 'up{job="balancer"} == 0', 'The load balancer does not answer'),
    rule(
      'MonitorDown',
      'warning',
      '5s',
      'up{job="greenlight"} == 0',
      'What is live and whether databases answer is unknown',
    ),
    rule(
      'InstanceDown',
      'warning',
      '2s',
      `(${up} == 0 and ${inUse}) or (${up} == 0 and max_over_time(${up}[${recently}]) == 1 and on (colour) sum by (colour) (${up}) > 0)`,
      'Instance {{ $labels.server }} is down',
    ),
    rule(
      'ServiceDown',
      'critical',
      '2s',
      `sum by (colour, service) (${up}) == 0 and ${inUse}`,
      'No instance of {{ $labels.service }} is up on {{ $labels.colour }}, which has users',
    ),
    rule(
      'DatabaseDown',
      'critical',
      '2s',
      `greenlight_database_up == 0 and ${inUse}`,
      'The database of {{ $labels.colour }}, which has users, does not accept connections',
    ),
    rule(
      'HighErrorRate',
      'critical',
      '5s',
      `sum by (colour) (rate(${answers}{code="5xx",colour!=""}[${rateWindow}])) / sum by (colour) (rate(${answers}{colour!=""}[${rateWindow}])) > ${slo.errorRate} and sum by (colour) (increase(${answers}{code="5xx",colour!=""}[${rateWindow}])) >= ${fewErrors}`,
      `More than ${slo.errorRate * 100}% of the answers of {{ $labels.colour }} are errors`,
    ),
    // The exporter has no percentiles, only the average of the last 1024 requests. If that exceeds the objective for
    // the
    // 95th percentile, the objective is usually missed too.
    rule(
      'HighLatency',
      'warning',
      '10s',
      `max by (colour, service) (haproxy_backend_total_time_average_seconds{colour!=""}) > ${slo.p95Ms / 1000} and sum by (colour, service) (rate(${answers}{colour!=""}[${rateWindow}])) > 0`,
      `{{ $labels.service }} on {{ $labels.colour }} takes longer than ${slo.p95Ms} ms on average`,
    ),
  ];
}

const rule = (
  alert: string,
  severity: AlertRule['labels']['severity'],
  duration: string,
  expr: string,
  summary: string,
): AlertRule => ({ alert, expr, for: duration, labels: { severity }, annotations: { summary } });
