import { readFile } from 'node:fs/promises';
import https from 'node:https';
import type { RequestListener, ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import type { SecureVersion } from 'node:tls';
import { expect } from 'chai';
import { authenticationGate } from '../../../../../automation/gates/web/authentication.ts';
import { headersGate } from '../../../../../automation/gates/web/headers.ts';
import { runGate } from '../../../../../automation/gates/run.ts';
import { tlsGate } from '../../../../../automation/gates/web/tls.ts';
import { certificate, closeAll, scratchDirectory, serve, serveHttp, verdictOf } from '../gate-harness.ts';

describe('the gates of the web', () => {
  const directory = scratchDirectory();
  const open: Server[] = [];
  afterEach(() => closeAll(open));
  const run = (gate: Parameters<typeof runGate>[0]) => runGate(gate, { releaseDirectory: directory });

  /** An HTTPS server; resolves to an entry point that trusts its certificate (or `trusted`). */
  async function secure(
    files: { key: string; cert: string },
    options: { minVersion?: SecureVersion; trusted?: string; host?: string } = {},
    listener: RequestListener = (_, r) => r.end(),
  ) {
    const { minVersion = 'TLSv1.2', trusted = files.cert, host = 'localhost' } = options;
    const [key, cert] = await Promise.all([readFile(files.key), readFile(files.cert)]);
    const old = minVersion === 'TLSv1.2' ? {} : { ciphers: 'DEFAULT@SECLEVEL=0' };
    const port = await serve(https.createServer({ key, cert, minVersion, ...old }, listener), open);
    return { baseUrl: `https://${host}:${port}`, caFile: trusted, routeHeaders: () => ({}) };
  }

  describe('TLS', () => {
    it('passes a valid certificate, TLS 1.2 and up, and a redirect', async () => {
      const entry = await secure(await certificate(directory, 'good'));
      const httpUrl = await serveHttp(
        (_, response) => void response.writeHead(301, { location: entry.baseUrl }).end(),
        open,
      );
      const result = await run(tlsGate({ entry, httpUrl }));
      expect(result.measurements.filter(({ verdict }) => verdict !== 'pass')).to.deep.equal([]);
      expect(result.measurements).to.have.length(5);
    });

    it('fails a certificate that has ended', async () => {
      const result = await run(tlsGate({ entry: await secure(await certificate(directory, 'old', { ended: true })) }));
      expect(result.measurements[0]).to.include({ verdict: 'fail', measured: 'CERT_HAS_EXPIRED' });
    });

    it('fails one that ends within two weeks', async () => {
      const result = await run(tlsGate({ entry: await secure(await certificate(directory, 'soon', { days: 10 })) }));
      expect(verdictOf(result.measurements, 'certificate ends')).to.equal('fail');
    });

    it('fails one for another host, and one of a stranger', async () => {
      const other = await certificate(directory, 'other', { host: 'elsewhere' });
      const mine = await certificate(directory, 'mine');
      expect((await run(tlsGate({ entry: await secure(other) }))).measurements[0]?.measured).to.equal(
        'ERR_TLS_CERT_ALTNAME_INVALID',
      );
      expect(
        (await run(tlsGate({ entry: await secure(mine, { trusted: other.cert }) }))).measurements[0]?.verdict,
      ).to.equal('fail');
    });

    it('fails one of a stranger also where the shell tells Node.js to trust everybody', async () => {
      const entry = await secure(await certificate(directory, 'mine-too'), {
        trusted: (await certificate(directory, 'another', { host: 'elsewhere' })).cert,
      });
      process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
      try {
        expect((await run(tlsGate({ entry }))).measurements[0]?.verdict).to.equal('fail');
      } finally {
        delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
      }
    });

    it('fails a server that still speaks TLS 1.1', async () => {
      const result = await run(
        tlsGate({ entry: await secure(await certificate(directory, 'weak'), { minVersion: 'TLSv1.1' }) }),
      );
      expect(verdictOf(result.measurements, 'TLS 1.1')).to.equal('fail');
      expect(verdictOf(result.measurements, 'TLS 1.0')).to.equal('pass');
    });

    it('fails plain HTTP without a redirect, and an entry point without TLS', async () => {
      const entry = await secure(await certificate(directory, 'plain'));
      const httpUrl = await serveHttp((_, response) => response.end('welcome'), open);
      expect(verdictOf((await run(tlsGate({ entry, httpUrl }))).measurements, 'plain HTTP')).to.equal('fail');
      expect((await run(tlsGate({ entry: { ...entry, baseUrl: httpUrl } }))).verdict).to.equal('fail');
    });

    it('is an error when nobody answers', async () => {
      const entry = await secure(await certificate(directory, 'gone'));
      await closeAll(open);
      expect((await run(tlsGate({ entry }))).verdict).to.equal('error');
    });
  });

  describe('headers', () => {
    const protect = (response: ServerResponse) =>
      response.setHeaders(
        new Headers({
          'content-type': 'text/html',
          'strict-transport-security': 'max-age=31536000',
          'x-content-type-options': 'nosniff',
          'content-security-policy': "default-src 'self'; frame-ancestors 'none'",
          'referrer-policy': 'no-referrer',
        }),
      );

    it('pass over TLS, and a missing one on one page fails', async () => {
      const entry = await secure(await certificate(directory, 'headers'), {}, (request, response) => {
        protect(response);
        if (request.url === '/bare') response.removeHeader('x-content-type-options');
        response.end('<html></html>');
      });
      expect((await run(headersGate({ entry, paths: ['/'], headers: {} }))).verdict).to.equal('pass');
      const result = await run(headersGate({ entry, paths: ['/', '/bare'], headers: {} }));
      expect(result.measurements.map(({ verdict }) => verdict)).to.deep.equal(['pass', 'fail']);
      expect(result.measurements[1]?.note).to.contain('nosniff');
    });
  });

  describe('authentication', () => {
    const settings = {
      protectedPaths: ['/me'],
      loginPath: '/login',
      loginBody: { email: 'a@b.example', password: 'wrong' },
      maxAttempts: 4,
    };

    /** An application with a login; `limit`: wrong logins before 429. */
    function application(limit: number, options: { open?: boolean; telling?: boolean } = {}): RequestListener {
      let wrong = 0;
      return (request, response) => {
        if (request.url !== '/login')
          return void response.writeHead(options.open && request.headers.cookie ? 200 : 401).end();
        let body = '';
        request.on('data', (chunk: Buffer) => (body += chunk.toString()));
        request.on('end', () => {
          if (body.includes('nobody-')) return response.writeHead(options.telling ? 422 : 401).end('wrong');
          return response.writeHead(wrong++ >= limit ? 429 : 401).end('wrong');
        });
      };
    }
    const judged = async (listener: RequestListener) => {
      const entry = { baseUrl: await serveHttp(listener, open), routeHeaders: () => ({}) };
      return run(authenticationGate({ entry, settings, headers: {} }));
    };

    it('passes a closed door with a limit', async () =>
      expect((await judged(application(4))).verdict).to.equal('pass'));
    it('fails a login that is never limited', async () => {
      expect(verdictOf((await judged(application(Infinity))).measurements, 'limit')).to.equal('fail');
    });
    it('fails a door that believes a forged cookie', async () => {
      expect(verdictOf((await judged(application(4, { open: true }))).measurements, '/me')).to.equal('fail');
    });
    it('fails a login that tells which accounts exist', async () => {
      expect(verdictOf((await judged(application(4, { telling: true }))).measurements, 'unknown account')).to.equal(
        'fail',
      );
    });
  });
});
