import { expect } from 'chai';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Layout, type Ports } from '../../../../../infra/local/lib/layout.ts';
import { countFailures } from '../../../../../infra/local/monitoring/alerts.ts';
import { alertReceiverCommand, renderMonitoring } from '../../../../../infra/local/monitoring/config.ts';
import {
  appendDeliveries,
  parseNotification,
  readDeliveries,
} from '../../../../../infra/local/monitoring/deliveries.ts';
import { accepts, renderExposition } from '../../../../../infra/local/monitoring/exposition.ts';
import type { EnvironmentSpec } from '../../../../../infra/model.ts';

const spec: EnvironmentSpec = {
  application: 'shop',
  environment: 'staging',
  services: [],
  integrations: [],
  writes: { reads: ['GET', 'HEAD', 'OPTIONS', 'TRACE'], paths: [] },
  database: { maxConnections: 20 },
  slo: { errorRate: 0.01, p95Ms: 300 },
  alertReceivers: [{ name: 'on "call"', webhook: 'https://hooks.example/a#b: c' }],
};
const ports: Ports = {
  https: 1,
  http: 2,
  balancerMetrics: 3,
  prometheus: 4,
  alertmanager: 5,
  alertReceiver: 6,
  database: { blue: 7, green: 8 },
  instances: { blue: {}, green: {} },
  integrations: {},
};

describe('the rendered monitoring', () => {
  const { prometheus, alertmanager } = renderMonitoring({ spec, ports });

  it('sends each alert to the own receiver and to every configured one', () => {
    const parsed = JSON.parse(alertmanager['alertmanager.yml'] ?? '') as {
      route: { routes: unknown[] };
      receivers: { name: string; webhook_configs: { url: string }[] }[];
    };
    expect(parsed.receivers.map(({ name, webhook_configs: [hook] }) => [name, hook?.url])).to.deep.equal([
      ['greenlight', 'http://127.0.0.1:6/alerts'],
      ['configured-0', 'https://hooks.example/a#b: c'],
    ]);
    expect(parsed.route.routes).to.deep.equal([
      { receiver: 'greenlight', continue: true },
      { receiver: 'configured-0', continue: true },
    ]);
  });

  it('takes the objectives from the specification', () => {
    const rules = prometheus['rules.yml'] ?? '';
    expect(rules).to.contain('> 0.01 and').and.to.contain('> 0.3 and');
  });

  it('gives the receiver the ports of both databases and the traffic map', () => {
    const command = alertReceiverCommand(new Layout('staging', '/srv/staging'), ports);
    expect(command.slice(2)).to.deep.equal([
      '--port=6',
      '--log=/srv/staging/alertmanager/deliveries.jsonl',
      '--traffic-map=/srv/staging/haproxy/traffic.map',
      '--blue-database=7',
      '--green-database=8',
    ]);
  });
});

describe('deliveries', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'gl-deliveries-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));
  const notification = (...alerts: unknown[]) => JSON.stringify({ version: '4', alerts });
  const alert = { status: 'firing', labels: { alertname: 'InstanceDown', server: 'api.blue.1' } };

  it('are read back as they were acknowledged, without a line that a crash cut off', async () => {
    const file = join(directory, 'deliveries.jsonl');
    expect(await readDeliveries(file, 0)).to.deep.equal([]);
    await appendDeliveries(file, parseNotification(notification(alert), 'greenlight', 100));
    await appendDeliveries(file, parseNotification(notification({ ...alert, status: 'resolved' }), 'greenlight', 200));
    await appendFile(file, '{"receiver":"greenl');
    const [first, second, ...rest] = await readDeliveries(file, 100);
    expect(first).to.deep.equal({
      receiver: 'greenlight',
      alert: 'InstanceDown',
      status: 'firing',
      labels: { server: 'api.blue.1' },
      at: 100,
    });
    expect(second?.status).to.equal('resolved');
    expect(rest).to.deep.equal([]);
    expect(await readDeliveries(file, 101)).to.deep.equal([second]);
  });

  it('are refused where they are no notification', () => {
    const bad = [
      '',
      '[]',
      '{}',
      'null',
      notification({ ...alert, status: 'odd' }),
      notification({ status: 'firing', labels: {} }),
      notification({ status: 'firing' }),
    ];
    for (const body of bad) expect(() => parseNotification(body, 'greenlight', 0), body).to.throw();
  });
});

describe('failed notifications', () => {
  const failed = (receiver: string, time = 'ts=2026-01-01T00:00:01.000Z') =>
    `${time} level=warn component=dispatcher receiver=${receiver} integration=webhook[0] msg="Notify attempt failed, will retry later" attempts=1 err="refused"`;

  it('are counted by receiver, until a later attempt gets through', () => {
    const log = [
      failed('configured-0'),
      failed('configured-1'),
      failed('configured-1'),
      'ts=2026-01-01T00:00:01.500Z msg="something else"',
    ];
    expect([...countFailures(log.join('\n'), 0)]).to.deep.equal([
      ['configured-0', 1],
      ['configured-1', 2],
    ]);
    const later =
      'ts=2026-01-01T00:00:02.000Z level=info component=dispatcher receiver=configured-0 msg="Notify success" attempts=3';
    expect(countFailures([...log, later].join('\n'), 0).get('configured-0')).to.equal(0);
  });

  it('are counted from a time on', () => {
    const log = [failed('configured-0'), failed('configured-0', 'time=2026-01-01T00:00:03.000Z')].join('\n');
    expect(countFailures(log, Date.parse('2026-01-01T00:00:02Z')).get('configured-0')).to.equal(1);
    expect(countFailures(log, Date.parse('2026-01-01T00:00:04Z')).get('configured-0')).to.equal(undefined);
  });
});

describe('the own exporter', () => {
  const lines = (text: string) => text.split('\n').filter((line) => line.startsWith('greenlight_'));

  it('says which colours have users', () => {
    const text = renderExposition(
      { split: { live: 'green', percent: 10 }, holdUntil: 0, refuseUntil: 0 },
      { blue: true, green: false },
    );
    expect(lines(text)).to.deep.equal([
      'greenlight_live{colour="blue"} 0',
      'greenlight_live{colour="green"} 1',
      'greenlight_reads_percent{colour="blue"} 10',
      'greenlight_reads_percent{colour="green"} 90',
      'greenlight_colour_in_use{colour="blue"} 1',
      'greenlight_colour_in_use{colour="green"} 1',
      'greenlight_database_up{colour="blue"} 1',
      'greenlight_database_up{colour="green"} 0',
    ]);
    const none = renderExposition({ split: undefined, holdUntil: 0, refuseUntil: 0 }, { blue: false, green: false });
    expect(lines(none).every((line) => line.endsWith(' 0'))).to.equal(true);
  });

  it('finds out whether a port accepts connections', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    expect(await accepts(port)).to.equal(true);
    await new Promise((resolve) => server.close(resolve));
    expect(await accepts(port)).to.equal(false);
  });
});
