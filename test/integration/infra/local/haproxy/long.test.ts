import { expect } from 'chai';
import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent as Dispatcher, WebSocket } from 'undici';
import { parseAccessLine, type AccessRecord } from '../../../../../infra/local/haproxy/access-log.ts';
import { balancerSocket } from '../../../../../infra/local/haproxy/config.ts';
import { runtimeCommand } from '../../../../../infra/local/haproxy/runtime.ts';
import { colours, type Colour } from '../../../../../infra/model.ts';
import { longTestbed } from './long-testbed.ts';
import { type Testbed, until } from './testbed.ts';

interface Seen {
  status: number;
  text: string;
  /** Whether it came to its end. */
  complete: boolean;
}

describe('the local balancer, with what lasts', function () {
  this.timeout(60_000);
  let bed: Testbed;
  let dispatcher: Dispatcher;
  before(async () => {
    bed = await longTestbed({ timeouts: { answerSeconds: 2, quietSeconds: 4 }, http: { streams: ['/api/feed'] } });
    dispatcher = new Dispatcher({ allowH2: false, connect: { ca: readFileSync(bed.layout.caFile()) } });
  });
  after(async () => {
    await dispatcher?.destroy();
    await bed?.dispose();
  });
  beforeEach(() => bed.router.apply({ live: 'blue', percent: 0 }));
  afterEach(() => bed.router.resumeWrites());

  /** A request that may be cut: it resolves once it has ended, however it did. */
  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET', begun?: () => void): Promise<Seen> =>
    new Promise((resolve, reject) => {
      const ca = readFileSync(bed.layout.caFile());
      const sent = request({ host: '127.0.0.1', port: bed.ports.https, path, headers, method, ca }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
          begun?.();
        });
        response.on('error', () => undefined);
        response.on('close', () => resolve({ status: response.statusCode ?? 0, text, complete: response.complete }));
      });
      sent.on('error', reject);
      sent.end();
    });
  const begun = async (path: string, headers: Record<string, string> = {}, method = 'GET') => {
    let ended: Promise<Seen> | undefined;
    await new Promise<void>((resolve, reject) => {
      ended = ask(path, headers, method, resolve);
      ended.catch(reject);
    });
    return { ended: ended as Promise<Seen> };
  };
  /** A WebSocket that is open: `name` is the instance that it is connected to, and `closed` resolves with the code. */
  const open = async (headers: Record<string, string> = {}) => {
    const socket = new WebSocket(`wss://localhost:${bed.ports.https}/api/live`, { dispatcher, headers });
    const closed = new Promise<number>((resolve) => socket.addEventListener('close', ({ code }) => resolve(code)));
    const name = await new Promise<string>((resolve, reject) => {
      socket.addEventListener('message', ({ data }) => resolve(String(data)), { once: true });
      socket.addEventListener('close', () => reject(new Error('it was not opened')));
    });
    return { socket, name, closed };
  };
  const logged = (): AccessRecord[] =>
    readFileSync(join(bed.layout.logs(), 'balancer.log'), 'utf8')
      .split('\n')
      .map(parseAccessLine)
      .filter((record) => record !== undefined);
  const sessions = async (backend: string) =>
    (await runtimeCommand(balancerSocket(bed.layout), 'show sess', 'counting')).split(`be=${backend} `).length - 1;
  const endLong = (colour: Colour, withinMs: number) => bed.router.endLong!(colour, withinMs);

  describe('the time-outs of a service', () => {
    it('[J1] cut what takes longer, and the log says which of them did', async () => {
      const stream = { accept: 'text/event-stream' };
      const from = Date.now();
      const [answer, late, quiet, part, feed] = await Promise.all([
        ask('/late', { 'x-test-wait': '1500' }),
        ask('/late', { 'x-test-wait': '9000' }),
        ask('/events', { 'x-test-wait': '9000', ...stream }),
        ask('/parts', { 'x-test-wait': '9000' }),
        ask('/api/feed/events', { 'x-test-wait': '9000' }),
      ]);
      expect(answer).to.deep.include({ status: 200, complete: true });
      expect(late.status).to.equal(504);
      expect(late.text).to.contain('answerSeconds');
      for (const cut of [quiet, part, feed]) expect(cut).to.deep.include({ status: 200, complete: false });
      const window = await until(() => {
        const found = logged().filter(({ at }) => at >= from);
        expect(found).to.have.length(5);
        return Promise.resolve(found);
      });
      expect(window.map(({ kind, state }) => `${kind} ${state}`)).to.have.members([
        'read --',
        'read sH',
        'read sD',
        'stream sD',
        'stream sD',
      ]);
    });

    it('[J1] let a stream be quiet for longer than an answer may take', async () => {
      const { ended } = await begun('/api/events', { 'x-test-wait': '2600', accept: 'text/event-stream' });
      await until(async () => expect(await sessions('api.blue.stream')).to.equal(1));
      const { text } = await ended;
      expect(text).to.contain('later');
    });

    it('[J1] let a WebSocket be quiet for that long too, and end it then', async () => {
      const { socket, closed } = await open();
      await sleep(2_600);
      expect(socket.readyState).to.equal(WebSocket.OPEN);
      expect(await closed).to.equal(1006);
    });
  });

  describe('a WebSocket', () => {
    it('[J2] goes to the live colour whatever its slot, waits in the hold, and is refused with the writes', async () => {
      await bed.router.apply({ live: 'blue', percent: 99 });
      const { socket, name } = await open({ cookie: 'greenlight_slot=0' });
      expect(name).to.match(/^api\.blue\./);
      socket.close();
      await bed.router.hold(20_000);
      const waiting = open();
      await until(async () => expect(await sessions('<NONE>')).to.be.above(1));
      await bed.router.apply({ live: 'green', percent: 0 });
      await bed.router.resumeWrites();
      const held = await waiting;
      expect(held.name).to.match(/^api\.green\./);
      held.socket.close();
      await bed.router.refuse(20_000);
      const handshake = { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-version': '13' };
      const { status } = await ask('/api/live', { connection: 'upgrade', upgrade: 'websocket', ...handshake });
      expect(status).to.equal(503);
    });

    it('[J2] is no write in flight, so that nothing waits for it', async () => {
      const { socket } = await open();
      expect(await sessions('api.blue.tunnel')).to.equal(1);
      expect(await bed.router.writesInFlight('blue')).to.equal(0);
      expect(await bed.router.nameWrites!('blue')).to.deep.equal([]);
      socket.close();
    });

    it('[J2] counts as a request that was answered when it was opened, however it ends', async () => {
      const from = Date.now();
      const { socket, closed } = await open();
      await sleep(400);
      socket.close();
      await closed;
      const one = await until(() => {
        const found = logged().find(({ at, kind }) => at >= from && kind === 'tunnel');
        expect(found).to.not.equal(undefined);
        return Promise.resolve(found!);
      });
      expect(one.status).to.equal(101);
      expect(one.ms).to.be.below(400);
    });
  });

  describe('after a flip', () => {
    it('[J2] ends the WebSockets of the colour that was left at once, and its event streams within the time, and no other', async () => {
      const sockets = await Promise.all([open(), open(), open()]);
      const streams = await Promise.all(
        ['/api/events', '/api/events', '/api/feed/events', '/events'].map((path) =>
          begun(path, { accept: 'text/event-stream', 'x-test-wait': '3500' }),
        ),
      );
      const answer = await begun('/api/parts', { 'x-test-wait': '1500' });
      await bed.router.apply({ live: 'green', percent: 0 });
      const other = await open();
      expect(other.name).to.match(/^api\.green\./);
      const { ms, ...counts } = await endLong('blue', 2_000);
      expect(counts).to.deep.equal({ webSockets: 3, streams: 4 });
      expect(ms).to.be.within(1, 3_000);
      for (const { closed } of sockets) expect(await closed).to.equal(1006);
      for (const { ended } of streams) expect((await ended).complete).to.equal(false);
      expect((await answer.ended).complete).to.equal(true);
      expect(other.socket.readyState).to.equal(WebSocket.OPEN);
      other.socket.close();
    });

    it('[J2] leaves them alone where the colour is live again', async () => {
      const { socket } = await open();
      expect(await endLong('blue', 0)).to.deep.equal({ webSockets: 0, streams: 0, ms: 0 });
      expect(socket.readyState).to.equal(WebSocket.OPEN);
      socket.close();
    });

    it('[J2] ends an answer that takes longer than it was given', async () => {
      const { ended } = await begun('/api/parts', { 'x-test-wait': '1900' });
      await sleep(600);
      await bed.router.apply({ live: 'green', percent: 0 });
      expect(await endLong('blue', 500)).to.include({ webSockets: 0, streams: 1 });
      expect((await ended).complete).to.equal(false);
    });

    it('[J2] ends what was being opened while the split changed', async () => {
      const late = open({ 'x-test-wait': '600' });
      await until(async () => expect(await sessions('api.blue.tunnel')).to.equal(1));
      await bed.router.apply({ live: 'green', percent: 0 });
      const ending = endLong('blue', 0);
      await late.then(
        ({ closed }) => closed,
        () => undefined,
      );
      await ending;
      expect(await sessions('api.blue.tunnel')).to.equal(0);
    });

    it('[J2] finds nothing to end where nothing lasts, and where it ended all before', async () => {
      for (const colour of colours)
        expect(await endLong(colour, 30_000)).to.deep.equal({ webSockets: 0, streams: 0, ms: 0 });
    });
  });

  it('[J2] ends the streams of a client of HTTP/2, and leaves its connection', async () => {
    const client = connect(`https://localhost:${bed.ports.https}`, { ca: readFileSync(bed.layout.caFile()) });
    const stream = client.request({ ':path': '/api/events', accept: 'text/event-stream', 'x-test-wait': '3500' });
    const ended = new Promise<void>((resolve) => stream.on('close', resolve).on('error', () => undefined));
    await new Promise((resolve) => stream.once('data', resolve));
    await bed.router.apply({ live: 'green', percent: 0 });
    expect(await endLong('blue', 0)).to.include({ streams: 1 });
    await ended;
    const again = client.request({ ':path': '/api/x' });
    const [headers] = (await new Promise<unknown[]>((resolve) => again.once('response', (...all) => resolve(all)))) as [
      Record<string, string>,
    ];
    expect(headers['x-greenlight-colour']).to.equal('green');
    client.destroy();
  });
});
