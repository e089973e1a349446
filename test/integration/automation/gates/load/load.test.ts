import { mkdir, writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { capacityGate } from '../../../../../automation/gates/load/capacity.ts';
import { journeyOfPaths } from '../../../../../automation/gates/load/k6-command.ts';
import { loadGate } from '../../../../../automation/gates/load/load.ts';
import { runGate } from '../../../../../automation/gates/run.ts';
import { closeAll, scratchDirectory, serveHttp, verdictOf } from '../gate-harness.ts';

const fixture = (name: string): string => join(import.meta.dirname, 'fixtures', name);
const script = fixture('load.ts');

/** Sets variables of this shell for the time of one call. */
async function withShell<T>(variables: Record<string, string>, run: () => Promise<T>): Promise<T> {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  try {
    return await run();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

describe('the load gate with k6', () => {
  const directory = scratchDirectory();
  const open: Server[] = [];
  afterEach(() => closeAll(open));

  async function load(
    listener: RequestListener,
    change: { program?: string; signal?: AbortSignal; rate?: number; script?: string; paths?: string[] } = {},
  ) {
    const baseUrl = await serveHttp(listener, open);
    let cpu = 0;
    const gate = loadGate({
      entry: { baseUrl, routeHeaders: () => ({}) },
      ...(change.paths === undefined ? { script: change.script ?? script } : journeyOfPaths(change.paths)),
      requestsPerSecond: change.rate ?? 20,
      durationSeconds: 2,
      thresholds: { p95Ms: 150, errorRate: 0.01 },
      headers: { 'x-greenlight-secret': 'integration-secret' },
      metrics: { cpuSeconds: () => Promise.resolve({ api: cpu++, database: 0 }) },
      ...(change.program === undefined ? {} : { program: change.program }),
    });
    return runGate(gate, {
      releaseDirectory: directory,
      ...(change.signal === undefined ? {} : { signal: change.signal }),
    });
  }

  it('passes a quick application, sends the headers, and names the bottleneck', async () => {
    const secrets = new Set<string | string[] | undefined>();
    const result = await load((request, response) => {
      secrets.add(request.headers['x-greenlight-secret']);
      response.end('ok');
    });
    expect(result.measurements.filter(({ verdict }) => verdict !== 'pass')).to.deep.equal([]);
    expect([...secrets]).to.deep.equal(['integration-secret']);
    expect(result.measurements.at(-1)?.measured).to.contain('api: 100 %');
    expect(result.evidence.map((file) => file.split('/').at(-1))).to.include.members(['summary.json', 'cpu.json']);
  });

  it('fails a slow one', async () => {
    const result = await load((_, response) => void setTimeout(() => response.end('late'), 180));
    expect(verdictOf(result.measurements, 'p95')).to.equal('fail');
  });

  it('fails one so slow that iterations are dropped, and says how many', async () => {
    const result = await load((_, response) => void setTimeout(() => response.end('late'), 700));
    expect(result.verdict).to.equal('fail');
    expect(result.measurements[0]?.measured).to.match(/[1-9]\d* iterations dropped/);
  });

  it('fails one with errors', async () => {
    let count = 0;
    const result = await load((_, response) => void response.writeHead(count++ % 4 === 0 ? 500 : 200).end());
    expect(verdictOf(result.measurements, 'error rate')).to.equal('fail');
  });

  it('is an error when the script sends nothing, though k6 ends well', async () => {
    const result = await load((_, response) => response.end(), { script: fixture('stall.ts') });
    expect(result.verdict).to.equal('error');
  });

  const seconds = (result: { measurements: { name: string; measured: string }[] }) =>
    result.measurements.find(({ name }) => name === 'length of the load')?.measured;

  it("[K1] runs what was asked for, whatever the caller's shell says to k6", async () => {
    let requests = 0;
    const shell = { K6_VUS: '1', K6_DURATION: '1s', K6_NO_SETUP: 'true', RATE: '1' };
    const result = await withShell(shell, () => load((_, response) => void (requests++, response.end())));
    expect(result.verdict).to.equal('pass');
    expect(requests).to.be.within(38, 42);
  });

  it("runs what was asked for, whatever k6's own file of settings says", async () => {
    const home = join(directory, 'home');
    for (const place of ['loadimpact/k6', 'k6', 'Library/Application Support/k6']) {
      await mkdir(join(home, place), { recursive: true });
      await writeFile(join(home, place, 'config.json'), '{"rps":2}');
    }
    let requests = 0;
    const shell = { HOME: home, XDG_CONFIG_HOME: home };
    const result = await withShell(shell, () => load((_, response) => void (requests++, response.end())));
    expect(result.verdict).to.equal('pass');
    expect(requests).to.be.within(38, 42);
  });

  it('a script that brings its own load is inconclusive: it was far shorter than asked for', async () => {
    const result = await load((_, response) => response.end(), { script: fixture('own-options.ts') });
    expect(result.verdict).to.equal('inconclusive');
    expect(seconds(result)).to.match(/^1(\.\d)? s$/);
  });

  it('[K2] reaches the application directly, whatever proxy the shell names', async () => {
    const shell = { HTTP_PROXY: 'http://127.0.0.1:9', HTTPS_PROXY: 'http://127.0.0.1:9', NO_PROXY: 'elsewhere' };
    expect((await withShell(shell, () => load((_, response) => response.end()))).verdict).to.equal('pass');
  });

  it('asks paths in turn by GET where the application has no script, and names those that do not answer', async () => {
    const asked: Record<string, number> = {};
    const result = await load(
      (request, response) => {
        const path = `${request.method} ${request.url}`;
        asked[path] = (asked[path] ?? 0) + 1;
        response.writeHead(request.url === '/gone' ? 404 : request.url === '/a,b?c=1:2' ? 302 : 200).end();
      },
      { paths: ['/', '/gone', '/a,b?c=1:2'] },
    );
    expect(result.measurements.filter(({ verdict }) => verdict !== 'pass')).to.deep.equal([]);
    expect(result.measured).to.contain('as the definition has no script; left out: /gone (404)');
    expect(asked['GET /gone']).to.equal(1);
    expect(Object.keys(asked).sort()).to.deep.equal(['GET /', 'GET /a,b?c=1:2', 'GET /gone']);
    // One more each: the first ask.
    expect(asked['GET /']).to.be.within(20, 22);
    expect(Math.abs((asked['GET /'] ?? 0) - (asked['GET /a,b?c=1:2'] ?? 0))).to.be.lessThan(2);
  });

  it('is inconclusive where no path answers', async () => {
    const result = await load((_, response) => void response.writeHead(503).end(), { paths: ['/'] });
    expect(result.verdict).to.equal('inconclusive');
    expect(result.measured).to.equal('paths asked: 0 of 1; left out: / (503)');
  });

  it('is an error when k6 is killed', async () => {
    const program = join(directory, 'killed-k6');
    await writeFile(program, '#!/bin/sh\nkill -9 $$\n', { mode: 0o755 });
    const result = await load((_, response) => response.end(), { program });
    expect(result.verdict).to.equal('error');
    expect(result.measurements[0]?.note).to.contain('SIGKILL');
  });

  it('is an error when k6 ends well without a summary', async () => {
    const program = join(directory, 'silent-k6');
    await writeFile(program, '#!/bin/sh\nexit 0\n', { mode: 0o755 });
    expect((await load((_, response) => response.end(), { program })).measurements[0]?.note).to.contain('no summary');
  });

  it('stops when it is told to', async () => {
    const result = await load((_, response) => response.end(), { signal: AbortSignal.timeout(700) });
    expect(result.measurements[0]?.note).to.contain('it was stopped');
  });

  it('finds the edge of the capacity', async () => {
    // Answers one request at a time, 30 ms each: 20 a second are easy, 40 are too much.
    let queue = Promise.resolve();
    const baseUrl = await serveHttp((_, response) => {
      queue = queue.then(() => new Promise((resolve) => setTimeout(() => resolve(void response.end()), 30)));
    }, open);
    const gate = capacityGate({
      entry: { baseUrl, routeHeaders: () => ({}) },
      script,
      requestsPerSecond: 10,
      growth: 2,
      stepSeconds: 2,
      thresholds: { p95Ms: 60, errorRate: 0 },
      headers: {},
    });
    const slowly = await runGate(gate, { releaseDirectory: directory });

    expect(slowly.measurements[0]?.measured).to.match(/edge below (30|40) requests/);
    expect(slowly.verdict).to.equal('pass');
    await closeAll(open);
    expect((await runGate(gate, { releaseDirectory: directory })).verdict).to.equal('fail');
  });
});
