import { expect } from 'chai';
import { execa } from 'execa';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { alertRules } from '../../../../../infra/local/monitoring/rules.ts';
import { toolPath } from '../../../../../infra/lib/tools.ts';

interface Series {
  series: string;
  /** promtool's notation: start, step and count, one value a second. */
  values: string;
}

const labels = (server: string, kind = 'read') => {
  const [service, colour] = server.split('.');
  return `job="balancer",proxy="${service}.${colour}.${kind}",server="${server}",state="UP",service="${service}",colour="${colour}",kind="${kind}"`;
};
const server = (name: string, values: string): Series[] =>
  ['read', 'write'].map((kind) => ({ series: `haproxy_server_status{${labels(name, kind)}}`, values }));
const inUse = (colour: string, used: boolean): Series => ({
  series: `greenlight_colour_in_use{job="greenlight",colour="${colour}"}`,
  values: `${Number(used)}x60`,
});
const answers = (colour: string, code: string, values: string): Series => ({
  series: `haproxy_backend_http_responses_total{proxy="api.${colour}.read",service="api",colour="${colour}",kind="read",code="${code}"}`,
  values,
});

/** Names and the telling label of the alerts that fire at the given second. */
async function firing(series: Series[], second: number, wanted: string[]): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'gl-rules-'));
  try {
    const rules = alertRules({ errorRate: 0.01, p95Ms: 300 });
    const tests = rules.map(({ alert, labels: { severity }, annotations }) => ({
      interval: '1s',
      input_series: series,
      alert_rule_test: [
        {
          eval_time: `${second}s`,
          alertname: alert,
          exp_alerts: wanted
            .filter((line) => line.startsWith(`${alert}{`))
            .map((line) => {
              const exp_labels: Record<string, string> = { severity };
              for (const [, name, value] of line.matchAll(/(\w+)="([^"]*)"/g))
                exp_labels[name as string] = value as string;
              const summary = annotations.summary.replaceAll(
                /\{\{ \$labels\.(\w+) \}\}/g,
                (_, name: string) => exp_labels[name] ?? '',
              );
              return { exp_labels, exp_annotations: { summary } };
            }),
        },
      ],
    }));
    await writeFile(join(directory, 'rules.yml'), JSON.stringify({ groups: [{ name: 'greenlight', rules }] }));
    const file = join(directory, 'test.yml');
    await writeFile(file, JSON.stringify({ rule_files: ['rules.yml'], evaluation_interval: '1s', tests }));
    const { exitCode, all } = await execa(toolPath('promtool'), ['test', 'rules', file], { reject: false, all: true });
    return exitCode === 0 ? '' : all;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

describe('alert rules', () => {
  const instanceDown = (name: string) => `InstanceDown{${labels(name)}}`;
  const bothUp = [
    inUse('blue', true),
    inUse('green', false),
    ...server('api.blue.1', '1x60'),
    ...server('api.blue.2', '1x60'),
  ];

  it('stay quiet while all is well, also beside a colour that was never there', async () => {
    expect(await firing([...bothUp, ...server('api.green.1', '0x60')], 40, [])).to.equal('');
  });

  it('notice a failing test: promtool really compares', async () => {
    expect(await firing(bothUp, 40, [instanceDown('api.blue.1')])).to.contain('FAILED');
  });

  it('InstanceDown: one of two on a colour with users', async () => {
    const series = [inUse('blue', true), ...server('api.blue.1', '1x20 0x40'), ...server('api.blue.2', '1x60')];
    expect(await firing(series, 40, [instanceDown('api.blue.1')])).to.equal('');
  });

  it('InstanceDown: one that failed on a colour without users that otherwise runs, not one that still starts', async () => {
    const series = [
      inUse('green', false),
      ...server('api.green.1', '1x20 0x40'),
      ...server('api.green.2', '0x60'),
      ...server('web.green.1', '1x60'),
    ];
    expect(await firing(series, 40, [instanceDown('api.green.1')])).to.equal('');
  });

  it('none for a colour without users that goes away as a whole', async () => {
    const series = [inUse('blue', false), ...server('api.blue.1', '1x20 0x40'), ...server('web.blue.1', '1x21 0x39')];
    expect(await firing(series, 40, [])).to.equal('');
  });

  it('ServiceDown: none is left on a colour with users', async () => {
    const series = [inUse('blue', true), ...server('api.blue.1', '1x20 0x40'), ...server('web.blue.1', '1x60')];
    const wanted = [instanceDown('api.blue.1'), 'ServiceDown{service="api",colour="blue"}'];
    expect(await firing(series, 40, wanted)).to.equal('');
  });

  it('DatabaseDown: of a colour with users alone', async () => {
    const database = (colour: string) => ({
      series: `greenlight_database_up{job="greenlight",colour="${colour}"}`,
      values: '1x20 0x40',
    });
    const series = [inUse('blue', true), inUse('green', false), database('blue'), database('green')];
    expect(await firing(series, 40, ['DatabaseDown{job="greenlight",colour="blue"}'])).to.equal('');
  });

  it('HighErrorRate: of the colour that has it, and not for a few', async () => {
    const series = [
      answers('blue', '2xx', '0+100x60'),
      answers('blue', '5xx', '0x19 1+0x40'),
      answers('green', '2xx', '0+10x60'),
      answers('green', '5xx', '0+2x60'),
    ];
    expect(await firing(series, 40, ['HighErrorRate{colour="green"}'])).to.equal('');
  });

  it('HighLatency: while there is traffic', async () => {
    const average = (colour: string) => ({
      series: `haproxy_backend_total_time_average_seconds{proxy="api.${colour}.read",service="api",colour="${colour}",kind="read"}`,
      values: '0.5x60',
    });
    const series = [
      average('blue'),
      average('green'),
      answers('blue', '2xx', '0+5x60'),
      answers('green', '2xx', '7x60'),
    ];
    expect(await firing(series, 50, ['HighLatency{service="api",colour="blue"}'])).to.equal('');
  });

  it('BalancerDown and MonitorDown: when they cannot be scraped', async () => {
    const series = ['balancer', 'greenlight'].map((job) => ({ series: `up{job="${job}"}`, values: '1x20 0x40' }));
    const wanted = ['BalancerDown{job="balancer"}', 'MonitorDown{job="greenlight"}'];
    expect(await firing(series, 40, wanted)).to.equal('');
  });
});
