import { expect } from 'chai';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, constants } from 'node:http2';
import type { Agent } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { secret, send, startTestbed, type Answer, type Testbed, until } from './testbed.ts';

describe('holding writes', () => {
  let bed: Testbed;
  let agent: Agent;
  before(async () => {
    bed = await startTestbed();
    agent = bed.agent();
  });
  after(() => bed?.dispose());
  beforeEach(() => bed.router.apply({ live: 'blue', percent: 0 }));
  afterEach(() => bed.router.resumeWrites());

  const write = (headers: Record<string, string> = {}) => send(bed, agent, '/api/x', { method: 'POST', headers });
  const colourOf = (answer: Answer) => answer.headers['x-greenlight-colour'];
  const inFlight = () => bed.router.writesInFlight('blue');
  /** Settles to what it has become by now: undefined while it is still waiting. */
  const now = <T>(promise: Promise<T>) => Promise.race([promise, sleep(50).then(() => undefined)]);

  it('flips under concurrent writes: all are answered, none goes to the old colour after the drain', async () => {
    const answers: Answer[] = [];
    let stop = false;
    const clients = Array.from({ length: 24 }, async () => {
      while (!stop) {
        answers.push(await write());
        await sleep(2);
      }
    });
    const more = async (count: number) => {
      const wanted = answers.length + count;
      while (answers.length < wanted) await sleep(10);
    };
    await more(50);
    const flip = async (to: 'blue' | 'green') => {
      await bed.router.hold(5_000);
      const from = to === 'green' ? 'blue' : 'green';
      while ((await bed.router.writesInFlight(from)) > 0) await sleep(1);
      await bed.router.apply({ live: to, percent: 0 });
      await sleep(20);
      // What was answered since the drain was under way to the client already; nothing new was.
      expect(await bed.router.writesInFlight(to)).to.equal(0);
      await bed.router.resumeWrites();
    };
    for (const to of ['green', 'blue', 'green'] as const) {
      await flip(to);
      await more(100);
    }
    stop = true;
    await Promise.all(clients);
    expect(answers.filter((answer) => answer.status !== 200)).to.deep.equal([]);
    expect(answers.slice(0, 10).map(colourOf)).to.deep.equal(Array(10).fill('blue'));
    expect(answers.slice(-10).map(colourOf)).to.deep.equal(Array(10).fill('green'));
  });

  it('keeps a held write off every colour until it is released, then sends it to what is live now', async () => {
    await bed.router.hold(20_000);
    const held = Array.from({ length: 20 }, () => write());
    expect(await now(Promise.any(held))).to.equal(undefined);
    expect(await inFlight()).to.equal(0);
    await bed.router.apply({ live: 'green', percent: 0 });
    expect(await now(Promise.any(held))).to.equal(undefined);
    await bed.router.resumeWrites();
    expect(new Set((await Promise.all(held)).map(colourOf))).to.deep.equal(new Set(['green']));
  });

  it('lets reads and the header route pass meanwhile', async () => {
    await bed.router.hold(20_000);
    expect((await send(bed, agent, '/api/x')).status).to.equal(200);
    const header = { 'x-greenlight-colour': 'green', 'x-greenlight-secret': secret };
    expect(colourOf(await write(header))).to.equal('green');
  });

  it('lets writes go by itself when the lease ends and nobody releases them', async () => {
    await bed.router.hold(400);
    const held = write();
    expect(await now(held)).to.equal(undefined);
    expect(colourOf(await held)).to.equal('blue');
    expect((await bed.router.read()).holdMs).to.equal(0);
  });

  it('still holds after the balancer was restarted, and has the split', async () => {
    await bed.router.apply({ live: 'green', percent: 40 });
    await bed.router.hold(60_000);
    await bed.stopBalancer();
    await bed.startBalancer();
    const state = await bed.router.read();
    expect(state.split).to.deep.equal({ live: 'green', percent: 40 });
    expect(state.holdMs).to.be.above(0);
    const held = write();
    expect(await now(held)).to.equal(undefined);
    await bed.router.resumeWrites();
    expect(colourOf(await held)).to.equal('green');
  });

  it('is restarted with the split that a hold was begun for, and leaves no file behind', async () => {
    const files = () => readdirSync(bed.layout.balancer()).filter((name) => name.endsWith('.new'));
    const next = { live: 'green', percent: 0 } as const;
    await bed.router.hold(60_000, next);
    expect((await bed.router.read()).split?.live).to.equal('blue');
    await bed.router.apply(next);
    await bed.stopBalancer();
    await bed.startBalancer();
    expect(await bed.router.read())
      .to.deep.include({ split: next })
      .and.to.have.property('holdMs')
      .that.is.above(0);
    await bed.router.apply(next);
    await bed.router.resumeWrites();
    expect(files()).to.deep.equal([]);
    // Not applied, and another one applied.
    await bed.router.hold(60_000, { live: 'blue', percent: 0 });
    await bed.router.resumeWrites();
    await bed.router.hold(60_000, { live: 'blue', percent: 0 });
    await bed.router.apply({ live: 'green', percent: 7 });
    await bed.router.resumeWrites();
    expect([files(), (await bed.router.read()).split]).to.deep.equal([[], { live: 'green', percent: 7 }]);
  });

  it('drops a held write whose client leaves', async () => {
    const toWeb = (signal?: AbortSignal) => send(bed, agent, '/x', { method: 'POST', signal });
    const before = (await toWeb()).body.writes ?? 0;
    await bed.router.hold(20_000);
    const leaving = new AbortController();
    const gone = Array.from({ length: 5 }, () => toWeb(leaving.signal).catch((error: Error) => error.name));
    await sleep(100);
    leaving.abort();
    expect(await Promise.all(gone)).to.deep.equal(Array(5).fill('AbortError'));
    await sleep(200);
    await bed.router.resumeWrites();
    expect((await toWeb()).body.writes).to.equal(before + 1);
  });

  it('drops a held write whose client leaves, by HTTP/2 too', async () => {
    const session = connect(`https://localhost:${bed.ports.https}`, { ca: readFileSync(bed.layout.caFile()) });
    try {
      const toWeb = () => send(bed, agent, '/x', { method: 'POST' });
      const before = (await toWeb()).body.writes ?? 0;
      await bed.router.hold(20_000);
      const stream = session.request({ ':method': 'POST', ':path': '/x' });
      stream.on('error', () => undefined);
      stream.end();
      await sleep(100);
      stream.close(constants.NGHTTP2_CANCEL);
      await sleep(200);
      await bed.router.resumeWrites();
      expect((await toWeb()).body.writes).to.equal(before + 1);
    } finally {
      session.destroy();
    }
  });

  it('names the writes under way without their query, the oldest first, and no other request [I]', async () => {
    const at = (path: string, method: string, wait: number) =>
      send(bed, agent, path, { method, headers: { 'x-test-wait': String(wait) } });
    const first = at('/api/orders/7?token=secret', 'PUT', 700);
    await until(async () => expect(await inFlight()).to.equal(1));
    await sleep(20);
    const others = [at('/upload|a', 'POST', 600), at('/api/x', 'GET', 600), at('/api/touch/it', 'GET', 600)];
    await until(async () => expect(await inFlight()).to.equal(3));
    const named = (await bed.router.nameWrites?.('blue')) ?? [];
    expect(named.map(({ service, method, path }) => `${method} ${path} ${service}`)).to.have.members([
      'PUT /api/orders/7 api',
      'POST /upload|a web',
      'GET /api/touch/it api',
    ]);
    expect(named[0]).to.include({ path: '/api/orders/7' }).and.to.have.property('ms').that.is.within(20, 700);
    expect(await bed.router.nameWrites?.('green')).to.deep.equal([]);
    const [answer] = await Promise.all([first, ...others]);
    // The one that has it is the one that answers it.
    expect(`api.blue.${named[0]?.instance}`).to.equal(answer.body.name);
    await until(async () => expect(await bed.router.nameWrites?.('blue')).to.deep.equal([]));
  });

  it('counts the writes under way, and not reads', async () => {
    const reads = Array.from({ length: 3 }, () => send(bed, agent, '/api/x', { headers: { 'x-test-wait': '300' } }));
    const writes = Array.from({ length: 7 }, () => write({ 'x-test-wait': '300' }));
    await until(async () => expect(await inFlight()).to.equal(7));
    expect(await bed.router.writesInFlight('green')).to.equal(0);
    await Promise.all([...reads, ...writes]);
    await until(async () => expect(await inFlight()).to.equal(0));
  });

  it('cuts the writes to one colour at once: their clients get a 502, and nobody else feels it', async () => {
    const never = { 'x-test-wait': '60000' };
    const hung = [
      ...Array.from({ length: 5 }, () => write(never)),
      send(bed, agent, '/x', { method: 'POST', headers: never }),
    ];
    const toGreen = { 'x-greenlight-colour': 'green', 'x-greenlight-secret': secret };
    const others = [
      ...Array.from({ length: 3 }, () => send(bed, agent, '/api/x', { headers: { 'x-test-wait': '500' } })),
      write({ ...toGreen, 'x-test-wait': '500' }),
    ];
    await until(async () => expect(await inFlight()).to.equal(6));
    await bed.router.hold(20_000);
    const held = write();
    await sleep(50);
    expect(await bed.router.cutWrites?.('blue')).to.equal(6);
    expect((await Promise.all(hung)).map(({ status }) => status)).to.deep.equal(Array(6).fill(502));
    await until(async () => expect(await inFlight()).to.equal(0));
    expect((await Promise.all(others)).map(({ status }) => status)).to.deep.equal(Array(4).fill(200));
    expect(await now(held)).to.equal(undefined);
    await bed.router.resumeWrites();
    expect((await held).status).to.equal(200);
  });
});
