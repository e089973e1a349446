import { expect } from 'chai';
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OperationError } from '../../../../../infra/lib/errors.ts';
import { createLocalAlerts } from '../../../../../infra/local/monitoring/alerts.ts';
import {
  alertmanagerCommand,
  alertReceiverCommand,
  prometheusCommand,
  renderMonitoring,
} from '../../../../../infra/local/monitoring/config.ts';
import type { AlertDelivery, Alerts } from '../../../../../infra/platform/alerts.ts';
import { send, startTestbed, testSpec, type Testbed, until } from '../haproxy/testbed.ts';

describe('monitoring with the real programs', () => {
  const processes: ChildProcess[] = [];
  let bed: Testbed;
  let alerts: Alerts;
  let configured: Server;
  const received: string[] = [];

  before(async function () {
    this.timeout(60_000);
    configured = createServer((request, response) => {
      request.on('data', (part: Buffer) => received.push(part.toString()));
      request.on('end', () => response.end());
    });
    await new Promise<void>((resolve) => configured.listen(0, '127.0.0.1', resolve));
    const spec = {
      ...testSpec,
      alertReceivers: [
        { name: 'on call', webhook: `http://127.0.0.1:${(configured.address() as AddressInfo).port}/hook` },
        // Port 9 (discard): nobody listens there.
        { name: 'dead "one"', webhook: 'http://127.0.0.1:9/hook' },
      ],
    };
    bed = await startTestbed(spec);
    const { layout, ports } = bed;
    await bed.router.apply({ live: 'blue', percent: 0 });
    const files = renderMonitoring({ spec, ports });
    for (const [directory, texts] of [
      [layout.prometheus(), files.prometheus],
      [layout.alertmanager(), files.alertmanager],
    ] as const) {
      await mkdir(directory, { recursive: true });
      for (const [name, text] of Object.entries(texts)) await writeFile(join(directory, name), text, { mode: 0o600 });
    }
    start('prometheus', prometheusCommand(layout, ports));
    start('alertmanager', alertmanagerCommand(layout, ports));
    start('receiver', alertReceiverCommand(layout, ports));
    await answers(ports.prometheus, '/-/ready');
    await answers(ports.alertmanager, '/-/ready');
    await answers(ports.alertReceiver, '/healthz');
    alerts = createLocalAlerts(layout, spec);
    await until(async () => {
      expect(await query('haproxy_server_status{server="api.green.1",kind="read",state="UP"}')).to.equal(1);
      expect(await query('greenlight_colour_in_use{colour="blue"}')).to.equal(1);
    }, 20_000);
  });

  after(async () => {
    for (const child of processes) {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await gone;
    }
    configured?.close();
    configured?.closeAllConnections();
    await bed?.dispose();
  });

  function start(name: string, command: string[]): void {
    const log = openSync(join(bed.layout.logs(), `${name}.log`), 'a');
    const [program, ...args] = command as [string, ...string[]];
    processes.push(spawn(program, args, { stdio: ['ignore', log, log], cwd: bed.layout.directory }));
    closeSync(log);
  }
  const answers = (port: number, path: string) =>
    until(async () => expect((await fetch(`http://127.0.0.1:${port}${path}`)).status).to.equal(200), 20_000);
  const query = async (expr: string) => {
    const url = `http://127.0.0.1:${bed.ports.prometheus}/api/v1/query?query=${encodeURIComponent(expr)}`;
    const { data } = (await (await fetch(url)).json()) as { data: { result: { value: [number, string] }[] } };
    return Number(data.result[0]?.value[1]);
  };
  const delivered = (wanted: Partial<AlertDelivery>, server: string, since: number) =>
    until(async () => {
      const found = (await alerts.deliveries(since)).find(
        ({ alert, status, labels }) =>
          alert === wanted.alert && status === wanted.status && labels['server'] === server,
      );
      expect(found, `${wanted.alert} ${wanted.status}`).to.not.equal(undefined);
      return found as AlertDelivery;
    }, 30_000);

  it('has loaded every rule', async () => {
    expect(await alerts.rules()).to.include.members(['BalancerDown', 'InstanceDown', 'ServiceDown', 'HighErrorRate']);
    const { data } = (await (await fetch(`http://127.0.0.1:${bed.ports.prometheus}/api/v1/rules`)).json()) as {
      data: { groups: { rules: { name: string; health: string }[] }[] };
    };
    expect(data.groups.flatMap(({ rules }) => rules).filter(({ health }) => health === 'err')).to.deep.equal([]);
  });

  it('knows which instances it has seen up', async () => {
    expect(await alerts.watches('api.green.1')).to.equal(true);
    expect(await alerts.watches('api.green.9')).to.equal(false);
  });

  it('tells of a stopped instance and of its return, to every receiver that can be reached', async function () {
    this.timeout(90_000);
    const since = Date.now();
    await bed.killBackend('api.green.2');
    const firing = await delivered({ alert: 'InstanceDown', status: 'firing' }, 'api.green.2', since);
    expect(firing.receiver).to.equal('greenlight');
    expect(firing.at).to.be.within(since, Date.now());
    expect(firing.labels).to.include({ colour: 'green', service: 'api' });
    const active = await alerts.active();
    expect(active.map(({ alert, labels }) => [alert, labels['server']])).to.deep.include([
      'InstanceDown',
      'api.green.2',
    ]);
    await until(async () => expect(await alerts.failures(since)).to.deep.include({ 'on call': 0 }));
    await until(async () => expect((await alerts.failures(since))['dead "one"']).to.be.above(0));
    await until(() => Promise.resolve(expect(received.join()).to.contain('api.green.2')));
    await bed.startBackend('api.green.2');
    const resolved = await delivered({ alert: 'InstanceDown', status: 'resolved' }, 'api.green.2', firing.at);
    expect(resolved.at).to.be.above(firing.at);
    expect(await alerts.deliveries(resolved.at + 1)).to.deep.equal([]);
  });

  it('tells of a service without an instance on the live colour', async function () {
    this.timeout(60_000);
    const since = Date.now();
    await bed.killBackend('web.blue.1');
    await until(async () => {
      const found = (await alerts.deliveries(since)).map(({ alert, labels }) => [alert, labels['service']]);
      expect(found).to.deep.include(['ServiceDown', 'web']);
    }, 30_000);
    await bed.startBackend('web.blue.1');
  });

  it('tells of a colour that answers with errors, and of a database that is not there', async function () {
    this.timeout(60_000);
    const since = Date.now();
    const agent = bed.agent();
    let stop = false;
    const load = (async () => {
      while (!stop) {
        await send(bed, agent, '/api/x', { headers: { 'x-test-status': '500', cookie: 'greenlight_slot=99' } });
        await sleep(50);
      }
    })();
    try {
      await until(async () => {
        const found = (await alerts.deliveries(since)).map(({ alert, labels }) => [alert, labels['colour']]);
        expect(found).to.deep.include(['HighErrorRate', 'blue']);
      }, 30_000);
    } finally {
      stop = true;
      await load;
    }
    // Nothing listens on the ports of the databases here; green has no users.
    const down = (await alerts.active()).filter(({ alert }) => alert === 'DatabaseDown');
    expect(down.map(({ labels }) => labels['colour'])).to.deep.equal(['blue']);
  });

  it('listens on loopback alone', async () => {
    for (const port of [bed.ports.prometheus, bed.ports.alertmanager, bed.ports.alertReceiver, bed.ports.https]) {
      // 127.0.0.2 is this machine too: a program that listens on every address would answer.
      const open = await fetch(`http://127.0.0.2:${port}/`).then(
        () => true,
        () => false,
      );
      expect(open, String(port)).to.equal(false);
    }
  });

  it('says so when Prometheus is gone', async () => {
    processes[0]?.kill('SIGKILL');
    await until(async () => {
      const error = await alerts.rules().catch((reason: unknown) => reason);
      expect(error).to.be.instanceOf(OperationError);
    });
  });
});
