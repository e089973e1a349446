import { expect } from 'chai';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { neverCrowded } from '../../../../../infra/local/haproxy/frontend.ts';
import { longTestbed } from './long-testbed.ts';
import { send, until, type Testbed } from './testbed.ts';

describe('a balancer with as many connections as it may have', function () {
  this.timeout(60_000);
  let bed: Testbed;
  before(async () => {
    bed = await longTestbed({});
    await bed.router.apply({ live: 'blue', percent: 0 });
    // As on a system that allows few files.
    const file = join(bed.layout.balancer(), 'haproxy.cfg');
    const text = readFileSync(file, 'utf8');
    const few = text.replace('\n  nbthread 1\n', '\n  nbthread 1\n  maxconn 100\n');
    await bed.stopBalancer();
    writeFileSync(file, few.replace(`fe_conn gt ${neverCrowded}`, 'fe_conn gt 10'));
    await bed.startBalancer();
    await bed.untilHealthy('web.blue.1');
  });
  after(() => bed?.dispose());

  it('[M6] answers 503 to one more, and goes on as soon as others have ended', async () => {
    const agent = bed.agent();
    agent.maxSockets = 60;
    await bed.router.hold(60_000);
    const held = Array.from({ length: 45 }, () => send(bed, agent, '/x', { method: 'POST' }));
    const more = bed.agent();
    await until(async () => {
      const answer = await send(bed, more, '/x');
      expect([answer.status, answer.headers['retry-after']]).to.deep.equal([503, '5']);
    });
    await bed.router.resumeWrites();
    const statuses = (await Promise.all(held)).map(({ status }) => status);
    expect(new Set(statuses)).to.deep.equal(new Set([200]));
    expect((await send(bed, more, '/x')).status).to.equal(200);
  });
});
