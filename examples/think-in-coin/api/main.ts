import type { IncomingMessage } from 'node:http';
import { HttpError, serve, type Handler } from '../http.ts';
import { version } from '../version.ts';
import { accountRoutes } from './accounts.ts';
import { chatRoutes } from './chat.ts';
import { databaseFailure, openPool, read } from './database.ts';
import { learningRoutes } from './learning.ts';
import { prices } from './prices.ts';

const url = process.env['DATABASE_URL'];
if (!url) {
  console.error('DATABASE_URL is missing: give the PostgreSQL connection URL of the app role.');
  process.exit(2);
}
const pool = openPool(url);

const routes: Record<string, Handler> = {
  // Only `select 1`: an instance that cannot reach its database within a second should get no requests.
  'GET /healthz': async () => {
    const late = new Promise<never>((_, reject) => {
      setTimeout(() => reject(new HttpError(503, 'The database is slow to answer.')), 1000).unref();
    });
    await Promise.race([read(() => pool.query('select 1')), late]);
    return { status: 200, body: { status: 'ok', version } };
  },
  'GET /api/version': () => ({ status: 200, body: { version } }),
  'GET /api/prices': () => prices(),
  ...accountRoutes(pool),
  ...learningRoutes(pool),
  ...chatRoutes(pool),
};

/**
 * SameSite=Lax keeps the session out of foreign pages' writes; this refuses them outright where the browser says
 * where they come from. The balancer passes Host on unchanged.
 */
function refuseForeign(request: IncomingMessage): void {
  const origin = request.headers.origin;
  const site = request.headers['sec-fetch-site'];
  const foreign =
    (site !== undefined && site !== 'same-origin' && site !== 'none') ||
    (origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== request.headers.host));
  if (foreign) throw new HttpError(403, 'This request comes from another site.');
}

const handler: Handler = (request, location) => {
  const method = request.method === 'HEAD' ? 'GET' : (request.method ?? 'GET');
  const path = /^\/api\/lessons\/[^/]+$/.test(location.pathname) ? '/api/lessons/:id' : location.pathname;
  const route = routes[`${method} ${path}`];
  if (!route) {
    const known = Object.keys(routes).some((name) => name.endsWith(` ${path}`));
    throw known ? new HttpError(405, 'That cannot be done here.') : new HttpError(404, 'There is nothing here.');
  }
  if (method === 'GET') return read(() => Promise.resolve(route(request, location)));
  refuseForeign(request);
  return route(request, location);
};

function failure(error: unknown): HttpError {
  const known = databaseFailure(error);
  const message = error instanceof Error ? error.message : String(error);
  console.error(JSON.stringify({ level: known.status === 500 ? 'error' : 'warn', message, status: known.status }));
  return known;
}

serve(handler, failure, () => pool.end());
