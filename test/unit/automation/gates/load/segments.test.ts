import { expect } from 'chai';
import { addHistograms, countOf, quantileOf, type Histogram } from '../../../../../automation/gates/load/histogram.ts';
import { k6Command } from '../../../../../automation/gates/load/k6-command.ts';
import {
  mergeSummaries,
  readSegmentSummary,
  readSummary,
} from '../../../../../automation/gates/load/segments-summary.ts';
import { percentile } from '../../../../../automation/canary/statistics.ts';

const shape = { fromMs: 0.1, resolution: 0.02 };
const histogramOf = (values: number[]): Histogram => {
  const counts: Record<string, number> = {};
  for (const value of values) {
    const bucket = Math.floor(Math.log(value / shape.fromMs) / Math.log(1 + shape.resolution));
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  }
  return { ...shape, counts };
};
/** Response times of a skewed distribution, the same in every run. */
const times = Array.from({ length: 5000 }, (_, i) => 2 * Math.exp(((i * 7919) % 5000) / 700));

describe('a histogram', () => {
  it('knows every percentile within half of its resolution', () => {
    const histogram = histogramOf(times);
    for (const p of [0, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 1])
      expect((quantileOf(histogram, p) ?? 0) / percentile(times, p), `p${p}`).to.be.within(0.99, 1.01);
  });

  it('is the same added up from parts as of the whole, whoever saw what', () => {
    const parts = [times.slice(0, 100), times.slice(100, 4000), times.slice(4000), []].map(histogramOf);
    expect(addHistograms(parts)).to.deep.equal(histogramOf(times));
  });

  it('is not what an average of percentiles would be', () => {
    const [quick, slow] = [Array<number>(900).fill(10), Array<number>(100).fill(1000)];
    const all = addHistograms([histogramOf(quick), histogramOf(slow)]) ?? { ...shape, counts: {} };
    expect(quantileOf(all, 0.95)).to.be.within(990, 1010);
    expect(quantileOf(all, 0.89)).to.be.within(9.9, 10.1);
  });

  it('has no percentile without a value, and is not added to one of another kind', () => {
    expect(quantileOf({ ...shape, counts: {} }, 0.95)).to.equal(undefined);
    expect(addHistograms([histogramOf([1]), { ...histogramOf([1]), resolution: 0.05 }])).to.equal(undefined);
    expect(addHistograms([])).to.equal(undefined);
  });
});

const summary = (values: number[], change: Record<string, unknown> = {}, metrics: Record<string, unknown> = {}) =>
  JSON.stringify({
    greenlight: {
      requests: values.length,
      seconds: 10,
      failed: 0,
      retries: 1,
      droppedIterations: 0,
      maxMs: Math.max(...values),
      lateMs: 0,
      histogram: histogramOf(values),
      endpoints: { 'GET /': { requests: values.length, failed: 0, p95Ms: 1 } },
      ...change,
    },
    metrics,
  });
const read = (text: string) => readSegmentSummary(text, 'load, segment 2 of 2');

describe('summaries of segments', () => {
  it('are added up: counts, checks, the longest answer, the last to begin', () => {
    const checks = (passes: number, fails: number) => ({ checks: { values: { passes, fails, rate: 0 } } });
    const merged = mergeSummaries(
      [
        read(summary(times.slice(0, 4000), { failed: 3, droppedIterations: 2, lateMs: 4 }, checks(9, 1))),
        read(summary(times.slice(4000), { failed: 1, lateMs: 2 }, checks(10, 0))),
      ],
      2,
      'load',
    );
    const { greenlight } = merged;
    expect(greenlight).to.include({
      segments: 2,
      requests: 5000,
      failed: 4,
      retries: 2,
      droppedIterations: 2,
      lateMs: 4,
      maxMs: Math.max(...times),
    });
    expect(greenlight.endpoints).to.deep.equal({ 'GET /': { requests: 5000, failed: 0 } });
    expect(countOf(greenlight.histogram)).to.equal(5000);
    const numbers = readSummary(JSON.stringify(merged), 'load');
    expect(numbers).to.include({ requests: 5000, droppedIterations: 2, errorRate: 4 / 5000, checkRate: 0.95 });
    expect((numbers.p95Ms ?? 0) / percentile(times, 0.95)).to.be.within(0.99, 1.01);
  });

  it('are refused when one is missing', () => {
    expect(() => mergeSummaries([read(summary([1]))], 2, 'load')).to.throw('1 summaries of 2 segments');
  });

  it('are refused when they have different histograms', () => {
    const other = read(summary([1], { histogram: { fromMs: 1, resolution: 0.02, counts: { 1: 1 } } }));
    expect(() => mergeSummaries([read(summary([1])), other], 2, 'load')).to.throw('different buckets');
  });

  const cases: [string, string, string][] = [
    ['nothing', '', 'no summary'],
    ['half a summary', '{"greenlight":', 'not JSON'],
    ['a summary of another script', '{"metrics":{}}', 'loadtests/lib/greenlight.ts'],
    ['no summary at all', 'null', 'loadtests/lib/greenlight.ts'],
    ['no start', summary([1], { lateMs: undefined }), 'startTogether'],
    ['a late start', summary([1], { lateMs: 1001 }), 'began 1.0 s after'],
    ['no count of failures', summary([1], { failed: null }), 'greenlight.failed'],
    ['a negative count', summary([1], { requests: -1 }), 'greenlight.requests'],
    ['a bucket that is no number', summary([1], { histogram: { ...shape, counts: { x: 1 } } }), 'damaged'],
    ['requests without a response time', summary([1, 2], { requests: 3 }), '3 requests, but 2 response times'],
  ];
  for (const [what, text, message] of cases)
    it(`with ${what} are refused`, () => expect(() => read(text)).to.throw(message));

  it('may be of a segment that had nothing to do', () => {
    const idle = summary([], { maxMs: undefined });
    expect(mergeSummaries([read(summary([5])), read(idle)], 2, 'load').greenlight).to.include({
      requests: 1,
      maxMs: 5,
    });
  });
});

describe("a segment's command", () => {
  const run = {
    script: '/s.ts',
    baseUrl: 'https://localhost:1',
    caFile: undefined,
    rate: 5,
    durationSeconds: 3,
    routeHeaders: {},
    summaryFile: '/out.json',
  };
  const partOf = (index: number, count: number) => {
    const { argv } = k6Command({ ...run, segment: { index, count, startAt: 7 } });
    return [argv[argv.indexOf('--execution-segment') + 1], argv[argv.indexOf('--execution-segment-sequence') + 1]];
  };

  it('names its part, and the same sequence for all', () => {
    expect(partOf(0, 1)).to.deep.equal(['0:1', '0,1']);
    expect(partOf(0, 4)).to.deep.equal(['0:1/4', '0,1/4,2/4,3/4,1']);
    expect(partOf(3, 4)).to.deep.equal(['3/4:1', '0,1/4,2/4,3/4,1']);
  });

  it('says when to begin, and that a histogram is wanted; a load that is not divided says neither', () => {
    const { env } = k6Command({ ...run, segment: { index: 1, count: 2, startAt: 7 } });
    expect(env).to.include({ SEGMENTS: '2', START_AT: '7', HISTOGRAM: '1' });
    expect(k6Command(run).env).to.not.have.any.keys('SEGMENTS', 'START_AT', 'HISTOGRAM');
    expect(k6Command(run).argv.join(' ')).to.not.contain('segment');
  });
});
