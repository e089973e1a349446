import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { judgeWrites } from '../../../../../automation/gates/data/writes.ts';
import type { Refusals } from '../../../../../automation/release/synthetic/refusals.ts';
import {
  keysOf,
  readRuns,
  recordAsked,
  runDirectory,
  runFiles,
} from '../../../../../automation/release/synthetic/runs.ts';

describe('runs of marked traffic', () => {
  let evidence: string;
  beforeEach(() => {
    evidence = mkdtempSync(join(tmpdir(), 'greenlight-runs-'));
  });
  afterEach(() => rmSync(evidence, { recursive: true }));

  const addRun = (run: number, lines: string[], summary?: { requests: number; failed: number; seconds: number }) => {
    const directory = runDirectory(evidence, run);
    mkdirSync(directory);
    const { consoleFile, summaryFile } = runFiles(directory);
    writeFileSync(consoleFile, lines.join('\n'));
    if (summary === undefined) return;
    const { seconds, ...greenlight } = summary;
    writeFileSync(summaryFile, JSON.stringify({ greenlight, state: { testRunDurationMs: seconds * 1000 } }));
  };

  it('have lines of the script that are no entries, and those are passed over', async () => {
    addRun(1, ['null', '5', '"text"', '{"ledger":"ack","key":"a"}', '{"led']);
    expect((await readRuns(evidence)).acknowledged).to.equal(1);
    expect(await keys('ack')).to.deep.equal(['a']);
  });

  it('are added up: a resumed release counts what the interrupted one saw', async () => {
    addRun(1, ['{"ledger":"ack","key":"a"}', '{"ledger":"unknown","key":"b"}'], {
      requests: 100,
      failed: 0,
      seconds: 5,
    });
    const failed = '{"request":"failed","method":"GET","url":"/x","status":503,"at":0}';
    addRun(2, ['{"ledger":"ack","key":"c"}', failed], { requests: 300, failed: 1, seconds: 15 });
    expect(await readRuns(evidence)).to.deep.equal({
      count: 2,
      requests: { total: 400, failed: 1 },
      perSecond: 20,
      failures: ['1970-01-01T00:00:00.000Z GET /x: 503'],
      load: { asked: { seconds: 0, requests: 0 }, done: { seconds: 0, requests: 0 } },
      acknowledged: 2,
      unknown: 1,
      counters: {},
    });
    expect(await keys('ack')).to.deep.equal(['a', 'c']);
    expect(await keys('unknown')).to.deep.equal(['b']);
  });

  const keys = async (ledger: 'ack' | 'unknown'): Promise<string[]> => {
    const all: string[] = [];
    for await (const key of keysOf(evidence, ledger)) all.push(key);
    return all;
  };

  const traffic = async () => {
    const { requests, failures, load } = await readRuns(evidence);
    const writes = { acknowledged: 9, lost: 0, duplicated: 0, unknown: 0 };
    return judgeWrites({ requests, failures, load, writes }).at(-1);
  };

  it('say nothing where k6 went on for a second of two minutes, or sent a few requests', async () => {
    addRun(1, [], { requests: 3000, failed: 0, seconds: 1 });
    recordAsked(runDirectory(evidence, 1), { requestsPerSecond: 20, from: 0, to: 120_000 });
    expect(await traffic()).to.include({ verdict: 'inconclusive', measured: '3000 requests in 1 s' });
    addRun(2, [], { requests: 5, failed: 0, seconds: 110 });
    recordAsked(runDirectory(evidence, 2), { requestsPerSecond: 200, from: 0, to: 120_000 });
    expect(await traffic()).to.include({ verdict: 'inconclusive' });
  });

  it('are judged without their set-up, and not at all where this program did not end them', async () => {
    addRun(1, [], { requests: 1500, failed: 0, seconds: 80 });
    recordAsked(runDirectory(evidence, 1), { requestsPerSecond: 20, from: 0, to: 120_000 });
    addRun(2, [], { requests: 1, failed: 0, seconds: 1 });
    recordAsked(runDirectory(evidence, 2), { requestsPerSecond: 20, from: 0 });
    expect(await traffic()).to.include({ verdict: 'pass', measured: '1500 requests in 80 s' });
  });

  it('count increments by counter, over all runs', async () => {
    const line = (ledger: string, counter: string, more = {}) => JSON.stringify({ ledger, counter, ...more });
    addRun(1, [line('sent', 'a', { from: 7 }), line('ack', 'a', { key: '1' }), line('sent', 'b')]);
    addRun(2, [
      line('sent', 'b'),
      line('unknown', 'b', { key: '2' }),
      line('sent', 'b'),
      line('ack', 'b', { key: '3' }),
    ]);
    const { counters, acknowledged, unknown } = await readRuns(evidence);
    expect(counters).to.deep.equal({
      a: { from: 7, sent: 1, acknowledged: 1, unknown: 0 },
      b: { from: 0, sent: 3, acknowledged: 1, unknown: 1 },
    });
    expect({ acknowledged, unknown }).to.deep.equal({ acknowledged: 2, unknown: 1 });
  });

  it('count what hung when they ended, and not what was merely cut off', async () => {
    const cut = (ms: number) =>
      JSON.stringify({ request: 'failed', method: 'GET', url: '/x', status: 0, at: 0, ms, error: 'context canceled' });
    addRun(1, [cut(1), cut(1_999), cut(2_000)], { requests: 100, failed: 0, seconds: 5 });
    const { requests, failures } = await readRuns(evidence);
    expect(requests).to.deep.equal({ total: 101, failed: 1 });
    expect(failures).to.have.length(1);
  });

  it('count by its log what ended with its release, without a summary', async () => {
    const failed = '{"request":"failed","method":"GET","url":"/x","status":503,"at":0}';
    addRun(1, ['{"ledger":"ack","key":"a"}', '{"ledger":"ack","key":"b"}', failed]);
    addRun(2, ['{"ledger":"ack","key":"c"}'], { requests: 10, failed: 0, seconds: 1 });
    const { requests, acknowledged } = await readRuns(evidence);
    expect(requests).to.deep.equal({ total: 13, failed: 1 });
    expect(acknowledged).to.equal(3);
  });

  describe('in a read-only window', () => {
    const refusals = {
      windows: [
        { from: 10_000, to: 20_000 },
        { from: 50_000, to: 60_000 },
      ],
      writes: { reads: ['GET', 'HEAD', 'OPTIONS', 'TRACE'], paths: ['/api/touch'] },
    } satisfies Refusals;
    const failed = (at: number, more = {}) =>
      JSON.stringify({ request: 'failed', method: 'POST', url: '/x', status: 503, at, ms: 3, colour: 'none', ...more });
    const seen = async (lines: string[], summaryFailed = lines.length) => {
      addRun(1, lines, { requests: 100, failed: summaryFailed, seconds: 5 });
      return readRuns(evidence, refusals);
    };

    it('count the writes that were answered 503 there as refused, and not as failed', async () => {
      const lines = [10_000, 15_000, 20_000, 50_000, 60_000].map((at) => failed(at));
      const { requests, failures } = await seen(lines);
      expect(requests).to.deep.equal({ total: 100, failed: 0, refused: 5 });
      expect(failures).to.deep.equal([]);
    });

    it('count a 503 before, between and after the windows as failed', async () => {
      const lines = [9_990, 20_004, 35_000, 49_990, 60_004].map((at) => failed(at));
      const { requests, failures } = await seen([...lines, failed(15_000)]);
      expect(requests).to.deep.equal({ total: 100, failed: 5, refused: 1 });
      expect(failures).to.have.length(5);
    });

    it('take the time for the beginning or the end of a request', async () => {
      const { requests } = await seen([failed(9_990, { ms: 10 }), failed(20_010, { ms: 10 })]);
      expect(requests).to.deep.equal({ total: 100, failed: 0, refused: 2 });
    });

    it('do not count as refused what waited for long and ended beside a window: a refusal is immediate', async () => {
      const { requests } = await seen([failed(7_999, { ms: 15_000 }), failed(22_001, { ms: 15_000 })]);
      expect(requests).to.deep.equal({ total: 100, failed: 2 });
    });

    it('count as failed what is no refused write: reads, other answers, and a 503 of a colour', async () => {
      const lines = [
        failed(15_000, { method: 'GET' }),
        failed(15_000, { status: 502 }),
        failed(15_000, { status: 0 }),
        failed(15_000, { colour: 'blue' }),
        failed(15_000, { method: 'HEAD' }),
      ];
      expect((await seen(lines)).requests).to.deep.equal({ total: 100, failed: 5 });
    });

    it('know writes by their path too, and scripts that note no colour, no duration, or the whole address', async () => {
      const lines = [
        failed(15_000, { method: 'GET', url: '/api/touch/it?x=1' }),
        failed(15_000, { colour: undefined, ms: undefined }),
        failed(15_000, { method: 'GET', url: 'https://localhost:8443/api/touch' }),
      ];
      expect((await seen(lines)).requests).to.deep.equal({ total: 100, failed: 0, refused: 3 });
    });

    it('are counted by the log where a run left no summary', async () => {
      addRun(1, ['{"ledger":"ack","key":"a"}', failed(15_000), failed(30_000)]);
      addRun(2, ['{"ledger":"ack","key":"b"}', failed(55_000)], { requests: 10, failed: 1, seconds: 1 });
      const { requests } = await readRuns(evidence, refusals);
      expect(requests).to.deep.equal({ total: 3 + 10, failed: 1, refused: 2 });
    });

    it('are all failures where there was no window', async () => {
      addRun(1, [failed(15_000)], { requests: 100, failed: 1, seconds: 5 });
      expect((await readRuns(evidence)).requests).to.deep.equal({ total: 100, failed: 1 });
    });

    it('are told by the gate, which passes; it fails where a request failed beside', () => {
      const writes = { acknowledged: 9, lost: 0, duplicated: 0, unknown: 0 };
      const judge = (failedOnes: number) =>
        judgeWrites({ requests: { total: 100, failed: failedOnes, refused: 7 }, failures: [], writes });
      expect(judge(0).map(({ verdict }) => verdict)).to.deep.equal(['pass', 'pass', 'pass', 'pass']);
      expect(judge(0)[1]).to.include({
        name: 'refused writes',
        measured: '7 writes refused in the read-only window, as announced',
      });
      expect(judge(1)[0]).to.include({ name: 'failed requests', measured: '1 of 100', verdict: 'fail' });
      const without = judgeWrites({ requests: { total: 100, failed: 0 }, failures: [], writes });
      expect(without.map(({ name }) => name)).to.not.include('refused writes');
    });
  });

  it('fail where one was killed before its summary, and keep what its ledger has', async () => {
    addRun(1, ['{"ledger":"ack","key":"a"}', 'something else that was logged', '{"ledger":"ack","key":"cut o']);
    const { requests, failures, acknowledged } = await readRuns(evidence);
    expect(requests).to.deep.equal({ total: 0, failed: 1 });
    expect(failures[0]).to.contain('left no summary');
    expect(acknowledged).to.equal(1);
    expect(await keys('ack')).to.deep.equal(['a']);
  });
});
