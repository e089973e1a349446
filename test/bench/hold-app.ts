import { createServer } from 'node:http';
import pg from 'pg';

/**
 * One instance of an application that writes once per request: `node hold-app.ts <port>`, with the database in DATABASE_URL.
 * `POST /api/<writer>/<n>` keeps books: a row, and a count per writer. `GET /warm` opens all sessions, as an instance has
 * them that has answered reads of the canary.
 */
const sessions = 8;
const pool = new pg.Pool({
  connectionString: process.env['DATABASE_URL'],
  max: sessions,
  idleTimeoutMillis: 0,
});
pool.on('error', () => undefined);

const write =
  'WITH counted AS (UPDATE counters SET n = n + 1 WHERE writer = $1) INSERT INTO writes (writer, n) VALUES ($1, $2)';

async function answer(method: string, [part, writer, n]: string[]): Promise<number> {
  if (part === 'warm') await Promise.all(Array.from({ length: sessions }, () => pool.query('SELECT pg_sleep(0.05)')));
  else if (part === 'api' && method === 'POST') await pool.query(write, [writer, n]);
  else if (part !== 'healthz') return 404;
  return 200;
}

createServer((request, response) => {
  answer(request.method ?? '', (request.url ?? '').split('/').slice(1)).then(
    (status) => response.writeHead(status).end(),
    () => response.writeHead(500).end(),
  );
}).listen(Number(process.argv[2]), '127.0.0.1', () => process.stdout.write('listening\n'));
