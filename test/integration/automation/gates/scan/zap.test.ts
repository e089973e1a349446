import type { Server } from 'node:net';
import { expect } from 'chai';
import { runGate } from '../../../../../automation/gates/run.ts';
import type { Scanner } from '../../../../../automation/gates/scan/scanner.ts';
import { securityScanGate } from '../../../../../automation/gates/scan/security-scan.ts';
import { zap, zapAt } from '../../../../../automation/gates/scan/zap.ts';
import { closeAll, scratchDirectory, serveHttp, verdictOf } from '../gate-harness.ts';
import { assembleZapCore } from './zap-core.ts';
import { zapDouble, type ZapState } from './zap-double.ts';

const directory = scratchDirectory();
const open: Server[] = [];

function scan(baseUrl: string, scanner: Scanner, maxSeconds = 20) {
  const gate = securityScanGate({
    entry: { baseUrl, routeHeaders: () => ({}) },
    settings: { scanner: 'zap', maxSeconds, failOn: 'medium', acceptedRisks: [], startPaths: ['/'] },
    open: () => Promise.resolve(scanner),
  });
  return runGate(gate, { releaseDirectory: directory });
}

/** What every ZAP daemon without scan rules must lead to. */
function withoutRules(start: () => Promise<Scanner>): void {
  it('tells its version and that it has no rule', async () => {
    const scanner = await start();
    try {
      expect(await scanner.version()).to.equal('2.17.0');
      expect(await scanner.rules()).to.deep.equal([]);
    } finally {
      await scanner.close();
    }
  });

  it('does not pass the gate', async () => {
    const baseUrl = await serveHttp((_, response) => response.end('<html></html>'), open);
    const result = await scan(baseUrl, await start());
    expect(result.verdict).to.equal('error');
    expect(result.measurements[0]?.note).to.contain('no scan rules');
  });
}

describe('the security scan with ZAP', function () {
  this.timeout(300_000);
  afterEach(() => closeAll(open));

  describe('a stand-in daemon', () => {
    const state = (change: Partial<ZapState> = {}): ZapState => ({
      apiKey: 'stand-in-key',
      active: [],
      passive: undefined,
      ends: true,
      alerts: [],
      calls: [],
      visits: async (url) => void (await fetch(url)),
      ...change,
    });
    async function start(known: ZapState, apiKey = known.apiKey): Promise<Scanner> {
      const { hostname: host, port } = new URL(await serveHttp(zapDouble(known), open));
      return zapAt({ host, port: Number(port), apiKey, stop: async (shutdown) => void (await shutdown()) });
    }
    const application = () => serveHttp((_, response) => response.end('<html></html>'), open);
    const complete = { active: ['SQL Injection', 'Cross Site Scripting'], passive: ['Missing Headers'] };

    withoutRules(() => start(state()));

    it('with passive rules only has none', async () => {
      expect(await (await start(state({ passive: ['Missing Headers'] }))).rules()).to.deep.equal([]);
    });

    it('with rules passes a clean application, and is shut down', async () => {
      const known = state(complete);
      const result = await scan(await application(), await start(known));
      expect(result.measurements.filter(({ verdict }) => verdict !== 'pass')).to.deep.equal([]);
      expect(known.calls.at(-1)).to.equal('core/action/shutdown');
    });

    it('with an alert fails', async () => {
      const alert = {
        alert: 'SQL Injection',
        risk: 'High',
        url: 'http://127.0.0.1:1/item?id=1',
        param: 'id',
        description: 'In id.',
      };
      const result = await scan(await application(), await start(state({ ...complete, alerts: [alert] })));
      expect(verdictOf(result.measurements, 'SQL Injection: /item')).to.equal('fail');
    });

    it('that never asks the application anything is inconclusive', async () => {
      const result = await scan(
        await application(),
        await start(state({ ...complete, visits: () => Promise.resolve() })),
      );
      expect(verdictOf(result.measurements, 'application reached')).to.equal('inconclusive');
    });

    it('whose scan does not end in time is stopped, and inconclusive', async () => {
      const known = state({ ...complete, ends: false });
      const result = await scan(await application(), await start(known), 2);
      expect(verdictOf(result.measurements, 'rules that ended in time')).to.equal('inconclusive');
      expect(known.calls).to.include('ascan/action/stop');
    });

    it('that refuses the API key is an error', async () => {
      const result = await scan(await application(), await start(state(complete), 'another-key'));
      expect(result.verdict).to.equal('error');
    });
  });

  describe('a real daemon, as Maven Central has it', () => {
    let launcher: string;
    before(async function () {
      const assembled = await assembleZapCore(directory);
      if (assembled === undefined) return this.skip();
      launcher = assembled;
    });

    withoutRules(() => zap(launcher));

    it('is gone after close', async () => {
      const scanner = await zap(launcher);
      await scanner.close();
      const error: unknown = await scanner.version().catch((reason: unknown) => reason);
      expect(error).to.be.instanceOf(Error);
    });
  });

  it('is an error when ZAP does not start', async () => {
    const error: unknown = await zap('/bin/false').catch((reason: unknown) => reason);
    expect(String(error)).to.contain('it ended during its start');
  });
});
