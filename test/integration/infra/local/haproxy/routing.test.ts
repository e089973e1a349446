import { expect } from 'chai';
import type { Agent } from 'node:https';
import { routerContract } from '../../../../contract/router.ts';
import { secret, send, startTestbed, type Answer, type Testbed, until } from './testbed.ts';

describe('the local balancer', () => {
  let bed: Testbed;
  let agent: Agent;
  before(async () => {
    bed = await startTestbed();
    agent = bed.agent();
  });
  after(() => bed?.dispose());

  const routed = (colour: string, given = secret) => ({ 'x-greenlight-colour': colour, 'x-greenlight-secret': given });
  const get = (path: string, headers: Record<string, string> = {}) => send(bed, agent, path, { headers });
  const cookies = (answer: Answer) => answer.headers['set-cookie'] ?? [];

  it('answers 503 with Retry-After while nothing is live, and routes by header all the same', async () => {
    const stranger = await get('/api/x');
    expect(stranger.status).to.equal(503);
    expect(stranger.headers['retry-after']).to.equal('10');
    expect((await bed.router.read()).split).to.equal(undefined);
    const tester = await get('/api/x', routed('green'));
    expect(tester.status).to.equal(200);
    expect(tester.headers['x-greenlight-colour']).to.equal('green');
  });

  describe('its router', () =>
    routerContract(() => Promise.resolve(bed.router), {
      send: async (method, headers) => (await send(bed, agent, '/api/x', { method, headers })).status,
    }));

  describe('with 30 percent on green', () => {
    before(() => bed.router.apply({ live: 'blue', percent: 30 }));

    it('gives green its share of the reads of clients without a cookie', async () => {
      const count = 600;
      let green = 0;
      for (let sent = 0; sent < count; sent += 30) {
        const answers = await Promise.all(Array.from({ length: 30 }, () => get('/api/x')));
        green += answers.filter((answer) => answer.headers['x-greenlight-colour'] === 'green').length;
      }
      // Six standard deviations of a binomial distribution: a false alarm in 500 million runs.
      const deviation = Math.sqrt(count * 0.3 * 0.7);
      expect(green).to.be.within(count * 0.3 - 6 * deviation, count * 0.3 + 6 * deviation);
    });

    it('gives a client a slot for its session, once', async () => {
      const first = cookies(await get('/')).find((cookie) => cookie.startsWith('greenlight_slot='));
      expect(first).to.match(/^greenlight_slot=\d{1,2}; Path=\/; HttpOnly; Secure; SameSite=Lax$/);
      const again = await get('/', { cookie: first?.split(';')[0] ?? '' });
      expect(cookies(again)).to.deep.equal([]);
    });

    it('decides by the slot, and replaces one that is none', async () => {
      for (const [slot, colour] of [
        [0, 'green'],
        [29, 'green'],
        [30, 'blue'],
        [99, 'blue'],
      ] as const) {
        const answers = await Promise.all(
          Array.from({ length: 5 }, () => get('/api/x', { cookie: `a=b; greenlight_slot=${slot}` })),
        );
        expect(answers.map((answer) => answer.headers['x-greenlight-colour'])).to.deep.equal(Array(5).fill(colour));
      }
      for (const slot of ['100', '-1', 'x', '']) {
        const set = cookies(await get('/', { cookie: `greenlight_slot=${slot}` }));
        expect(set.join(), slot).to.match(/greenlight_slot=\d{1,2};/);
      }
    });

    it('sends a client that wrote to the live colour, whatever its slot', async () => {
      const write = await send(bed, agent, '/api/x', { method: 'POST', headers: { cookie: 'greenlight_slot=0' } });
      expect(write.headers['x-greenlight-colour']).to.equal('blue');
      expect(cookies(write)).to.deep.equal(['greenlight_wrote=1; Max-Age=5; Path=/; HttpOnly; Secure; SameSite=Lax']);
      const read = await get('/api/x', { cookie: 'greenlight_slot=0; greenlight_wrote=1' });
      expect(read.headers['x-greenlight-colour']).to.equal('blue');
      expect(cookies(read)).to.deep.equal([]);
    });

    it('sends every kind of write to the live colour alone', async () => {
      const writes = ['POST', 'PUT', 'PATCH', 'DELETE'].map((method) => ({ method, path: '/api/x' }));
      for (const { method, path } of [...writes, { method: 'GET', path: '/api/touch/it?x=1' }]) {
        const answer = await send(bed, agent, path, { method, headers: { cookie: 'greenlight_slot=0' } });
        expect(answer.headers['x-greenlight-colour'], `${method} ${path}`).to.equal('blue');
      }
      const read = await send(bed, agent, '/api/x', { method: 'HEAD', headers: { cookie: 'greenlight_slot=0' } });
      expect(read.headers['x-greenlight-colour']).to.equal('green');
    });

    it('finds the service by the longest prefix', async () => {
      expect((await get('/api/x')).body.name).to.match(/^api\./);
      expect((await get('/about')).body.name).to.match(/^web\./);
    });

    it('takes the header route with the right secret only, and shows neither header to the application', async () => {
      const right = await send(bed, agent, '/api/x', { method: 'POST', headers: routed('green') });
      expect(right.headers['x-greenlight-colour']).to.equal('green');
      expect(cookies(right)).to.deep.equal([]);
      const others = [routed('green', 'wrong'), { 'x-greenlight-colour': 'green' }, routed('green', ''), routed('red')];
      for (const headers of others) {
        const answer = await get('/api/x', { ...headers, cookie: 'greenlight_slot=99' });
        expect(answer.headers['x-greenlight-colour']).to.equal('blue');
        expect(answer.status).to.equal(200);
      }
      for (const headers of [routed('green'), ...others]) {
        const seen = Object.keys((await get('/api/x', headers)).body.headers ?? {});
        expect(seen.filter((name) => name.startsWith('x-greenlight-'))).to.deep.equal([]);
      }
    });

    it('replaces forwarding headers that a client made up', async () => {
      const claims = { 'x-forwarded-for': '6.6.6.6', 'x-forwarded-proto': 'http', forwarded: 'for=6.6.6.6' };
      const { headers } = (await get('/api/x', claims)).body;
      expect(headers).to.include({ 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'https' });
      expect(headers).to.not.have.property('forwarded');
    });
  });

  it('redirects plain http to https with the method kept', async () => {
    const answer = await fetch(`http://127.0.0.1:${bed.ports.http}/a/b?c=d`, { method: 'POST', redirect: 'manual' });
    expect(answer.status).to.equal(308);
    expect(answer.headers.get('location')).to.equal(`https://127.0.0.1:${bed.ports.https}/a/b?c=d`);
  });

  describe('without servers', () => {
    it('lets reads fall back to the live colour while the canary has no server', async () => {
      await bed.router.apply({ live: 'blue', percent: 100 });
      await bed.killBackend('web.green.1');
      await bed.untilHealthy('web.green.1', false);
      await until(async () => {
        const answer = await get('/');
        expect([answer.status, answer.headers['x-greenlight-colour']]).to.deep.equal([200, 'blue']);
      });
      expect((await get('/api/x')).headers['x-greenlight-colour']).to.equal('green');
    });

    it('answers 503 with Retry-After when no server of the live colour is up', async () => {
      await bed.killBackend('web.blue.1');
      const answer = await get('/');
      expect(answer.status).to.equal(503);
      expect(answer.headers['retry-after']).to.equal('5');
    });
  });
});
