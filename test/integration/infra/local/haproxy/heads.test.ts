import { expect } from 'chai';
import { request, type Agent } from 'node:https';
import { longTestbed } from './long-testbed.ts';
import { send, type Answer, type Testbed } from './testbed.ts';

const headRoom = 15 * 1024;

describe('the local balancer, with heads, bodies and methods', function () {
  this.timeout(60_000);
  let bed: Testbed;
  let agent: Agent;
  before(async () => {
    bed = await longTestbed({
      http: { headerKilobytes: 16, bodyMegabytes: 1 },
      writes: { reads: ['GET', 'HEAD', 'OPTIONS', 'PROPFIND'], paths: ['/api/touch'] },
    });
    agent = bed.agent();
    await bed.router.apply({ live: 'blue', percent: 50 });
  });
  after(() => bed?.dispose());
  afterEach(() => bed.router.apply({ live: 'blue', percent: 50 }));

  const ask = (headers: Record<string, string> = {}, method = 'GET', path = '/x', body?: string) =>
    send(bed, agent, path, { method, headers, ...(body === undefined ? {} : { body }) });
  const given = ({ headers }: Answer, name: string) =>
    (headers['set-cookie'] ?? []).filter((cookie) => cookie.startsWith(`greenlight_${name}=`));
  const cached = (headers: Record<string, string>) => ({ 'x-test-headers': JSON.stringify(headers) });

  describe('cookies', () => {
    it('[J3] give a client a slot while there is a canary, and at no other time', async () => {
      for (const percent of [0, 100]) {
        await bed.router.apply({ live: 'blue', percent });
        const answer = await ask();
        expect(given(answer, 'slot')).to.deep.equal([]);
        expect(answer.headers['x-greenlight-colour']).to.equal(percent === 0 ? 'blue' : 'green');
      }
      await bed.router.apply({ live: 'blue', percent: 1 });
      expect(given(await ask(), 'slot')).to.have.length(1);
    });

    const shared: Record<string, string>[] = [
      { 'cache-control': 'public' },
      { 'cache-control': 'public, max-age=0' },
      { 'cache-control': 'max-age=60' },
      { 'cache-control': 'no-cache, Max-Age="060"' },
      { 'cache-control': 's-maxage=0' },
      { 'cache-control': 'must-revalidate,S-MaxAge=5' },
      { expires: 'Thu, 01 Dec 2094 16:00:00 GMT' },
      { 'last-modified': 'Thu, 01 Dec 1994 16:00:00 GMT', etag: '"1"' },
    ];
    for (const headers of shared)
      it(`[J3] come with no answer that a shared cache may keep: ${JSON.stringify(headers)}`, async () => {
        const answer = await ask(cached(headers));
        expect(given(answer, 'slot')).to.deep.equal([]);
        expect(answer.headers).to.include(headers);
      });

    const own: Record<string, string>[] = [
      { 'cache-control': 'private, max-age=60' },
      { 'cache-control': 'no-store' },
      { 'cache-control': 'max-age=60, private', 'last-modified': 'Thu, 01 Dec 1994 16:00:00 GMT' },
    ];
    for (const headers of own)
      it(`[J3] come with an answer that is one client's, which stays as it is: ${JSON.stringify(headers)}`, async () => {
        const answer = await ask(cached(headers));
        expect(given(answer, 'slot')).to.have.length(1);
        expect(answer.headers['cache-control']).to.equal(headers['cache-control']);
      });

    const open: Record<string, string>[] = [
      {},
      { etag: 'W/"1"' },
      { 'cache-control': 'no-cache' },
      { 'cache-control': 'max-age=0' },
    ];
    for (const headers of open)
      it(`[J3] make an answer private that would leave it open: ${JSON.stringify(headers)}`, async () => {
        const answer = await ask(cached(headers));
        expect(given(answer, 'slot')).to.have.length(1);
        expect(answer.headers['cache-control']).to.match(/(^|, )private$/);
      });

    it('[J3] mark a client that has written, and no cache keeps the mark', async () => {
      await bed.router.apply({ live: 'blue', percent: 0 });
      const plain = await ask({}, 'POST');
      expect(given(plain, 'wrote')).to.have.length(1);
      const open = await ask(cached({ 'cache-control': 'public, max-age=60' }), 'POST');
      expect(given(open, 'wrote')).to.have.length(1);
      expect(open.headers['cache-control']).to.equal('public, max-age=60, private');
      const byPath = await ask({}, 'GET', '/api/touch');
      expect(given(byPath, 'wrote')).to.have.length(1);
      expect(byPath.headers['cache-control']).to.match(/private$/);
      expect(given(await ask(), 'wrote')).to.deep.equal([]);
    });
  });

  describe('methods', () => {
    const headers = { cookie: 'greenlight_slot=0' };
    for (const method of ['MKCOL', 'LOCK', 'UNLOCK', 'PROPPATCH', 'REPORT', 'COPY', 'BREW', 'QUERY', 'TRACE'])
      it(`[J4] ${method} writes: it goes to the live colour, and waits with the others`, async () => {
        const answer = await ask(headers, method);
        expect(answer.headers['x-greenlight-colour']).to.equal('blue');
        expect(given(answer, 'wrote')).to.have.length(1);
        await bed.router.refuse(20_000);
        const refused = await ask(headers, method);
        expect([refused.status, refused.headers['x-greenlight-writes']]).to.deep.equal([503, 'refused']);
        await bed.router.resumeWrites();
      });

    for (const method of ['GET', 'HEAD', 'OPTIONS', 'PROPFIND'])
      it(`[J4] ${method} reads where the definition says so: it goes to the canary, and waits for nothing`, async () => {
        await bed.router.hold(20_000);
        const answer = await ask(headers, method);
        expect(answer.headers['x-greenlight-colour']).to.equal('green');
        expect(given(answer, 'wrote')).to.deep.equal([]);
        await bed.router.resumeWrites();
      });

    it('[J4] one that nobody knows is counted while it is not answered', async () => {
      const sent = ask({ 'x-test-wait': '700' }, 'MKCOL', '/api/late');
      let named: { method: string }[] = [];
      while (named.length === 0) named = (await bed.router.nameWrites?.('blue')) ?? [];
      expect(named[0]).to.include({ method: 'MKCOL', path: '/api/late', service: 'api' });
      expect(await bed.router.writesInFlight('blue')).to.equal(1);
      await sent;
    });
  });

  describe('limits', () => {
    const padded = (bytes: number) => ({ 'x-padding': 'x'.repeat(bytes) });

    it('[J5] takes a head up to the size of the definition, in both directions', async () => {
      expect((await ask(padded(headRoom))).status).to.equal(200);
      expect((await ask({ 'x-test-head': '15' })).status).to.equal(200);
    });

    it('[J5] answers 431 to a larger one, and says which setting it is', async () => {
      for (const bytes of [17_000, 30_000]) expect((await ask(padded(bytes))).status).to.equal(431);
      expect((await ask({}, 'GET', `/x?${'y'.repeat(17_000)}`)).status).to.equal(431);
      const text = await textOf(bed, agent, padded(17_000));
      expect(text).to.equal('The head of the request is larger than 16 KiB (application.http.headerKilobytes).');
    });

    it('[J5] answers 400 to one that is far too large to be read', async () => {
      expect((await ask(padded(60_000))).status).to.equal(400);
    });

    it('[J5] answers 502 to an answer whose head is too large', async () => {
      expect((await ask({ 'x-test-head': '50' })).status).to.equal(502);
    });

    it('[J5] counts the head of the definition, not of a default', async () => {
      const large = await longTestbed({ http: { headerKilobytes: 64 } });
      try {
        await large.router.apply({ live: 'blue', percent: 0 });
        const status = async (bytes: number) =>
          (await send(large, large.agent(), '/x', { headers: padded(bytes) })).status;
        expect(await status(60_000)).to.equal(200);
        expect(await status(70_000)).to.equal(431);
      } finally {
        await large.dispose();
      }
    });

    it('[J5] answers 413 to a longer body, and 411 to one whose length nobody knows', async () => {
      const body = 'x'.repeat(1024 * 1024);
      const sized = { 'content-length': String(body.length) };
      expect((await ask(sized, 'PUT', '/x', body)).status).to.equal(200);
      expect(await statusBeforeBody(bed, agent, { 'content-length': String(body.length + 1) })).to.equal(413);
      expect(await statusBeforeBody(bed, agent, { 'transfer-encoding': 'chunked' })).to.equal(411);
    });
  });
});

const textOf = (bed: Testbed, agent: Agent, headers: Record<string, string>): Promise<string> =>
  new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port: bed.ports.https, path: '/x', agent, headers }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (body += part));
      response.on('end', () => resolve(body));
    });
    sent.on('error', reject);
    sent.end();
  });

/** What a client is answered that waits with its body: one that sends on may see a broken connection first. */
const statusBeforeBody = (bed: Testbed, agent: Agent, headers: Record<string, string>): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: bed.ports.https, path: '/x', method: 'PUT', agent, headers };
    const sent = request(options, ({ statusCode }) => {
      resolve(statusCode);
      sent.destroy();
    });
    sent.on('error', reject);
    sent.flushHeaders();
  });
