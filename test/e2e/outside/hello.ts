/** A small application as somebody else may have it. It says `text`, and writes a row for every POST. */
export const hello = (text: string, environments = '{}'): Record<string, string> => ({
  'server.mjs': `import { createServer } from 'node:http';
import pg from 'pg';
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
createServer(async (request, response) => {
  if (request.method === 'POST') await pool.query('insert into visits (key) values ($1)', [request.url.slice(1)]);
  response.writeHead(200, ${JSON.stringify(protections)}).end(${JSON.stringify(text)});
}).listen(process.env.PORT, process.env.HOST);
process.on('SIGTERM', () => process.exit());
`,
  'migrations/001_visits.sql': 'create table visits (key text primary key);\n',
  'tests.mjs': `import { strictEqual } from 'node:assert';
import { test } from 'node:test';
test('it answers', async () => {
  if (process.env.BASE_URL === undefined) return;
  strictEqual((await fetch(process.env.BASE_URL, { headers: JSON.parse(process.env.ROUTE_HEADERS) })).status, 200);
});
`,
  'journey.js': `import { journeyOptions, nextVisit, send, startTogether, summary } from './node_modules/greenlight/dist/loadtests/lib/greenlight.ts';
const endpoints = ['GET /', 'POST /'];
export const options = journeyOptions({ requests: 2, endpoints });
export const setup = () => startTogether();
export default () => {
  if (nextVisit() === undefined) return;
  const key = crypto.randomUUID();
  send({ method: 'GET', path: '/', name: 'GET /' });
  send({ method: 'POST', path: '/' + key, name: 'POST /', key });
};
export const handleSummary = (data) => summary(data, endpoints);
`,
  'greenlight.config.ts': `import { defineRelease } from 'greenlight';

const tests = { command: ['node', '--test', '--test-reporter=junit', '--test-reporter-destination={results}', 'tests.mjs'] };

export default defineRelease({
  application: {
    name: 'hello',
    version: '1.0.0',
    build: { command: ['sh', 'build.sh'] },
    services: [{ name: 'web', start: ['node', 'server.cjs'], routes: ['/'], database: true }],
    migrations: { directory: 'migrations' },
  },
  environments: ${environments},
  tests: { unit: tests, integration: tests, acceptance: tests, smoke: tests },
  load: { script: 'journey.js', requestsPerSecond: 20, durationSeconds: 5, growth: 1, thresholds: { p95Ms: 1000 } },
  synthetic: { script: 'journey.js', requestsPerSecond: 20 },
  security: { maxSeconds: 40 },
  data: { ledger: { sql: 'select key, count(*)::int as copies from visits where key = any($1) group by key' } },
  bake: { seconds: 5 },
});
`,
  'build.sh': `cp -r tests.mjs migrations "$GREENLIGHT_OUT"
node_modules/greenlight/node_modules/.bin/esbuild server.mjs --bundle --platform=node --outfile="$GREENLIGHT_OUT/server.cjs"
`,
  // As npm init writes it.
  'package.json': '{ "name": "hello", "version": "1.0.0", "type": "commonjs" }\n',
});

const protections = {
  'content-type': 'text/plain',
  'strict-transport-security': 'max-age=31536000',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
};
