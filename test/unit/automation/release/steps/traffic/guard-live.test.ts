import { expect } from 'chai';
import { whileLiveIsWell } from '../../../../../../automation/release/steps/traffic/guard-live.ts';
import type { Metrics } from '../../../../../../infra/platform/metrics.ts';

describe('the watch of the live colour', () => {
  it('counts each minute once however long it watches, as the log of hours cannot be read each second', async () => {
    const nothing = { requests: 0, errors: 0, writes: 0, splitReads: 0, latenciesMs: [] };
    const asked: [from: number, to: number][] = [];
    let enough: () => void = () => undefined;
    const looked = new Promise<void>((resolve) => {
      enough = resolve;
    });
    const metrics: Metrics = {
      // An hour has passed at the first look.
      delayMs: -3_600_000,
      periodMs: 0,
      window: (from, to) => {
        asked.push([from, to]);
        if (asked.length >= 8) enough();
        const blue = { ...nothing, requests: Math.round((to - from) / 100) };
        return Promise.resolve({ from, to, colours: { blue, green: nothing }, newestAt: to });
      },
      cpuSeconds: () => Promise.resolve({}),
    };
    const notes: string[] = [];
    const guarded = {
      metrics,
      live: 'blue' as const,
      errorRate: 0.01,
      withdraw: () => Promise.resolve(),
      note: (text: string) => notes.push(text),
    };
    await whileLiveIsWell(guarded, () => looked);
    expect(notes).to.deep.equal([]);
    const begins = asked.map(([from]) => from);
    expect(begins, 'the log is read forwards').to.deep.equal([...begins].sort((a, b) => a - b));
    expect(asked.filter(([from, to]) => to - from > 600_000)).to.have.length(1);
  });
});
