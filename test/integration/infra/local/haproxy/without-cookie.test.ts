import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { Agent } from 'node:https';
import { parseAccessLine } from '../../../../../infra/local/haproxy/access-log.ts';
import { send, startTestbed, testSpec, type Testbed } from './testbed.ts';

describe('a request without a session cookie', function () {
  this.timeout(60_000);
  let bed: Testbed;
  let agent: Agent;
  before(async () => {
    const writes = { ...testSpec.writes, withoutCookie: ['sessionid', 'remember-me'] };
    bed = await startTestbed({ ...testSpec, writes });
    agent = bed.agent();
    await bed.router.apply({ live: 'blue', percent: 99 });
  });
  after(() => bed?.dispose());

  const ask = (cookie?: string) =>
    send(bed, agent, '/api/x', {
      headers: { cookie: ['greenlight_slot=0', ...(cookie === undefined ? [] : [cookie])].join('; ') },
    });

  it('goes to the live colour, and one with any of them takes part in the canary', async () => {
    expect((await ask()).headers['x-greenlight-colour']).to.equal('blue');
    expect((await ask('other=1; xsessionid=1')).headers['x-greenlight-colour']).to.equal('blue');
    expect((await ask('sessionid=a')).headers['x-greenlight-colour']).to.equal('green');
    expect((await ask('remember-me=a')).headers['x-greenlight-colour']).to.equal('green');
  });

  it('is named in the log, so that the share of the canary is known', async () => {
    const by = () =>
      readFileSync(join(bed.layout.logs(), 'balancer.log'), 'utf8')
        .split('\n')
        .map(parseAccessLine)
        .filter((one) => one !== undefined)
        .map((one) => `${one.kind} ${one.by}`);
    await send(bed, agent, '/api/x', { method: 'POST' });
    while (by().length < 5) await sleep(10);
    expect(by().slice(0, 5)).to.deep.equal(['write anew', 'write anew', 'read split', 'read split', 'write split']);
  });

  it('waits while writes are held, and one with a cookie does not', async () => {
    await bed.router.hold(20_000);
    let answered = false;
    const held = ask().then((answer) => ((answered = true), answer));
    expect((await ask('sessionid=a')).status).to.equal(200);
    expect(answered).to.equal(false);
    await bed.router.resumeWrites();
    expect((await held).headers['x-greenlight-colour']).to.equal('blue');
  });

  it('is refused with the writes', async () => {
    await bed.router.refuse(20_000);
    expect((await ask()).status).to.equal(503);
    expect((await ask('sessionid=a')).status).to.equal(200);
    await bed.router.resumeWrites();
  });
});
