import type { RequestListener } from 'node:http';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { runGate } from '../../../../../automation/gates/run.ts';
import { securityScanGate, type AcceptedRisk } from '../../../../../automation/gates/scan/security-scan.ts';
import { wapiti } from '../../../../../automation/gates/scan/wapiti.ts';
import { findTool } from '../../../../../infra/lib/tools.ts';
import { closeAll, scratchDirectory, serveHttp, verdictOf } from '../gate-harness.ts';

/** A page that links two others; with `holes`, one reflects what it gets, and one shows the database's complaint. */
const application =
  (holes: boolean, secrets = new Set<unknown>()): RequestListener =>
  (request, response) => {
    secrets.add(request.headers['x-greenlight-secret']);
    const url = new URL(request.url ?? '/', 'http://x');
    response.setHeader('content-type', 'text/html');
    response.setHeader(
      'content-security-policy',
      "default-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    );
    response.setHeader('x-frame-options', 'DENY');
    response.setHeader('x-content-type-options', 'nosniff');
    const [q, id] = [url.searchParams.get('q') ?? '', url.searchParams.get('id') ?? ''];
    if (url.pathname === '/') response.end('<html><a href="/echo?q=1">e</a><a href="/item?id=1">i</a></html>');
    else if (url.pathname === '/echo') response.end(`<html><body>${holes ? q : encodeURIComponent(q)}</body></html>`);
    else if (url.pathname !== '/item') response.writeHead(404).end('no');
    else if (holes && /['"]/.test(id))
      response
        .writeHead(500)
        .end('You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version');
    else response.end('<html>item</html>');
  };

describe('the security scan with Wapiti', function () {
  this.timeout(120_000);
  const directory = scratchDirectory();
  const open: Server[] = [];
  before(function () {
    if (findTool('wapiti') === undefined) this.skip();
  });
  afterEach(() => closeAll(open));

  async function scan(
    listener: RequestListener,
    change: { acceptedRisks?: AcceptedRisk[]; startPaths?: string[]; program?: string } = {},
  ) {
    const { acceptedRisks = [], startPaths = ['/'], program } = change;
    const gate = securityScanGate({
      entry: { baseUrl: await serveHttp(listener, open), routeHeaders: () => ({}) },
      settings: { scanner: 'wapiti', maxSeconds: 40, failOn: 'medium', acceptedRisks, startPaths },
      headers: { 'x-greenlight-secret': 'wapiti-test-secret' },
      ...(program === undefined ? {} : { open: () => Promise.resolve(wapiti(program)) }),
    });
    return runGate(gate, { releaseDirectory: directory });
  }

  it("[K2] reaches the application directly, whatever proxy the caller's shell names", async () => {
    const before = { ...process.env };
    Object.assign(process.env, {
      HTTP_PROXY: 'http://127.0.0.1:9',
      http_proxy: 'http://127.0.0.1:9',
      NO_PROXY: '',
      no_proxy: '',
    });
    try {
      expect((await scan(application(false))).verdict).to.equal('pass');
    } finally {
      process.env = before;
    }
  });

  it('passes an application without holes, and says what ran', async () => {
    const secrets = new Set<unknown>();
    const result = await scan(application(false, secrets), { startPaths: ['/', '/item?id=1'] });
    expect(result.measurements.filter(({ verdict }) => verdict !== 'pass')).to.deep.equal([]);
    expect(result.measured).to.match(/^Wapiti 3\.\d+\.\d+: /);
    expect([...secrets]).to.deep.equal(['wapiti-test-secret']);
  });

  it('fails an SQL injection and a reflected script; an accepted risk is shown, and no more', async () => {
    const accepted = {
      rule: 'SQL Injection',
      path: '/item',
      reason: 'planted by this test',
      acceptedBy: 'test',
      expires: '2999-01-01',
    };
    const result = await scan(application(true), { acceptedRisks: [accepted] });
    expect(result.verdict).to.equal('fail');
    expect(verdictOf(result.measurements, 'Cross Site Scripting: /echo')).to.equal('fail');
    const sql = result.measurements.find(({ name }) => name === 'SQL Injection: /item');
    expect(sql?.verdict).to.equal('pass');
    expect(sql?.note).to.contain('planted by this test');
  });

  it('is inconclusive when a start path is not there', async () => {
    const result = await scan(application(false), { startPaths: ['/', '/nowhere'] });
    expect(verdictOf(result.measurements, 'application reached')).to.equal('inconclusive');
  });

  it('is inconclusive when the application is down', async () => {
    const result = await scan((request) => request.destroy());
    expect(result.verdict).to.be.oneOf(['inconclusive', 'error']);
  });

  it('is an error when the scanner ends well without a report, and when it is killed', async () => {
    const modules = 'case "$1" in --version) echo 3.2.3; exit;; --list-modules) printf \'\\tsql\\n\'; exit;; esac\n';
    for (const [name, end, found] of [
      ['silent', 'exit 0', 'no report'],
      ['killed', 'kill -9 $$', 'SIGKILL'],
    ] as const) {
      const program = join(directory, `${name}-wapiti`);
      await writeFile(program, `#!/bin/sh\n${modules}${end}\n`, { mode: 0o755 });
      const result = await scan(application(false), { program });
      expect(result.verdict).to.equal('error');
      expect(result.measurements[0]?.note).to.contain(found);
    }
  });
});
