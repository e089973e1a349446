import { readdir, readFile, writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import https from 'node:https';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { quantileOf, type Histogram } from '../../../../../automation/gates/load/histogram.ts';
import { runK6, type K6Run } from '../../../../../automation/gates/load/k6.ts';
import { loadGate } from '../../../../../automation/gates/load/load.ts';
import { runGate } from '../../../../../automation/gates/run.ts';
import { segmentsByJobs } from '../../../../../automation/gates/load/segments-by-jobs.ts';
import { processSegments } from '../../../../../automation/gates/load/segments.ts';
import { percentile as quantile } from '../../../../../automation/canary/statistics.ts';
import { createLocalJobs } from '../../../../../infra/local/runtime/jobs.ts';
import { toolPath } from '../../../../../infra/lib/tools.ts';
import { certificate, closeAll, scratchDirectory, serve, serveHttp } from '../gate-harness.ts';

const fixture = (name: string): string => join(import.meta.dirname, 'fixtures', name);
const leadMs = 4000;

interface Summary {
  greenlight: {
    requests: number;
    failed: number;
    retries: number;
    droppedIterations: number;
    p50Ms: number;
    p95Ms: number;
    p99Ms: number;
    maxMs: number;
    lateMs: number;
    histogram: Histogram;
    endpoints: Record<string, { requests: number; failed: number }>;
  };
}

describe('load in segments with k6', function () {
  const directory = scratchDirectory();
  const open: Server[] = [];
  let runs = 0;
  let visits: string[];
  beforeEach(() => {
    visits = [];
  });
  afterEach(() => closeAll(open));

  /** Some answers are quick, some slow, so that percentiles are far apart. */
  const answer: RequestListener = (request, response) => {
    const { method = '', url = '' } = request;
    if (url !== '/setup') visits.push(`${method} ${url}`);
    const slow = Number(url.split('?')[1] ?? 0) % 10;
    setTimeout(() => response.setHeader('x-greenlight-colour', 'blue').end('ok'), slow * slow);
  };

  const prepare = async (change: Partial<K6Run> = {}): Promise<K6Run> => {
    const name = `run-${(runs += 1)}`;
    return {
      script: fixture('journey.ts'),
      entry: change.entry ?? { baseUrl: await serveHttp(answer, open) },
      requestsPerSecond: 100,
      durationSeconds: 3,
      headers: {},
      summaryFile: join(directory, `${name}.json`),
      logFile: join(directory, `${name}.log`),
      signal: AbortSignal.timeout(60_000),
      runner: processSegments({ leadMs }),
      ...change,
    };
  };
  const summaryOf = async (run: K6Run) => (JSON.parse(await readFile(run.summaryFile, 'utf8')) as Summary).greenlight;

  /** Every response time that the clients of all segments saw, ms. */
  async function timesOf(run: K6Run): Promise<number[]> {
    const prefix = run.logFile.slice(directory.length + 1, -'.log'.length);
    const logs = (await readdir(directory)).filter(
      (f) => f.endsWith('.log') && (f === `${prefix}.log` || f.startsWith(`${prefix}-`)),
    );
    const text = (await Promise.all(logs.map((file) => readFile(join(directory, file), 'utf8')))).join('\n');
    return [...text.matchAll(/took:([\d.]+);/g)].map(([, ms]) => Number(ms));
  }

  const allVisits = Array.from({ length: 150 }, (_, i) => [`GET /visit?${i}`, `POST /write?${i}`])
    .flat()
    .sort();

  /** A program that is k6, but does `instead` in segment 2 of 2. */
  async function faultyInSecond(instead: string) {
    const program = join(directory, `k6-${(runs += 1)}`);
    const text = `#!/bin/sh\ncase "$*" in *"--execution-segment 1/2:1 "*) ${instead};; esac\nexec ${toolPath('k6')} "$@"\n`;
    await writeFile(program, text, { mode: 0o755 });
    return { segments: 2, runner: processSegments({ program, leadMs }) };
  }

  const failure = async (change: Partial<K6Run>): Promise<string> => {
    const run = await prepare(change);
    return runK6(run).then(
      () => 'it passed',
      (error: Error) => error.message,
    );
  };

  it('makes the same requests in 1, 2 and 4 segments, and knows their percentiles', async () => {
    for (const segments of [1, 2, 4]) {
      visits = [];
      const run = await prepare({ segments });
      const numbers = await runK6(run);
      expect(visits.sort(), `${segments} segments`).to.deep.equal(allVisits);
      expect(numbers).to.include({ requests: 300, droppedIterations: 0, errorRate: 0, exitCode: 0 });
      expect(numbers.seconds, 'the length of the load').to.be.within(2.7, 3);
      const times = await timesOf(run);
      expect(times).to.have.length(300);
      for (const [value, p] of [
        [numbers.p95Ms, 0.95],
        [numbers.p99Ms, 0.99],
      ] as const)
        expect((value ?? 0) / quantile(times, p), `p${p} of ${segments}`).to.be.within(0.99, 1.01);
      const { endpoints, maxMs } = await summaryOf(run);
      expect(endpoints['GET /visit']).to.include({ requests: 150, failed: 0 });
      expect(maxMs).to.be.closeTo(Math.max(...times), 0.01);
    }
  });

  it("agrees with k6's own percentiles where there is one segment", async () => {
    const run = await prepare();
    const startAt = Date.now() + 2000;
    const { entry, script, summaryFile, logFile, signal } = run;
    const outcome = await processSegments().run({
      name: 'alone',
      command: {
        script,
        baseUrl: entry.baseUrl,
        caFile: undefined,
        rate: 100,
        durationSeconds: 3,
        routeHeaders: {},
        summaryFile,
        segment: { index: 0, count: 1, startAt },
      },
      logFile,
      signal,
      timeoutMs: 30_000,
    });
    expect(outcome).to.include({ end: 'ended', exitCode: 0 });
    const { histogram, p50Ms, p95Ms, p99Ms, lateMs } = await summaryOf(run);
    expect(lateMs).to.equal(0);
    for (const [value, p] of [
      [p50Ms, 0.5],
      [p95Ms, 0.95],
      [p99Ms, 0.99],
    ] as const)
      expect((quantileOf(histogram, p) ?? 0) / value, `p${p}`).to.be.within(0.99, 1.01);
  });

  it('is an error where a segment is killed, and ends the others before they begin', async () => {
    expect(await failure(await faultyInSecond('kill -9 $$'))).to.match(/segment 2 of 2.*SIGKILL/s);
    expect(visits).to.deep.equal([]);
  });

  it('is an error where a segment leaves no summary, or a damaged one', async () => {
    expect(await failure(await faultyInSecond('exit 0'))).to.match(/segment 2 of 2.*no summary/s);
    expect(await failure(await faultyInSecond('echo "{" > "$SUMMARY"; exit 0'))).to.match(
      /segment 2 of 2.*is not JSON/s,
    );
  });

  it('is an error where a segment began late', async () => {
    const message = await failure(await faultyInSecond('export SETUP=6'));
    expect(message).to.match(/segment 2 of 2.*began \d\.\d s after/s);
  });

  it('counts the worst exit code', async () => {
    const crossed = await faultyInSecond(`${toolPath('k6')} "$@"; exit 99`);
    expect(await runK6(await prepare({ ...crossed, durationSeconds: 1 }))).to.include({ exitCode: 99, requests: 100 });
  });

  it('says what to do with a script that is not built on the library', async () => {
    const message = await failure({ script: fixture('load.ts'), segments: 2, durationSeconds: 1 });
    expect(message).to.contain('loadtests/lib/greenlight.ts').and.to.contain('load.segments');
  });

  it('stops all segments when it is told to', async () => {
    expect(await failure({ segments: 2, signal: AbortSignal.timeout(1500) })).to.contain('it was stopped');
  });

  it("runs as jobs of a platform: the script travels, and the authority's file", async () => {
    const { key, cert } = await certificate(directory, 'entry');
    const port = await serve(
      https.createServer({ key: await readFile(key), cert: await readFile(cert) }, answer),
      open,
    );
    const runner = segmentsByJobs({
      jobs: createLocalJobs(),
      artefact: { digest: 'sha256:0', version: '1.0.0', location: directory },
      program: toolPath('k6'),
      leadMs,
    });
    const run = await prepare({ segments: 2, runner, entry: { baseUrl: `https://localhost:${port}`, caFile: cert } });
    expect(await runK6(run)).to.include({ requests: 300, errorRate: 0 });
    expect(visits.sort()).to.deep.equal(allVisits);
    expect(await failure({ segments: 2, runner, signal: AbortSignal.timeout(2500) })).to.contain('it was stopped');
  });

  it('is judged by the load gate as one load', async () => {
    const gate = loadGate({
      entry: { baseUrl: await serveHttp(answer, open), routeHeaders: () => ({}) },
      script: fixture('journey.ts'),
      requestsPerSecond: 50,
      durationSeconds: 2,
      thresholds: { p95Ms: 60, errorRate: 0 },
      headers: {},
      metrics: { cpuSeconds: () => Promise.resolve({ api: runs++ }) },
      segments: 2,
      runner: processSegments({ leadMs }),
    });
    const result = await runGate(gate, { releaseDirectory: directory });
    expect(result.measurements[0]).to.include({ verdict: 'pass', measured: '100 from 2 segments' });
    // Answers of 64 and 81 ms are a fifth of all.
    expect(result.measurements.find(({ name }) => name.startsWith('p95'))?.verdict).to.equal('fail');
  });

  describe('writes that have to wait', () => {
    /** Every write is answered 503 the first `times`, with these headers; then as usual. */
    async function held(times: number, headers: Record<string, string>) {
      const tries = new Map<string, number>();
      const baseUrl = await serveHttp((request, response) => {
        const { method, url = '' } = request;
        const before = tries.get(url) ?? 0;
        tries.set(url, before + 1);
        if (method === 'POST' && before < times) return void response.writeHead(503, headers).end();
        answer(request, response);
      }, open);
      const run = await prepare({ entry: { baseUrl }, requestsPerSecond: 10, durationSeconds: 1 });
      const numbers = await runK6(run);
      const log = await readFile(run.logFile, 'utf8');
      const logged = (text: string) => log.split(text).length - 1;
      return {
        numbers,
        tries,
        summary: await summaryOf(run),
        acks: logged('ack'),
        unknown: logged('unknown'),
        failed: logged('"failed\\"'),
      };
    }

    it('are repeated when they are told when, and only the last answer counts', async () => {
      const { numbers, summary, acks, unknown, tries } = await held(2, { 'retry-after': '1' });
      expect(numbers).to.include({ requests: 10, errorRate: 0 });
      expect(summary).to.include({ failed: 0, retries: 10 });
      expect({ acks, unknown }).to.deep.equal({ acks: 5, unknown: 0 });
      expect(tries.get('/write?0')).to.equal(3);
    });

    it('fail after the last try, and at once when they are told nothing, or to wait too long', async () => {
      const often = await held(25, { 'retry-after': '0' });
      expect(often.summary).to.include({ requests: 10, failed: 5, retries: 100 });
      expect(often.tries.get('/write?0')).to.equal(21);
      for (const headers of [{}, { 'retry-after': '21' }, { 'retry-after': 'soon' }]) {
        const { numbers, summary, acks, unknown, failed } = await held(1, headers as Record<string, string>);
        expect(numbers).to.include({ requests: 10, errorRate: 0.5 });
        expect(summary).to.include({ failed: 5, retries: 0 });
        expect({ acks, unknown, failed }).to.deep.equal({ acks: 0, unknown: 5, failed: 5 });
      }
    });
  });
});
