import { expect } from 'chai';
import { OperationError } from '../../../../../../infra/lib/errors.ts';
import type { ColourTraffic, Metrics } from '../../../../../../infra/platform/metrics.ts';
import type { ReleaseContext } from '../../../../../../automation/release/context/context.ts';
import { StageStopped } from '../../../../../../automation/release/context/stage.ts';
import { watch } from '../../../../../../automation/release/steps/traffic/watch.ts';

const traffic: ColourTraffic = {
  requests: 100,
  errors: 0,
  writes: 0,
  splitReads: 0,
  latenciesMs: Array<number>(100).fill(10),
};
const throttled = new OperationError('reading metrics', 'ThrottlingException', 'wait');

/** Watches metrics whose reads do one of `reads` each, the last one from then on; says when each was, since the begin. */
function watching(
  { seconds = 2, ...platform }: Partial<Metrics> & { seconds?: number },
  reads: (Error | 'well' | 'badly')[] = ['well'],
  rollbackRequested: () => boolean = () => false,
) {
  const begun = Date.now();
  const looks: number[] = [];
  const notes: string[] = [];
  const metrics = {
    delayMs: 0,
    periodMs: 0,
    window: (from: number, to: number) => {
      const read = reads[Math.min(looks.length, reads.length - 1)];
      looks.push(Date.now() - begun);
      if (read instanceof Error) return Promise.reject(read);
      const colour = { ...traffic, errors: read === 'badly' ? 50 : 0 };
      return Promise.resolve({ from, to, colours: { blue: colour, green: colour }, newestAt: to });
    },
    cpuSeconds: () => Promise.resolve({}),
    ...platform,
  };
  const context = {
    definition: { slo: { errorRate: 0.001, p95Ms: 500 }, canary: { minRequests: 50 } },
    signal: new AbortController().signal,
    observe: <T>(work: () => Promise<T>) => work(),
    waiting: () => undefined,
    note: (text: string) => void notes.push(text),
    rollbackRequested,
  } as unknown as ReleaseContext;
  const options = { colour: 'blue', compared: false, seconds, what: 'bake' } as const;
  const ended = watch(context, { metrics }, options);
  return { begun, ended, looks, notes, ms: () => Date.now() - begun };
}

const reasonOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'it passed',
    (error: unknown) => error,
  );

describe('watching a colour', function () {
  this.timeout(20_000);

  it('looks each second where each request is told by itself, and ends with the time', async () => {
    const { ended, looks, ms } = watching({ seconds: 3 });
    expect((await ended).judgement.verdict).to.equal('pass');
    // Two where this machine is slow.
    expect(looks.length).to.be.within(2, 3);
    expect(ms()).to.be.within(2_990, 5_000);
  });

  it('ends at the first look that finds a failure', async () => {
    const { ended, looks } = watching({ seconds: 10 }, ['well', 'badly']);
    expect((await ended).judgement.verdict).to.equal('fail');
    expect(looks).to.have.length(2);
  });

  it('looks once for each period where the platform counts in periods, when its numbers have come', async () => {
    const { begun, ended, looks } = watching({ periodMs: 2_000, delayMs: 500, seconds: 1 });
    expect((await ended).judgement.verdict).to.equal('pass');
    // Two periods are watched, from wherever in one it began: at most three ends of one, and the end of the time.
    expect(looks.length).to.be.within(2, 4);
    for (const look of looks.slice(0, -1))
      expect((begun + look - 500) % 2_000, 'after the end of a period').to.be.below(1_000);
    expect(looks.at(-1)).to.be.within(4_490, 6_500);
  });

  it('hears at once that it is to roll back, however seldom it looks', async () => {
    const { ended, looks, ms } = watching({ periodMs: 60_000, delayMs: 180_000 }, ['well'], () => true);
    expect(await reasonOf(ended)).to.be.instanceOf(StageStopped);
    expect(ms()).to.be.below(2_500);
    expect(looks.length).to.be.at.most(1);
  });

  it('passes over a look that was missed, and says so', async () => {
    const { ended, notes } = watching({ seconds: 3 }, ['well', throttled, 'well']);
    expect((await ended).judgement.verdict).to.equal('pass');
    expect(notes).to.have.length(1);
    expect(notes[0]).to.contain('ThrottlingException');
  });

  it('does not end with its time where the last look was missed', async () => {
    const { ended, looks } = watching({ seconds: 2 }, ['well', throttled, throttled, 'badly']);
    expect((await ended).judgement.verdict).to.equal('fail');
    expect(looks).to.have.length(4);
  });

  it('never passes where looks are missed throughout', async () => {
    const { ended, looks } = watching({ seconds: 1 }, [throttled]);
    expect(await reasonOf(ended)).to.equal(throttled);
    expect(looks).to.have.length(3);
    const begunWell = watching({ seconds: 2 }, ['well', throttled]);
    expect(await reasonOf(begunWell.ended)).to.equal(throttled);
  });

  it('does not take a mistake of the program for a missed look', async () => {
    const mistake = new TypeError('x is not a function');
    expect(await reasonOf(watching({}, [mistake]).ended)).to.equal(mistake);
  });
});
