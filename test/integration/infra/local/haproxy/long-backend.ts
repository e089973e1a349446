import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { acceptSocket } from '../../../../lib/web-socket.ts';

/**
 * One instance of a service, for tests of what lasts: `node long-backend.ts <port> <name>`. `/events` is an event stream. `/late` answers after
 * `x-test-wait` milliseconds, and `/parts` sends its second half then. Any other path answers at once. `x-test-headers`: JSON, headers of the answer; `x-test-head`: KiB of a
 * header of the answer. A WebSocket says its name, and
 * what it is told.
 */
const [port, name = ''] = process.argv.slice(2);

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  for await (const chunk of request) void chunk;
  const { pathname } = new URL(request.url ?? '', 'http://any');
  const wait = Number(request.headers['x-test-wait'] ?? 0);
  if (pathname.endsWith('/late')) await sleep(wait);
  const more = JSON.parse(String(request.headers['x-test-headers'] ?? '{}')) as Record<string, string>;
  const padding = 'x'.repeat(1024 * Number(request.headers['x-test-head'] ?? 0));
  response.writeHead(200, { 'x-name': name, ...more, ...(padding === '' ? {} : { 'x-padding': padding }) });
  if (/\/(events|parts)$/.test(pathname)) {
    response.write(`data: ${name}\n\n`);
    await sleep(wait);
    response.write('data: later\n\n');
    if (pathname.endsWith('/events')) return;
  }
  response.end(name);
}

const server = createServer({ maxHeaderSize: 128 * 1024 }, (request, response) => {
  answer(request, response).catch(() => response.destroy());
});
server.on('upgrade', (request, connection) => {
  void sleep(Number(request.headers['x-test-wait'] ?? 0)).then(() =>
    acceptSocket(request, connection, { message: (text, to) => to.send(`${name}: ${text}`) }).send(name),
  );
});
server.requestTimeout = 0;
server.listen(Number(port), '127.0.0.1', () => process.stdout.write('listening\n'));
