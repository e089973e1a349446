import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { EntryPoint } from '../../../infra/platform/router.ts';

/**
 * A way for a scanner to the entry point, on loopback. It adds the header route, so that its secret is in no argument
 * and in no report, and it counts what arrives: a scanner's own word that it has looked is no proof.
 */
export interface ScanForwarder {
  origin: string;
  /** What has passed so far. */
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

/** Milliseconds without a byte after which the application counts as not answering. */
const patienceMs = 15_000;

export async function openScanForwarder(
  entry: Pick<EntryPoint, 'baseUrl' | 'caFile'>,
  headers: Record<string, string>,
): Promise<ScanForwarder> {
  const base = new URL(entry.baseUrl);
  const secure = base.protocol === 'https:';
  const ca = entry.caFile === undefined ? undefined : await readFile(entry.caFile);
  const agent = secure ? new https.Agent({ keepAlive: true, ca }) : new http.Agent({ keepAlive: true });
  const paths = new Set<string>();
  const traffic = { requests: 0, unanswered: 0, statuses: {} as Record<string, number> };
  let origin = '';

  const server = http.createServer((incoming, outgoing) => {
    traffic.requests += 1;
    // Scanners send what no browser would: bytes that must not stand in a request line are encoded.
    const path = (incoming.url ?? '/').replace(/[^\x21-\x7e]/g, (c) => encodeURIComponent(c.toWellFormed()));
    const forwarded = (secure ? https : http).request(
      {
        agent,
        host: base.hostname.replace(/^\[|\]$/g, ''),
        port: base.port,
        path,
        method: incoming.method,
        timeout: patienceMs,
        headers: { ...incoming.headers, host: base.host, ...headers },
      },
      (answer) => {
        const status = answer.statusCode ?? 0;
        traffic.statuses[status] = (traffic.statuses[status] ?? 0) + 1;
        if (status < 400) paths.add(path.split('?', 1)[0] ?? path);
        const location = answer.headers.location?.replace(base.origin, origin);
        outgoing.writeHead(status, { ...answer.headers, ...(location === undefined ? {} : { location }) });
        answer.pipe(outgoing);
      },
    );
    forwarded.on('timeout', () => forwarded.destroy(new Error('no answer')));
    forwarded.on('error', () => {
      if (outgoing.writableEnded || outgoing.destroyed) return;
      traffic.unanswered += 1;
      if (outgoing.headersSent) outgoing.destroy();
      else outgoing.writeHead(502).end();
    });
    // A scanner that hangs up does not want the answer any more.
    outgoing.on('close', () => forwarded.destroy());
    incoming.pipe(forwarded);
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
