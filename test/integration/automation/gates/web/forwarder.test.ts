import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import https from 'node:https';
import http from 'node:http';
import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { expect } from 'chai';
import { openForwarder, type Forwarder } from '../../../../../automation/gates/web/forwarder.ts';
import { certificate, closeAll, scratchDirectory, serve } from '../gate-harness.ts';

describe('the way of a scanner and of tests to the application', () => {
  const directory = scratchDirectory();
  const open: Server[] = [];
  let forwarder: Forwarder | undefined;
  afterEach(async () => {
    await forwarder?.close();
    await closeAll(open);
  });

  /** Status of a request whose path goes out as it is, as scanners send it. */
  const rawStatus = (origin: string, path: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      http.get(origin, { path }, (answer) => resolve(answer.resume().statusCode)).on('error', reject);
    });

  async function start(
    listener: http.RequestListener,
    { forClients = false, onUpgrade = undefined as ((socket: Duplex, request: http.IncomingMessage) => void) | undefined } = {},
  ): Promise<Forwarder> {
    const { key, cert } = await certificate(directory, 'entry');
    const server = https.createServer({ key: await readFile(key), cert: await readFile(cert) }, listener);
    if (onUpgrade !== undefined) server.on('upgrade', (request, socket) => onUpgrade(socket, request));
    const baseUrl = `https://localhost:${await serve(server, open)}`;
    forwarder = await openForwarder({ baseUrl, caFile: cert }, { 'x-route': 'green' }, { forClients });
    return forwarder;
  }

  it('gives tests cookies that a client over http keeps, and names the entry point as the origin', async () => {
    let sent: http.IncomingHttpHeaders = {};
    const { origin } = await start(
      (request, response) => {
        sent = request.headers;
        response.setHeader('set-cookie', [
          'session=a; Path=/; Secure; HttpOnly; SameSite=None; Domain=localhost',
          'secure=Secure; Max-Age=3; SameSite=Lax',
        ]);
        response.end();
      },
      { forClients: true },
    );
    const answer = await fetch(`${origin}/login`, { method: 'POST', headers: { origin, referer: `${origin}/form` } });
    expect(answer.headers.getSetCookie()).to.deep.equal([
      'session=a; Path=/; HttpOnly',
      'secure=Secure; Max-Age=3; SameSite=Lax',
    ]);
    expect(sent.origin).to.match(/^https:\/\/localhost:\d+$/);
    expect(sent.referer).to.equal(`${sent.origin}/form`);
  });

  it('shows a scanner cookies as they are', async () => {
    const { origin } = await start((_, response) => response.setHeader('set-cookie', 'session=a; Secure').end());
    expect((await fetch(origin)).headers.getSetCookie()).to.deep.equal(['session=a; Secure']);
  });

  it('lets a WebSocket through, with the headers', async () => {
    let route: unknown;
    const { origin } = await start((_, response) => response.end(), {
      onUpgrade(socket, request) {
        route = request.headers['x-route'];
        const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
        const accept = createHash('sha1').update(key).digest('base64');
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
        );
        // A text frame, and the end.
        socket.write(Buffer.from([0x81, 2, 0x68, 0x69]));
        socket.once('data', () => socket.destroy());
      },
    });
    const socket = new WebSocket(origin.replace('http', 'ws'));
    const text = await new Promise((resolve, reject) => {
      socket.onmessage = ({ data }) => resolve(data);
      socket.onerror = () => reject(new Error('no WebSocket'));
    });
    expect([text, route]).to.deep.equal(['hi', 'green']);
    socket.close();
  });

  it('[K2] reaches the application directly, whatever proxy the shell names', async () => {
    const before = { ...process.env };
    Object.assign(process.env, { HTTP_PROXY: 'http://127.0.0.1:9', HTTPS_PROXY: 'http://127.0.0.1:9' });
    try {
      const { origin } = await start((_, response) => response.end('here'));
      expect(await (await fetch(origin)).text()).to.equal('here');
    } finally {
      process.env = before;
    }
  });

  it('adds the headers, keeps the host, and brings redirects back to itself', async () => {
    const seen: (string | undefined)[] = [];
    const { origin } = await start((request, response) => {
      seen.push(request.headers['x-route']?.toString(), request.headers.host?.split(':')[0]);
      response.writeHead(302, { location: `https://${request.headers.host}/next` }).end();
    });
    const answer = await fetch(origin, { redirect: 'manual' });
    expect(seen).to.deep.equal(['green', 'localhost']);
    expect(answer.headers.get('location')).to.equal(`${origin}/next`);
  });

  it('counts what arrived, and takes only good answers for pages', async () => {
    const way = await start((request, response) => void response.writeHead(request.url === '/no' ? 404 : 200).end());
    for (const path of ['/a?x=1', '/a?x=2', '/no']) await fetch(way.origin + path);
    expect(way.seen()).to.deep.equal({ requests: 3, unanswered: 0, statuses: { 200: 2, 404: 1 }, paths: ['/a'] });
  });

  it('counts requests that the application does not answer', async () => {
    const way = await start((request) => request.destroy());
    expect((await fetch(way.origin)).status).to.equal(502);
    expect(way.seen()).to.include({ requests: 1, unanswered: 1 });
  });

  it('passes on what no browser would send', async () => {
    const { origin } = await start((_, response) => response.end());
    expect(await rawStatus(origin, '/..%2f..%2fetc/passwd%00?<script>"')).to.equal(200);
  });
});
