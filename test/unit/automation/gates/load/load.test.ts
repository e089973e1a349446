import { expect } from 'chai';
import { judgeCapacity } from '../../../../../automation/gates/load/capacity.ts';
import { worst } from '../../../../../automation/journal/verdict.ts';
import { k6Command, type LoadNumbers } from '../../../../../automation/gates/load/k6.ts';
import { cpuShares, judgeBottleneck, judgeLoad } from '../../../../../automation/gates/load/load.ts';
import { readSummary } from '../../../../../automation/gates/load/segments-summary.ts';

const thresholds = { p95Ms: 300, p99Ms: 500, errorRate: 0.01 };
const good: LoadNumbers = {
  requests: 1000,
  seconds: 10,
  droppedIterations: 0,
  p95Ms: 100,
  p99Ms: 200,
  errorRate: 0,
  checkRate: undefined,
  exitCode: 0,
};
const asked = { requestsPerSecond: 100, durationSeconds: 10 };
const verdict = (change: Partial<LoadNumbers>) =>
  worst(judgeLoad({ ...good, ...change }, asked, thresholds).map((m) => m.verdict));

describe('judging a load', () => {
  it('passes within every threshold', () => expect(verdict({})).to.equal('pass'));

  const cases: [string, Partial<LoadNumbers>, string][] = [
    ['slow answers', { p95Ms: 301 }, 'fail'],
    ['a slow tail', { p99Ms: 501 }, 'fail'],
    ['too many errors', { errorRate: 0.011 }, 'fail'],
    ['failed checks', { checkRate: 0.98 }, 'fail'],
    ["a crossed threshold of the script's own", { exitCode: 99 }, 'fail'],
    ['dropped iterations', { requests: 899, droppedIterations: 101 }, 'fail'],
    ['too few requests without a cause', { requests: 899 }, 'inconclusive'],
    ['as many requests in a tenth of the time', { seconds: 1 }, 'inconclusive'],
    ['a length that is not known', { seconds: undefined }, 'inconclusive'],
    ['a load that was a little shorter', { seconds: 9 }, 'pass'],
    ['a missing percentile', { p95Ms: undefined }, 'inconclusive'],
    ['a missing error rate', { errorRate: undefined }, 'inconclusive'],
    ['no request', { requests: 0 }, 'error'],
    ['no count of requests', { requests: undefined }, 'error'],
  ];
  for (const [what, change, wanted] of cases) it(`${what}: ${wanted}`, () => expect(verdict(change)).to.equal(wanted));

  it('names the dropped iterations', () => {
    expect(judgeLoad({ ...good, requests: 500, droppedIterations: 77 }, asked, thresholds)[0]?.measured).to.contain(
      '77 iterations dropped',
    );
  });
});

describe("k6's summary", () => {
  it('gives numbers, and leaves out what is not one', () => {
    const metrics = {
      http_reqs: { values: { count: 5 } },
      http_req_duration: { values: { 'p(95)': null, 'p(99)': 9 } },
    };
    expect(readSummary(JSON.stringify({ metrics }), 'x')).to.include({
      requests: 5,
      p95Ms: undefined,
      p99Ms: 9,
      errorRate: undefined,
    });
  });

  it("counts the journey's own numbers where the script gives them, without its set-up", () => {
    const metrics = { http_reqs: { values: { count: 50 } }, http_req_duration: { values: { 'p(95)': 999 } } };
    const greenlight = { requests: 40, failed: 2, p95Ms: 7, p99Ms: 8 };
    const read = readSummary(JSON.stringify({ metrics, greenlight }), 'x');
    expect(read).to.include({ requests: 40, p95Ms: 7, p99Ms: 8, errorRate: 0.05 });
  });

  it("knows the length of the load from the script, else from k6's whole run", () => {
    const state = { testRunDurationMs: 9_000 };
    expect(readSummary(JSON.stringify({ state }), 'x').seconds).to.equal(9);
    expect(readSummary(JSON.stringify({ state, greenlight: { seconds: 2 } }), 'x').seconds).to.equal(2);
    expect(readSummary('{}', 'x').seconds).to.equal(undefined);
  });

  it('is refused when it is empty or cut off', () => {
    expect(() => readSummary('', 'load')).to.throw('no summary');
    expect(() => readSummary('{"metrics":', 'load')).to.throw('not JSON');
  });
});

describe("k6's command", () => {
  it('carries the secret headers in the environment, never in an argument', () => {
    const { argv, env } = k6Command({
      script: '/s.ts',
      baseUrl: 'https://localhost:1',
      caFile: '/ca.pem',
      rate: 5,
      durationSeconds: 3,
      routeHeaders: { 'x-secret': 'hush-hush' },
      summaryFile: '/out.json',
    });
    expect(argv.join(' ')).to.not.contain('hush-hush');
    expect(env).to.include({
      BASE_URL: 'https://localhost:1',
      RATE: '5',
      DURATION: '3',
      SUMMARY: '/out.json',
      SSL_CERT_FILE: '/ca.pem',
    });
    expect(JSON.parse(env['ROUTE_HEADERS'] ?? '')).to.deep.equal({ 'x-secret': 'hush-hush' });
  });
});

describe('the bottleneck', () => {
  it('is the part that used most CPU in between, not in total', () => {
    const cpu = cpuShares({ api: 100, database: 5 }, { api: 101, database: 8 });
    expect(judgeBottleneck(cpu).measured).to.equal('database: 75 % of the CPU time used (3.0 s)');
  });

  it('counts a part that restarted from zero', () => {
    expect(cpuShares({ api: 100 }, { api: 2 })[0]?.seconds).to.equal(2);
  });

  it('is inconclusive when nothing was recorded', () => {
    expect(judgeBottleneck([]).verdict).to.equal('inconclusive');
    expect(judgeBottleneck(cpuShares({ api: 1 }, { api: 1 })).verdict).to.equal('inconclusive');
  });
});

describe('the capacity', () => {
  const step = (factor: number, met: boolean) => ({ factor, requestsPerSecond: factor * 100, numbers: good, met });

  it('passes when the wanted growth is reached, and names the edge', () => {
    const [headroom] = judgeCapacity([step(1.5, true), step(2.25, false)], 1.5, thresholds);
    expect(headroom).to.include({ verdict: 'pass', measured: '1.5 x (150 requests/s), edge below 225 requests/s' });
  });

  it('fails below the wanted growth, and is inconclusive without a step', () => {
    expect(judgeCapacity([step(1.5, false)], 1.5, thresholds)[0]?.verdict).to.equal('fail');
    expect(judgeCapacity([], 1.5, thresholds)[0]?.verdict).to.equal('inconclusive');
  });

  it('is inconclusive, and not too small, where the load was not the one that was asked for', () => {
    const [headroom] = judgeCapacity([{ ...step(1.5, false), inconclusive: true }], 1.5, thresholds);
    expect(headroom).to.include({ verdict: 'inconclusive', measured: 'unknown, inconclusive at 150 requests/s' });
  });
});
