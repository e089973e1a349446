import { createServer } from 'node:http';
import pg from 'pg';
import { acceptSocket } from '../../../../../lib/web-socket.ts';

/**
 * One instance of an application that takes messages by WebSocket: `node socket-app.ts <port>`. It answers each by `saved <key>` once the database of its
 * colour (DATABASE_URL) has it, and by `not saved <key>` where that took none. A message may come twice. `/events` is an event stream.
 */
const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 10 });
pool.on('error', () => undefined);

const server = createServer((request, response) => {
  if (request.url !== '/api/events') return response.end();
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  return response.write('data: hello\n\n');
});
server.on('upgrade', (request, connection) => {
  acceptSocket(request, connection, {
    message(key, socket) {
      pool.query('INSERT INTO messages (key) VALUES ($1) ON CONFLICT DO NOTHING', [key]).then(
        () => socket.send(`saved ${key}`),
        () => socket.send(`not saved ${key}`),
      );
    },
  });
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => process.stdout.write('listening\n'));
