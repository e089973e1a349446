import { expect } from 'chai';
import { readFile, writeFile } from 'node:fs/promises';
import type { Agent } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { balancerSocket } from '../../../../../infra/local/haproxy/config.ts';
import { storedTraffic } from '../../../../../infra/local/haproxy/traffic-map.ts';
import { parseShowStat, runtimeCommand } from '../../../../../infra/local/haproxy/runtime.ts';
import { createLocalMetrics } from '../../../../../infra/local/runtime/metrics.ts';
import { send, startTestbed, type Answer, type Testbed, until } from './testbed.ts';

describe('refusing writes', () => {
  let bed: Testbed;
  let agent: Agent;
  before(async () => {
    bed = await startTestbed();
    agent = bed.agent();
  });
  after(() => bed?.dispose());
  beforeEach(() => bed.router.apply({ live: 'blue', percent: 0 }));
  afterEach(() => bed.router.resumeWrites());

  const write = (by = agent) => send(bed, by, '/api/x', { method: 'POST' });
  const colourOf = (answer: Answer) => answer.headers['x-greenlight-colour'];
  const ask = (command: string) => runtimeCommand(balancerSocket(bed.layout), command, 'asking the balancer');

  it('says in the answer that it is a refusal, when to come again, and in words what to do', async () => {
    await bed.router.refuse(20_000);
    const { status, headers } = await write();
    expect(status).to.equal(503);
    expect(headers).to.include({
      'x-greenlight-writes': 'refused',
      'retry-after': '10',
      'cache-control': 'no-store',
      'content-type': 'text/html',
    });
    expect(headers).to.not.have.any.keys('set-cookie', 'x-greenlight-colour');
    const page = await readFile(join(bed.layout.balancer(), 'read-only.html'), 'utf8');
    expect(page).to.contain('can be read').and.to.contain('not saved');
    expect(Number(headers['content-length'])).to.equal(Buffer.byteLength(page));
  });

  it('refuses writes that are told by their path too', async () => {
    await bed.router.refuse(20_000);
    expect((await send(bed, agent, '/api/touch/it')).headers['x-greenlight-writes']).to.equal('refused');
  });

  it('refuses also what was held until then: it does not reach the colour that is to be left', async () => {
    await bed.router.hold(60_000);
    const held = Array.from({ length: 20 }, () => write());
    expect(await Promise.race([...held, sleep(100)])).to.equal(undefined);
    await bed.router.refuse(20_000);
    expect((await Promise.all(held)).map(({ status }) => status)).to.deep.equal(Array(20).fill(503));
    expect(await bed.router.writesInFlight('blue')).to.equal(0);
  });

  it('holds writes again where a hold took its place, and passes them on in the end', async () => {
    await bed.router.refuse(60_000);
    await bed.router.hold(20_000);
    const held = write();
    expect(await Promise.race([held, sleep(100)])).to.equal(undefined);
    await bed.router.resumeWrites();
    expect(colourOf(await held)).to.equal('blue');
  });

  it('still refuses after the balancer was restarted, until the same time', async () => {
    await bed.router.refuse(60_000);
    const refuseUntil = (await storedTraffic(bed.layout.balancer()))?.refuseUntil;
    await bed.stopBalancer();
    await bed.startBalancer();
    expect((await write()).status).to.equal(503);
    expect((await bed.router.read()).refuses).to.equal(true);
    expect((await storedTraffic(bed.layout.balancer()))?.refuseUntil).to.equal(refuseUntil);
  });

  it('lets no write pass where the balancer is reloaded meanwhile, also by connections from before, over several leases', async () => {
    const worker = async () => /^Pid: (\d+)/m.exec(await ask('show info'))?.[1];
    const idle = Array.from({ length: 4 }, () => bed.agent());
    for (const one of idle) await send(bed, one, '/api/x');
    const lease = 4_000;
    await bed.router.refuse(lease);
    const begun = Date.now();
    const before = await worker();
    process.kill(bed.balancerPid(), 'SIGUSR2');
    const statuses: number[] = [];
    let ended = false;
    const client = (async () => {
      while (!ended) statuses.push((await write()).status);
    })();
    while (Date.now() < begun + 2 * lease) {
      await sleep(lease / 8);
      await bed.router.refuse(lease);
    }
    ended = true;
    await client;
    expect(await worker()).to.not.equal(before);
    for (const one of idle) statuses.push((await write(one)).status);
    expect(new Set(statuses)).to.deep.equal(new Set([503]));
  });

  it('begins on a balancer whose map is of a version that refused nothing, and ends there', async () => {
    const file = join(bed.layout.balancer(), 'traffic.map');
    await bed.stopBalancer();
    await writeFile(file, 'split blue:0\nhold 0\n');
    await bed.startBalancer();
    await bed.router.resumeWrites();
    expect((await write()).status).to.equal(200);
    await bed.router.refuse(20_000);
    await bed.router.refuse(20_000);
    expect((await write()).status).to.equal(503);
    expect(await ask('show map traffic.map'))
      .to.match(/ refuse \d{13}\n/)
      .and.to.not.match(/refuse[^]*refuse/);
    await bed.router.resumeWrites();
    expect((await write()).status).to.equal(200);
  });

  it('is no error of a colour: neither for the alerts, nor for who judges the traffic', async () => {
    // What the rule HighErrorRate counts.
    const errors = async () =>
      parseShowStat(await ask('show stat -1 2 -1'))
        .filter(({ pxname }) => /\.(blue|green)\./.test(pxname ?? ''))
        .map(({ hrsp_5xx: count }) => Number(count))
        .reduce((sum, count) => sum + count, 0);
    const before = await errors();
    const from = Date.now();
    await bed.router.refuse(20_000);
    for (let i = 0; i < 10; i += 1) expect((await write()).status).to.equal(503);
    await bed.router.resumeWrites();
    await write();
    expect((await send(bed, agent, '/api/x', { headers: { 'x-test-status': '503' } })).status).to.equal(503);
    expect(await errors()).to.equal(before + 1);
    const metrics = createLocalMetrics(bed.layout, bed.spec, () => Promise.resolve([]));
    await until(async () => {
      const { blue, green } = (await metrics.window(from, Date.now() + 1000)).colours;
      expect([blue.requests, blue.writes, blue.errors, green.requests]).to.deep.equal([2, 1, 1, 0]);
    });
  });
});
