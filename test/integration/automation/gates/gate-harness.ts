import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http, { type RequestListener } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Measurement, Verdict } from '../../../../automation/journal/verdict.ts';

/** A temporary directory that is gone after the suite. */
export function scratchDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'greenlight-gates-'));
  after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Starts a server on loopback that ends with the current test; resolves to its port. */
export async function serve(server: Server & { closeAllConnections?: () => void }, open: Server[]): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(server);
  return (server.address() as AddressInfo).port;
}

/** A plain HTTP server on loopback; resolves to its base URL. */
export async function serveHttp(listener: RequestListener, open: Server[]): Promise<string> {
  return `http://127.0.0.1:${await serve(http.createServer(listener), open)}`;
}

/** Ends every server of `open`. */
export async function closeAll(open: (Server & { closeAllConnections?: () => void })[]): Promise<void> {
  for (const server of open.splice(0)) {
    server.closeAllConnections?.();
    server.close();
    await once(server, 'close');
  }
}

/** A self-signed certificate for localhost, valid for `days` from now (negative: it has ended); PEM files. */
export async function certificate(
  directory: string,
  name: string,
  options: { host?: string; ended?: boolean; days?: number } = {},
) {
  const { host = 'localhost', ended = false, days = 30 } = options;
  const [key, cert] = [join(directory, `${name}.key`), join(directory, `${name}.crt`)];
  const run = promisify(execFile);
  await run('openssl', [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-keyout',
    key,
    '-out',
    cert,
    '-subj',
    `/CN=${host}`,
    '-addext',
    `subjectAltName=DNS:${host}`,
    '-days',
    String(days),
  ]);
  if (ended) {
    // `req` knows no end date in the past here, `ca` does: it signs the same key again, for last year.
    const request = join(directory, `${name}.csr`);
    const config = join(directory, `${name}.cnf`);
    const { writeFile } = await import('node:fs/promises');
    await writeFile(join(directory, `${name}.index`), '');
    await writeFile(
      config,
      `[ca]\ndefault_ca=d\n[d]\ndatabase=${directory}/${name}.index\nnew_certs_dir=${directory}\nrand_serial=yes\ndefault_md=sha256\npolicy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n[e]\nsubjectAltName=DNS:${host}\nbasicConstraints=CA:TRUE\n`,
    );
    await run('openssl', ['req', '-new', '-key', key, '-subj', `/CN=${host}`, '-out', request]);
    await run('openssl', [
      'ca',
      '-batch',
      '-selfsign',
      '-config',
      config,
      '-keyfile',
      key,
      '-in',
      request,
      '-out',
      cert,
      '-notext',
      '-startdate',
      '20200101000000Z',
      '-enddate',
      '20210101000000Z',
    ]);
  }
  return { key, cert };
}

/** The verdict of the one measurement whose name contains `part`. */
export function verdictOf(measurements: Measurement[], part: string): Verdict | undefined {
  return measurements.find(({ name }) => name.includes(part))?.verdict;
}
