import { expect } from 'chai';
import { readFileSync } from 'node:fs';
import { connect, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent as Dispatcher, WebSocket } from 'undici';
import { longTestbed } from './long-testbed.ts';
import { until, type Testbed } from './testbed.ts';

const framed = (text: string): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(Buffer.byteLength(text), 1);
  return Buffer.concat([head, Buffer.from(text)]);
};

describe('a service that speaks gRPC', function () {
  this.timeout(60_000);
  let bed: Testbed;
  let client: ClientHttp2Session;
  before(async () => {
    bed = await longTestbed({ h2c: ['api'], http: { streams: ['/api/test.Echo/Count'] } });
    client = connect(`https://localhost:${bed.ports.https}`, { ca: readFileSync(bed.layout.caFile()) });
  });
  after(async () => {
    client?.destroy();
    await bed?.dispose();
  });
  beforeEach(() => bed.router.apply({ live: 'blue', percent: 0 }));
  afterEach(() => bed.router.resumeWrites());

  const begin = (method: string): ClientHttp2Stream =>
    client.request({
      ':method': 'POST',
      ':path': `/api/test.Echo/${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
  interface Answered {
    headers: IncomingHttpHeaders;
    /** Of gRPC, wherever it came. */
    status: string | undefined;
    /** Whether the first headers were the end, as gRPC wants it where there is no message. */
    alone: boolean;
    messages: string[];
  }
  const answerOf = (stream: ClientHttp2Stream, each?: (message: string) => void): Promise<Answered> =>
    new Promise((resolve) => {
      const answer: Answered = { headers: {}, status: undefined, alone: false, messages: [] };
      let data = Buffer.alloc(0);
      stream.on('response', (headers, flags) => {
        Object.assign(answer, { headers, status: headers['grpc-status'], alone: (flags & 1) === 1 });
      });
      stream.on('trailers', (trailers: IncomingHttpHeaders) => (answer.status = String(trailers['grpc-status'])));
      stream.on('data', (part: Buffer) => {
        data = Buffer.concat([data, part]);
        while (data.length >= 5 && data.length >= 5 + data.readUInt32BE(1)) {
          const end = 5 + data.readUInt32BE(1);
          const message = data.toString('utf8', 5, end);
          answer.messages.push(message);
          data = data.subarray(end);
          each?.(message);
        }
      });
      stream.on('error', () => undefined);
      stream.on('close', () => resolve(answer));
    });
  const call = (method: string, message: string): Promise<Answered> => {
    const stream = begin(method);
    const answer = answerOf(stream);
    stream.end(framed(message));
    return answer;
  };

  it('answers a message with a message, and its status in the trailers', async () => {
    const answer = await call('Say', 'hello');
    expect(answer).to.deep.include({ status: '0', alone: false });
    expect(answer.messages[0]).to.match(/^api\.blue\.\d: hello$/);
    expect(answer.headers).to.include({ ':status': 200, 'x-greenlight-colour': 'blue' });
  });

  it('answers by trailers alone where a call fails', async () => {
    expect(await call('Fail', 'hello')).to.deep.include({ status: '9', alone: true, messages: [] });
  });

  it('sends a stream, and talks both ways', async () => {
    expect((await call('Count', '4')).messages.map((text) => text.slice(-1))).to.deep.equal(['1', '2', '3', '4']);
    const stream = begin('Chat');
    let told = 0;
    const answer = answerOf(stream, () => {
      told += 1;
      if (told < 3) stream.write(framed(`m${told}`));
      else stream.end();
    });
    stream.write(framed('m0'));
    const { messages, status } = await answer;
    expect(messages.map((text) => text.slice(-2))).to.deep.equal(['m0', 'm1', 'm2']);
    expect(status).to.equal('0');
  });

  it('is written to by every call: it is counted, waits in the hold, and is refused', async () => {
    const slow = call('Slow', '600');
    await until(async () => expect(await bed.router.writesInFlight('blue')).to.equal(1));
    expect((await bed.router.nameWrites?.('blue'))?.[0]).to.include({ method: 'POST', path: '/api/test.Echo/Slow' });
    await bed.router.hold(20_000);
    const held = call('Say', 'held');
    expect((await slow).status).to.equal('0');
    await bed.router.apply({ live: 'green', percent: 0 });
    await bed.router.resumeWrites();
    expect((await held).messages[0]).to.match(/^api\.green\.\d: held$/);
    await bed.router.refuse(20_000);
    expect((await call('Say', 'x')).headers).to.include({ ':status': 503, 'x-greenlight-writes': 'refused' });
  });

  it('[J2] has a stream ended after a flip that the definition names: it is no write in flight', async () => {
    const stream = begin('Count');
    let first: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => (first = resolve));
    const answer = answerOf(stream, () => first());
    stream.end(framed('0'));
    await begun;
    expect(await bed.router.writesInFlight('blue')).to.equal(0);
    await bed.router.apply({ live: 'green', percent: 0 });
    expect(await bed.router.endLong!('blue', 30_000)).to.include({ webSockets: 1 });
    expect((await answer).status).to.equal(undefined);
  });

  it('lets a service beside it that speaks HTTP/1 have WebSockets and streams as ever', async () => {
    const dispatcher = new Dispatcher({ allowH2: false, connect: { ca: readFileSync(bed.layout.caFile()) } });
    const socket = new WebSocket(`wss://localhost:${bed.ports.https}/live`, { dispatcher });
    const said: string[] = [];
    const closed = new Promise<void>((resolve) => socket.addEventListener('close', () => resolve()));
    socket.addEventListener('message', ({ data }) => said.push(String(data)));
    await until(() => Promise.resolve(expect(said).to.deep.equal(['web.blue.1'])));
    socket.send('hello');
    await until(() => Promise.resolve(expect(said).to.deep.equal(['web.blue.1', 'web.blue.1: hello'])));
    await bed.router.apply({ live: 'green', percent: 0 });
    expect(await bed.router.endLong!('blue', 0)).to.include({ webSockets: 1 });
    await closed;
    await sleep(0);
    await dispatcher.destroy();
  });
});
