import { createServer, type ServerHttp2Stream } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * One instance of a service that speaks HTTP/2 without TLS, as gRPC does: `node grpc-backend.ts <port> <name>`. `/test.Echo/Say` answers a message with its
 * name and the message, `/test.Echo/Count` with one message every 20 ms (as many as the message says; 0: for ever), `/test.Echo/Fail` with trailers alone,
 * `/test.Echo/Chat` with an answer to each message as it comes. `/test.Echo/Slow` takes as many milliseconds as the message says. `/healthz` answers GET.
 */
const [port, name = ''] = process.argv.slice(2);

/** A message as gRPC frames it: not compressed, its length, its bytes. */
const framed = (text: string): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(Buffer.byteLength(text), 1);
  return Buffer.concat([head, Buffer.from(text)]);
};

async function* messages(stream: ServerHttp2Stream): AsyncGenerator<string> {
  let data = Buffer.alloc(0);
  for await (const part of stream) {
    data = Buffer.concat([data, part as Buffer]);
    while (data.length >= 5 && data.length >= 5 + data.readUInt32BE(1)) {
      const end = 5 + data.readUInt32BE(1);
      yield data.toString('utf8', 5, end);
      data = data.subarray(end);
    }
  }
}

const trailers = { 'grpc-status': '0', 'grpc-message': name };

async function answer(stream: ServerHttp2Stream, path: string): Promise<void> {
  if (path === '/healthz') {
    stream.respond({ ':status': 200 }, { endStream: true });
    return;
  }
  if (path.endsWith('/Fail')) {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '9' }, { endStream: true });
    return;
  }
  const begin = () => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  };
  if (path.endsWith('/Chat')) {
    begin();
    for await (const message of messages(stream)) stream.write(framed(`${name}: ${message}`));
    stream.end();
    return;
  }
  let message = '';
  for await (const one of messages(stream)) message = one;
  if (path.endsWith('/Slow')) await sleep(Number(message));
  begin();
  if (path.endsWith('/Count')) {
    for (let n = 1; (message === '0' || n <= Number(message)) && !stream.destroyed; n += 1) {
      stream.write(framed(`${name}: ${n}`));
      await sleep(20);
    }
    stream.end();
    return;
  }
  stream.end(framed(`${name}: ${message}`));
}

const server = createServer();
server.on('stream', (stream, headers) => {
  stream.on('error', () => undefined);
  answer(stream, String(headers[':path'])).catch(() => stream.destroy());
});
server.listen(Number(port), '127.0.0.1', () => process.stdout.write('listening\n'));
