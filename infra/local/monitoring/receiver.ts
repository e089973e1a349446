import { createServer, type IncomingMessage } from 'node:http';
import { parseArgs } from 'node:util';
import { inOrder } from '../../lib/in-order.ts';
import { ownReceiver } from './config.ts';
import { appendDeliveries, parseNotification } from './deliveries.ts';
import { accepts, readTrafficMap, renderExposition } from './exposition.ts';

/**
 * Program: the environment's own alert receiver and exporter. `POST /alerts` acknowledges notifications of Alertmanager
 * once they are on disk. `GET /metrics` reports which colour is live and whether the databases accept connections. `GET
 * /healthz` reports that the program runs.
 */

const maxBodyBytes = 1024 * 1024;

const text = { type: 'string' } as const;
const { values } = parseArgs({
  options: { port: text, log: text, 'traffic-map': text, 'blue-database': text, 'green-database': text },
});
const option = (name: keyof typeof values): string => {
  const value = values[name];
  if (value === undefined) throw new Error(`--${name} is missing`);
  return value;
};
const log = option('log');
const trafficFile = option('traffic-map');
const databases = { blue: Number(option('blue-database')), green: Number(option('green-database')) };
const serialized = inOrder();

interface Reply {
  status: number;
  body?: string;
}

async function answer(request: IncomingMessage): Promise<Reply> {
  switch (`${request.method} ${request.url?.split('?')[0]}`) {
    case 'GET /healthz':
      return { status: 200 };
    case 'GET /metrics': {
      const [traffic, blue, green] = await Promise.all([
        readTrafficMap(trafficFile),
        accepts(databases.blue),
        accepts(databases.green),
      ]);
      return { status: 200, body: renderExposition(traffic, { blue, green }) };
    }
    case 'POST /alerts': {
      const body = await read(request);
      if (body === undefined) return { status: 413 };
      let deliveries;
      try {
        deliveries = parseNotification(body, ownReceiver, Date.now());
      } catch (error) {
        return { status: 400, body: `${(error as Error).message}\n` };
      }
      await serialized(() => appendDeliveries(log, deliveries));
      return { status: 200 };
    }
    default:
      return { status: 404 };
  }
}

async function read(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > maxBodyBytes) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

const server = createServer((request, response) => {
  answer(request)
    // Alertmanager retries, because the notification is not acknowledged.
    .catch((error: Error): Reply => ({ status: 500, body: `${error.message}\n` }))
    .then(({ status, body }) => response.writeHead(status, { 'content-type': 'text/plain; version=0.0.4' }).end(body))
    .catch(() => response.destroy());
});
server.listen(Number(option('port')), '127.0.0.1');
process.once('SIGTERM', () => {
  server.close();
  server.closeIdleConnections();
});
