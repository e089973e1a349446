import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { createProxyServer } from 'httpxy';
import type { EntryPoint } from '../../../infra/platform/router.ts';

/**
 * A proxy on loopback between a scanner and the entry point. It adds the secret header of the header route, so that the
 * secret is in no argument and no report. It also counts requests, which proves that the scanner reached the
 * application.
 */
export interface ScanForwarder {
  origin: string;
  /** Traffic so far. */
  seen(): ScanTraffic;
  close(): Promise<void>;
}

export interface ScanTraffic {
  requests: number;
  /** Requests that got no answer from the application. */
  unanswered: number;
  /** Answers by status. */
  statuses: Record<string, number>;
  /** Paths that the application answered with a status below 400. */
  paths: string[];
}

/** Milliseconds without a byte after which a request counts as unanswered. */
const patienceMs = 15_000;

export async function openScanForwarder(
  entry: Pick<EntryPoint, 'baseUrl' | 'caFile'>,
  headers: Record<string, string>,
): Promise<ScanForwarder> {
  const base = new URL(entry.baseUrl);
  const ca = entry.caFile === undefined ? undefined : await readFile(entry.caFile);
  const agent = new (base.protocol === 'https:' ? https : http).Agent({ keepAlive: true, ca });
  const paths = new Set<string>();
  const traffic = { requests: 0, unanswered: 0, statuses: {} as Record<string, number> };
  let origin = '';

  const { protocol, port } = base;
  const target = { protocol, hostname: base.hostname.replace(/^\[|\]$/g, ''), port };
  const proxy = createProxyServer({
    target,
    agent,
    headers: { ...headers, host: base.host },
    proxyTimeout: patienceMs,
  });
  proxy.on('proxyRes', (answer, { url = '/' }) => {
    const status = answer.statusCode ?? 0;
    traffic.statuses[status] = (traffic.statuses[status] ?? 0) + 1;
    if (status < 400) paths.add(url.split('?', 1)[0] ?? url);
    // Replaced as text: the `location` of an answer to a scanner may not be a valid URL.
    const { location } = answer.headers;
    if (location !== undefined) answer.headers.location = location.replace(base.origin, origin);
  });
  proxy.on('error', (_error, _incoming, outgoing) => {
    if (!(outgoing instanceof http.ServerResponse) || outgoing.writableEnded || outgoing.destroyed) return;
    traffic.unanswered += 1;
    if (outgoing.headersSent) outgoing.destroy();
    else outgoing.writeHead(502).end();
  });
  const server = http.createServer((incoming, outgoing) => {
    traffic.requests += 1;
    // Scanners send characters that are not allowed in a request line; those are encoded.
    incoming.url = (incoming.url ?? '/').replace(/[^\x21-\x7e]/g, (c) => encodeURIComponent(c.toWellFormed()));
    // Rejects if the scanner closes the connection. A failure of the application is the event `error` above.
    proxy.web(incoming, outgoing).catch(() => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    seen: () => ({ ...traffic, statuses: { ...traffic.statuses }, paths: [...paths].sort() }),
    async close() {
      agent.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
