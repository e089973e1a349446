import { expect } from 'chai';
import type { Agent } from 'node:https';
import { longTestbed } from './long-testbed.ts';
import { send, type Testbed } from './testbed.ts';

describe('a sticky service', function () {
  this.timeout(60_000);
  let bed: Testbed;
  let agent: Agent;
  before(async () => {
    bed = await longTestbed({ sticky: true });
    agent = bed.agent();
    await bed.router.apply({ live: 'blue', percent: 50 });
  });
  after(() => bed?.dispose());

  const ask = (cookie: string, method = 'GET') =>
    send(bed, agent, '/api/x', { method, headers: cookie === '' ? {} : { cookie } });
  const given = ({ headers }: Awaited<ReturnType<typeof ask>>, colour: string) =>
    (headers['set-cookie'] ?? []).find((cookie) => cookie.startsWith(`greenlight_at_api_${colour}=`));

  it('keeps a client with one instance of a colour, for reads and writes, until that is gone', async () => {
    const first = await ask('', 'POST');
    expect(given(first, 'blue')).to.match(/; HttpOnly; Secure; SameSite=Lax$/i);
    expect(first.headers['cache-control']).to.equal('private');
    const cookie = `greenlight_slot=99; ${given(first, 'blue')?.split(';')[0]}`;
    for (const method of ['GET', 'POST', 'GET', 'POST', 'GET']) {
      const answer = await ask(cookie, method);
      expect(answer.headers['x-name']).to.equal(first.headers['x-name']);
      expect(given(answer, 'blue')).to.equal(undefined);
    }
    const name = String(first.headers['x-name']);
    await bed.killBackend(name);
    await bed.untilHealthy(name, false);
    const next = await ask(cookie);
    expect(next.status).to.equal(200);
    expect(next.headers['x-name'])
      .to.match(/^api\.blue\./)
      .and.to.not.equal(name);
    expect(given(next, 'blue')).to.not.equal(undefined);
  });

  it('has one instance in each colour, so that a client that moves has one there too', async () => {
    const canary = await ask('greenlight_slot=0');
    expect(given(canary, 'green')).to.not.equal(undefined);
    expect(given(canary, 'blue')).to.equal(undefined);
  });
});
