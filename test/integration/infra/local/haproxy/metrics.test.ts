import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import type { Agent } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLocalMetrics } from '../../../../../infra/local/runtime/metrics.ts';
import type { Metrics, TrafficWindow } from '../../../../../infra/platform/metrics.ts';
import { secret, send, startTestbed, type Testbed, until } from './testbed.ts';

describe('traffic metrics of the real balancer', () => {
  let bed: Testbed;
  let agent: Agent;
  let metrics: Metrics;
  before(async () => {
    bed = await startTestbed();
    agent = bed.agent();
    metrics = createLocalMetrics(bed.layout, bed.spec, () =>
      Promise.resolve([
        { part: 'api.blue', pid: bed.pidOf('api.blue.1') },
        { part: 'api.blue', pid: bed.pidOf('api.blue.2') },
        { part: 'balancer', pid: bed.balancerPid() },
      ]),
    );
    await bed.router.apply({ live: 'blue', percent: 50 });
  });
  after(() => bed?.dispose());

  const call = (slot: number, more: Record<string, string> = {}, method = 'GET') =>
    send(bed, agent, '/api/x?secret=query', { method, headers: { cookie: `greenlight_slot=${slot}`, ...more } });
  /** The window from `from` on, once it has as many requests as were sent. */
  const window = (from: number, requests: number): Promise<TrafficWindow> =>
    until(async () => {
      const found = await metrics.window(from, Date.now() + 1000);
      expect(found.colours.blue.requests + found.colours.green.requests).to.equal(requests);
      return found;
    });

  const lines = async (): Promise<number> =>
    (await readFile(join(bed.layout.logs(), 'balancer.log'), 'utf8'))
      .split('\n')
      .filter((line) => line.startsWith('greenlight ')).length;

  it('counts requests, writes and errors of each colour, and leaves the header route out', async () => {
    const from = Date.now();
    for (let i = 0; i < 7; i += 1) await call(0);
    for (let i = 0; i < 5; i += 1) await call(99);
    for (let i = 0; i < 3; i += 1) await call(0, {}, 'POST');
    await call(0, { 'x-test-status': '500' });
    await call(0, { 'x-test-status': '404' });
    await call(0, { 'x-greenlight-colour': 'green', 'x-greenlight-secret': secret });
    const { colours, newestAt } = await window(from, 17);
    expect(colours.green).to.include({ requests: 9, writes: 0, errors: 1 });
    expect(colours.blue).to.include({ requests: 8, writes: 3, errors: 0 });
    expect(colours.blue.latenciesMs).to.have.length(8);
    expect(newestAt).to.be.within(from, Date.now());
  });

  it('measures the time to answer', async () => {
    const from = Date.now();
    await call(99, { 'x-test-wait': '120' });
    const [latency] = (await window(from, 1)).colours.blue.latenciesMs;
    expect(latency).to.be.at.least(119);
  });

  it('counts what hangs, before anybody gives up; an answer that is being sent is none', async () => {
    const from = Date.now();
    const controller = new AbortController();
    const headers = { cookie: 'greenlight_slot=99', 'x-test-wait': '60000' };
    const hanging = send(bed, agent, '/api/x', { headers, signal: controller.signal }).catch(() => 'ended');
    await until(async () => {
      const { blue, green } = (await metrics.window(from, Date.now())).colours;
      expect([blue.requests, blue.errors, green.errors]).to.deep.equal([1, 1, 0]);
    });
    expect((await metrics.window(from - 60_000, from - 10_000)).colours.blue.errors).to.equal(0);
    const logged = await lines();
    controller.abort();
    await hanging;
    // Its line comes a moment later, and belongs to no other test.
    await until(async () => expect(await lines()).to.be.above(logged));
  });

  it('counts what got no answer: an instance that died, a client that gave up after waiting', async () => {
    const from = Date.now();
    const impatient = send(bed, agent, '/api/x', {
      headers: { cookie: 'greenlight_slot=99', 'x-test-wait': '5000' },
      signal: AbortSignal.timeout(500),
    }).catch(() => 'gave up');
    const quick = send(bed, agent, '/api/x', {
      headers: { cookie: 'greenlight_slot=99', 'x-test-wait': '5000' },
      signal: AbortSignal.timeout(100),
    }).catch(() => 'left');
    expect([await impatient, await quick]).to.deep.equal(['gave up', 'left']);
    expect((await window(from, 1)).colours.blue).to.include({ requests: 1, errors: 1 });
    const died = send(bed, agent, '/', { method: 'POST', headers: { 'x-test-wait': '5000' } });
    await until(async () => expect(await bed.router.writesInFlight('blue')).to.equal(1));
    await bed.killBackend('web.blue.1');
    expect((await died).status).to.equal(502);
    expect((await window(from, 2)).colours.blue).to.include({ requests: 2, errors: 2, writes: 1 });
  });

  it('logs no query, cookie, secret or address', async () => {
    await call(0, { 'x-greenlight-synthetic': '1' });
    const log = await until(async () => {
      const text = await readFile(join(bed.layout.logs(), 'balancer.log'), 'utf8');
      expect(text).to.contain(' synthetic ');
      return text;
    });
    const requests = log.split('\n').filter((line) => line.startsWith('greenlight '));
    expect(requests.join('\n')).to.not.match(/query|cookie|slot|127\.0\.0\.1/);
    expect(log).to.not.contain(secret);
  });

  it('adds up the CPU time of the processes of a part, with their children', async () => {
    await Promise.all(Array.from({ length: 200 }, () => call(99)));
    await sleep(20);
    const seconds = await metrics.cpuSeconds();
    expect(Object.keys(seconds).sort()).to.deep.equal(['api.blue', 'balancer']);
    // The balancer's master sleeps; its worker, a child, has done all that.
    expect(seconds['balancer']).to.be.above(0);
    expect(seconds['api.blue']).to.be.above(0);
  });
});
