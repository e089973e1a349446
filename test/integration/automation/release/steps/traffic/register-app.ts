import { createServer } from 'node:http';
import pg from 'pg';

/**
 * One instance of an application that keeps a number per client: `node register-app.ts <port>`. `POST /api/<client>/<n>` writes,
 * `GET /api/<client>` reads. The database of its colour is in DATABASE_URL.
 */
const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 10 });
pool.on('error', () => undefined);

createServer((request, response) => {
  const [, , client, n] = (request.url ?? '').split('/');
  const answer = async (): Promise<unknown> => {
    if (request.url === '/healthz') return {};
    if (request.method === 'POST')
      await pool.query(
        'INSERT INTO registers (client, n) VALUES ($1, $2) ON CONFLICT (client) DO UPDATE SET n = EXCLUDED.n',
        [client, n],
      );
    const found = await pool.query<{ n: number }>('SELECT n FROM registers WHERE client = $1', [client]);
    return { n: found.rows[0]?.n ?? 0 };
  };
  answer().then(
    (body) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
    () => response.writeHead(500).end(),
  );
}).listen(Number(process.argv[2]), '127.0.0.1', () => process.stdout.write('listening\n'));
