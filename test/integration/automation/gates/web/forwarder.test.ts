import { readFile } from 'node:fs/promises';
import https from 'node:https';
import http from 'node:http';
import type { Server } from 'node:net';
import { expect } from 'chai';
import { openForwarder, type Forwarder } from '../../../../../automation/gates/web/forwarder.ts';
import { certificate, closeAll, scratchDirectory, serve } from '../gate-harness.ts';

describe('the way of a scanner to the application', () => {
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

  async function start(listener: http.RequestListener): Promise<Forwarder> {
    const { key, cert } = await certificate(directory, 'entry');
    const server = https.createServer({ key: await readFile(key), cert: await readFile(cert) }, listener);
    const baseUrl = `https://localhost:${await serve(server, open)}`;
    forwarder = await openForwarder({ baseUrl, caFile: cert }, { 'x-route': 'green' });
    return forwarder;
  }

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
