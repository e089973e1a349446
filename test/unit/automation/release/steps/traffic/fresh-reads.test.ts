import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import {
  staleMs,
  whileReadsAreFresh,
  type Guarded,
} from '../../../../../../automation/release/steps/traffic/fresh-reads.ts';
import { wroteSeconds } from '../../../../../../infra/platform/router.ts';
import type { Split } from '../../../../../../infra/model.ts';

describe('the reads of a canary that is behind', () => {
  let split: Split;
  let delayMs: number;
  let applied: number[];
  let notes: string[];
  let look: () => Promise<void>;
  const guarded = (other: Partial<Guarded> = {}): Guarded => ({
    live: 'blue',
    router: {
      read: () => Promise.resolve({ split, holdMs: 0, servers: [] }),
      apply: (wanted) => {
        split = wanted;
        applied.push(wanted.percent);
        return Promise.resolve();
      },
    },
    meter: {
      look: () => look(),
      get delayMs() {
        return delayMs;
      },
      close: () => Promise.resolve(),
    },
    note: (text) => notes.push(text),
    set: () => undefined,
    ...other,
  });
  beforeEach(() => {
    [split, delayMs, applied, notes] = [{ live: 'blue', percent: 20 }, staleMs + 1, [], []];
    look = () => Promise.resolve();
  });

  it('are back before a cookie that was set with the last write has ended', () => {
    expect(staleMs).to.be.within(1_000, wroteSeconds * 1000 - 2_500);
  });

  it('stay where they are while it is not', async () => {
    delayMs = staleMs;
    await whileReadsAreFresh(guarded(), async (fresh) => {
      await sleep(20);
      expect(fresh.behind).to.equal(false);
    });
    expect(applied).to.deep.equal([]);
  });

  it('are taken back once, and said so, also where the databases cannot be asked', async () => {
    look = () => Promise.reject(new Error('no database'));
    await whileReadsAreFresh(guarded(), async (fresh) => {
      await sleep(20);
      expect(fresh.behind).to.equal(true);
    });
    expect(applied).to.deep.equal([0]);
    expect(notes.join()).to.include('behind (no database)');
  });

  it('are not touched where another program has the environment, or where the other colour is live by now', async () => {
    await whileReadsAreFresh(guarded({ ours: () => false }), () => sleep(20));
    split = { live: 'green', percent: 0 };
    await whileReadsAreFresh(guarded(), () => sleep(20));
    expect(applied).to.deep.equal([]);
  });

  it('are not changed after the work has ended', async () => {
    const asked = Promise.withResolvers<void>();
    look = () => asked.promise;
    const over = whileReadsAreFresh(guarded(), () => Promise.resolve());
    asked.resolve();
    await over;
    expect(applied).to.deep.equal([]);
  });

  it('are not changed while somebody else has the split, not by a change under way either, and are after that', async () => {
    const guard = guarded();
    const answered = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    guard.router.apply = async ({ percent }) => {
      begun.resolve();
      await answered.promise;
      applied.push(percent);
    };
    await whileReadsAreFresh(guard, async (fresh) => {
      await begun.promise;
      let paused = false;
      const pausing = fresh.pause().then(() => (paused = true));
      await sleep(20);
      expect(paused).to.equal(false);
      answered.resolve();
      await pausing;
      expect(applied).to.deep.equal([0]);
      await sleep(1_100);
      expect(applied).to.deep.equal([0]);
      fresh.resume();
      while (applied.length < 2) await sleep(10);
    });
  });

  it('are still given back after a pause that came between asking the balancer and changing it, and nothing is said that was not done', async () => {
    const guard = guarded();
    const { read } = guard.router;
    await whileReadsAreFresh(guard, async (fresh) => {
      const pausing = (): Promise<void> => {
        const paused = Promise.withResolvers<void>();
        guard.router.read = async () => {
          guard.router.read = read;
          await fresh.pause();
          paused.resolve();
          return read();
        };
        return paused.promise;
      };
      await pausing();
      await sleep(20);
      expect([applied, notes]).to.deep.equal([[], []]);
      fresh.resume();
      while (notes.length < 1) await sleep(10);
      delayMs = 0;
      await pausing();
      await sleep(20);
      fresh.resume();
      while (notes.length < 2) await sleep(10);
      expect(applied).to.deep.equal([0, 20]);
    });
  });
});
