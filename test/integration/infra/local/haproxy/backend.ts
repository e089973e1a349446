import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * One instance of a service, for tests: `node backend.ts <port> <name>`. Answers `/healthz`, and everything else with what it
 * got, as JSON, after `x-test-wait` milliseconds and with status `x-test-status`. `POST .../count` counts.
 */
const [port, name] = process.argv.slice(2);
let writes = 0;

const server = createServer((request, response) => {
  const answer = async () => {
    for await (const chunk of request) void chunk;
    if (request.url === '/healthz') return { status: 200, body: {} };
    const wait = Number(request.headers['x-test-wait'] ?? 0);
    if (wait > 0) await sleep(wait);
    if (request.method !== 'GET') writes += 1;
    const { method, url, headers } = request;
    return { status: Number(headers['x-test-status'] ?? 200), body: { name, method, url, headers, writes } };
  };
  answer()
    .then(({ status, body }) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
    )
    .catch(() => response.destroy());
});
server.listen(Number(port), '127.0.0.1', () => process.stdout.write('listening\n'));
