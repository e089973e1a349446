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

/** When a watch begins, ms: in the middle of a second, and of every period below. */
const begin = Date.UTC(2026, 0, 1) + 700;

/** Watches metrics whose reads do one of `reads` each, the last one from then on; says when each was, ms since the begin. Time passes in waits alone. */
function watching(
  { seconds = 2, ...platform }: Partial<Metrics> & { seconds?: number },
  reads: (Error | 'well' | 'badly')[] = ['well'],
  rollbackRequested: () => boolean = () => false,
  problem?: () => Promise<string | undefined>,
) {
  let time = begin;
  const looks: number[] = [];
  const notes: string[] = [];
  const metrics = {
    delayMs: 0,
    periodMs: 0,
    window: (from: number, to: number) => {
      const read = reads[Math.min(looks.length, reads.length - 1)];
      looks.push(time - begin);
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
  const options = { colour: 'blue', compared: false, seconds, what: 'bake', ...(problem && { problem }) } as const;
  const clock = {
    now: () => time,
    sleep(ms: number) {
      time += ms;
      return Promise.resolve();
    },
  };
  const ended = watch(context, { metrics }, options, clock);
  return { ended, looks, notes, ms: () => time - begin };
}

const reasonOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'it passed',
    (error: unknown) => error,
  );

describe('watching a colour', () => {
  it('looks each second where each request is told by itself, and ends with the time', async () => {
    const { ended, looks, ms } = watching({ seconds: 3 });
    expect((await ended).judgement.verdict).to.equal('pass');
    expect(looks).to.deep.equal([1_000, 2_000, 3_000]);
    expect(ms()).to.equal(3_000);
  });

  it('ends at the first look that finds a failure', async () => {
    const { ended, looks } = watching({ seconds: 10 }, ['well', 'badly']);
    expect((await ended).judgement.verdict).to.equal('fail');
    expect(looks).to.have.length(2);
  });

  it('looks once for each period where the platform counts in periods, when its numbers have come', async () => {
    const { ended, looks } = watching({ periodMs: 2_000, delayMs: 500, seconds: 1 });
    expect((await ended).judgement.verdict).to.equal('pass');
    // Two periods are watched. They end 1300 and 3300 ms after the begin; the last look is at the end of the time.
    expect(looks).to.deep.equal([1_800, 3_800, 4_500]);
  });

  it('hears at once that it is to roll back, however seldom it looks', async () => {
    const { ended, looks, ms } = watching({ periodMs: 60_000, delayMs: 180_000 }, ['well'], () => true);
    expect(await reasonOf(ended)).to.be.instanceOf(StageStopped);
    expect(ms()).to.equal(1_000);
    expect(looks).to.deep.equal([]);
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

  it('ends with a rollback at the first look at which something else is wrong', async () => {
    const says = [undefined, 'the worker mailer.green.1 has failed 3 times'];
    const { ended, ms } = watching({ seconds: 60 }, ['well'], undefined, () => Promise.resolve(says.shift()));
    const error = await ended.catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(StageStopped);
    expect((error as StageStopped).outcome).to.equal('rolled-back');
    expect((error as Error).message).to.contain('bake: the worker mailer.green.1 has failed 3 times');
    expect(ms()).to.be.at.most(3_000);
  });
});
