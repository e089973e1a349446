import { expect } from 'chai';
import type { ColourTraffic } from '../../../../infra/platform/metrics.ts';
import { judgeCanary, judgeLive, type JudgeSettings } from '../../../../automation/canary/judge.ts';

const settings: JudgeSettings = {
  slo: { errorRate: 0.001, p95Ms: 500 },
  canary: { steps: [10, 50], stepSeconds: 20, minRequests: 50, maxP95Ratio: 2, noticeableMs: 20 },
};
const now = 1_000_000;
const fresh = { now, newestAt: now - 300 };

/** Seeded random numbers (mulberry32), so that every run tries the same cases. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Latencies as servers have them: log-normal, `median` in milliseconds, with a long tail. */
function latencies(count: number, median: number, random: () => number, spread = 0.6): number[] {
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Array.from({ length: count }, () => median * Math.exp(spread * normal()));
}

const traffic = (latenciesMs: number[], errors = 0): ColourTraffic => ({
  requests: latenciesMs.length,
  errors,
  writes: 0,
  splitReads: 0,
  latenciesMs,
});
const healthy = (count: number, seed: number, errors = 0) => traffic(latencies(count, 30, randomFrom(seed)), errors);

const judge = (live: ColourTraffic, canary: ColourTraffic, freshness = fresh) =>
  judgeCanary({ live, canary }, settings, freshness);
const share = (count: number, trial: (index: number) => boolean) =>
  Array.from({ length: count }, (_, index) => trial(index)).filter(Boolean).length / count;

describe('judging a canary', () => {
  it('passes a colour that is like the live one, and says what it measured', () => {
    const { verdict, measurements, reason } = judge(healthy(900, 1), healthy(100, 2));
    expect(verdict).to.equal('pass');
    expect(reason).to.include('6 measurements');
    expect(measurements.map((m) => m.name)).to.include.members([
      'failed requests',
      'p95',
      'p95 against the live colour',
    ]);
  });

  it('fails a colour that answers with errors', () => {
    const { verdict, reason } = judge(healthy(900, 1), healthy(100, 2, 5));
    expect(verdict).to.equal('fail');
    expect(reason).to.equal('failed requests: 5 % (5 of 100), wanted <= 0.1 %');
  });

  it('fails a colour that answers nothing right after a handful of requests, without waiting for the minimum', () => {
    expect(judge(healthy(90, 1), healthy(6, 2, 6)).verdict).to.equal('fail');
  });

  it('leaves one error among few requests open: it may be chance, and is no pass', () => {
    const { verdict, reason } = judge(healthy(900, 1), healthy(100, 2, 1));
    expect(verdict).to.equal('inconclusive');
    expect(reason).to.include('may be chance');
  });

  it('fails on every error where the objective allows none', () => {
    const strict = { ...settings, slo: { errorRate: 0, p95Ms: 500 } };
    expect(judgeCanary({ live: healthy(900, 1), canary: healthy(100, 2, 1) }, strict, fresh).verdict).to.equal('fail');
  });

  it('fails a colour within a generous objective that errs far more than the live one', () => {
    const generous = { ...settings, slo: { errorRate: 0.05, p95Ms: 500 } };
    const { verdict, reason } = judgeCanary({ live: healthy(900, 1), canary: healthy(400, 2, 16) }, generous, fresh);
    expect(verdict).to.equal('fail');
    expect(reason).to.include('against the live colour');
  });

  it('fails a colour beyond the objective for latency, even where the live one is as slow', () => {
    const slow = (seed: number) => traffic(latencies(200, 600, randomFrom(seed)));
    const { verdict, reason } = judge(slow(1), slow(2));
    expect(verdict).to.equal('fail');
    expect(reason).to.match(/^p95: \d+ ms, wanted <= 500 ms$/);
  });

  it('fails a colour three times slower than the live one, within the objective', () => {
    const { verdict, reason } = judge(healthy(900, 1), traffic(latencies(100, 90, randomFrom(2))));
    expect(verdict).to.equal('fail');
    expect(reason).to.include('p95 against the live colour').and.to.include('<= 2 times');
  });

  it('fails a colour of which only the slow tail has grown', () => {
    const tailed = latencies(200, 30, randomFrom(2)).map((ms, index) => (index % 8 === 0 ? ms + 300 : ms));
    expect(judge(healthy(900, 1), traffic(tailed)).verdict).to.equal('fail');
  });

  it('does not fail a colour that is several times slower by less than anybody notices', () => {
    const quick = traffic(latencies(900, 1, randomFrom(1)));
    expect(judge(quick, traffic(latencies(200, 3, randomFrom(2)))).verdict).to.equal('pass');
  });

  it('does not fail a colour that is faster', () => {
    expect(judge(healthy(900, 1), traffic(latencies(100, 5, randomFrom(2)))).verdict).to.equal('pass');
  });

  it('passes a ratio that is beyond the limit by chance, and notes it', () => {
    const live = traffic(Array.from({ length: 60 }, (_, i) => 10 + (i % 7)));
    const canary = traffic(Array.from({ length: 60 }, (_, i) => (i % 15 === 0 ? 80 : 10 + (i % 7))));
    const { verdict, measurements } = judge(live, canary);
    expect(verdict).to.equal('pass');
    expect(measurements.at(-1)?.note).to.include('may be chance');
  });

  it('is inconclusive with too few requests on either colour, and names it', () => {
    expect(judge(healthy(900, 1), healthy(49, 2)).reason).to.equal('requests on the new colour: 49, wanted >= 50');
    const thinLive = judge(healthy(10, 1), healthy(100, 2));
    expect(thinLive.verdict).to.equal('inconclusive');
    expect(thinLive.reason).to.equal('requests on the live colour: 10, wanted >= 50');
    expect(judge(traffic([]), traffic([])).verdict).to.equal('inconclusive');
  });

  it('counts the requests that a sample of times stands for, and finds with it what is slower', () => {
    const least = { ...settings, canary: { ...settings.canary, minRequests: 6_000 } };
    const sampled = (median: number, seed: number) => ({
      ...traffic(latencies(5_000, median, randomFrom(seed))),
      requests: 90_000,
      timed: 90_000,
    });
    const verdict = (canary: ColourTraffic) => judgeCanary({ live: sampled(30, 1), canary }, least, fresh).verdict;
    expect(verdict(sampled(30, 2))).to.equal('pass');
    expect(verdict(sampled(90, 2))).to.equal('fail');
    expect(verdict({ ...sampled(30, 2), timed: 5_999 })).to.equal('inconclusive');
    expect(verdict({ ...sampled(30, 2), timed: Number.NaN })).to.equal('inconclusive');
  });

  it('is inconclusive with stale data or none, even where the old data is bad', () => {
    const bad = healthy(100, 2, 100);
    const stale = judge(healthy(900, 1), bad, { now, newestAt: now - 5_001 });
    expect(stale.verdict).to.equal('inconclusive');
    expect(stale.reason).to.include('5.0 s old');
    const none = judgeCanary({ live: healthy(900, 1), canary: bad }, settings, { now, newestAt: undefined });
    expect(none.verdict).to.equal('inconclusive');
    expect(none.reason).to.include('no record at all');
  });

  const broken: Record<string, ColourTraffic> = {
    'a latency that is not a number': traffic([...latencies(100, 30, randomFrom(2)), Number.NaN]),
    'an infinite latency': traffic([...latencies(100, 30, randomFrom(2)), Infinity]),
    'a negative latency': traffic([...latencies(100, 30, randomFrom(2)), -1]),
    'a count that is not a number': { ...healthy(100, 2), errors: Number.NaN },
    'more errors than requests': { ...healthy(100, 2), errors: 101 },
  };
  for (const [what, canary] of Object.entries(broken)) {
    it(`is inconclusive with ${what}`, () => {
      expect(judge(healthy(900, 1), canary).verdict).to.equal('inconclusive');
      expect(judge(canary, healthy(900, 1)).verdict).to.equal('inconclusive');
    });
  }

  it('fails less than 5 % of colours that are no different, also when looked at every second', () => {
    const failed = share(200, (trial) => {
      const random = randomFrom(trial + 1);
      const [live, canary] = [latencies(800, 30, random), latencies(200, 30, random)];
      // Twenty looks at a growing window; the first that says fail ends it.
      return Array.from({ length: 20 }, (_, look) => look + 1).some((look) => {
        const part = { live: traffic(live.slice(0, look * 40)), canary: traffic(canary.slice(0, look * 10)) };
        return judgeCanary(part, settings, fresh).verdict === 'fail';
      });
    });
    expect(failed).to.be.at.most(0.05);
  });

  it('passes at least 95 % of colours that are no different at the end of a step', () => {
    const passed = share(200, (trial) => {
      const random = randomFrom(10_000 + trial);
      return judge(traffic(latencies(800, 30, random)), traffic(latencies(200, 30, random))).verdict === 'pass';
    });
    expect(passed).to.be.at.least(0.95);
  });

  it('finds at least 95 % of colours that are three times slower, or fail three requests in a hundred', () => {
    const found = share(100, (trial) => {
      const random = randomFrom(20_000 + trial);
      return judge(traffic(latencies(800, 30, random)), traffic(latencies(100, 90, random))).verdict === 'fail';
    });
    expect(found).to.be.at.least(0.95);
    const erring = share(100, (trial) => {
      const random = randomFrom(30_000 + trial);
      const errors = Array.from({ length: 400 }, random).filter((value) => value < 0.03).length;
      return judge(healthy(800, trial), healthy(400, trial + 1, errors)).verdict === 'fail';
    });
    expect(erring).to.be.at.least(0.95);
  });
});

describe('judging the live colour', () => {
  it('passes within the objectives, fails beyond them, and is inconclusive without traffic', () => {
    expect(judgeLive(healthy(200, 1), settings, fresh).verdict).to.equal('pass');
    expect(judgeLive(healthy(200, 1, 10), settings, fresh).verdict).to.equal('fail');
    expect(judgeLive(traffic(latencies(200, 900, randomFrom(3))), settings, fresh).verdict).to.equal('fail');
    expect(judgeLive(traffic([]), settings, fresh).verdict).to.equal('inconclusive');
    expect(judgeLive(healthy(200, 1), settings, { now, newestAt: now - 60_000 }).verdict).to.equal('inconclusive');
  });
});
