import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { OperationError } from '../../infra/lib/errors.ts';
import { colours, type Split } from '../../infra/model.ts';
import type { Router } from '../../infra/platform/router.ts';

/**
 * What every platform's router has to do. `makeRouter` gives one whose environment nobody else uses, with no traffic; `leaseMs`
 * is longer than it takes to hold.
 */
export function routerContract(makeRouter: () => Promise<Router>, { leaseMs = 50 }: { leaseMs?: number } = {}): void {
  describe('keeps the contract of a router', () => {
    let router: Router;
    before(async () => {
      router = await makeRouter();
    });
    afterEach(() => router.resumeWrites());

    it('reads back each split that it applies', async () => {
      const splits: Split[] = [
        { live: 'blue', percent: 0 },
        { live: 'blue', percent: 37 },
        { live: 'blue', percent: 100 },
        { live: 'green', percent: 0 },
      ];
      for (const split of splits) {
        await router.apply(split);
        expect((await router.read()).split).to.deep.equal(split);
      }
    });

    it('refuses what is not a split, and leaves the one it has', async () => {
      await router.apply({ live: 'blue', percent: 5 });
      for (const percent of [-1, 101, 0.5, Number.NaN]) {
        expect(await rejection(router.apply({ live: 'green', percent }))).to.be.instanceOf(OperationError);
      }
      expect(await rejection(router.apply({ live: 'red' as 'blue', percent: 0 }))).to.be.instanceOf(OperationError);
      expect((await router.read()).split).to.deep.equal({ live: 'blue', percent: 5 });
    });

    it('holds until it is released, whatever is applied meanwhile', async () => {
      await router.hold(60_000);
      await router.apply({ live: 'green', percent: 0 });
      expect((await router.read()).holdMs).to.be.within(1, 60_000);
      await router.resumeWrites();
      expect((await router.read()).holdMs).to.equal(0);
    });

    it('ends a hold by itself when its lease is over', async () => {
      await router.hold(leaseMs);
      await sleep(leaseMs + 10);
      expect((await router.read()).holdMs).to.equal(0);
    });

    it('does not begin to hold once it was given up', async () => {
      const given = { live: 'green', percent: 0 } as const;
      expect(await rejection(router.hold(60_000, given, AbortSignal.abort()))).to.have.property('name', 'AbortError');
      expect((await router.read()).holdMs).to.equal(0);
    });

    it('refuses a lease that is no duration', async () => {
      for (const lease of [0, -5, Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(await rejection(router.hold(lease))).to.be.instanceOf(OperationError);
      }
      expect((await router.read()).holdMs).to.equal(0);
    });

    it('settles changes that are asked for at the same time, each of them whole', async () => {
      await Promise.all([
        router.hold(60_000),
        router.apply({ live: 'blue', percent: 10 }),
        router.apply({ live: 'green', percent: 20 }),
      ]);
      const state = await router.read();
      expect(state.split).to.deep.equal({ live: 'green', percent: 20 });
      expect(state.holdMs).to.be.above(0);
    });

    it('releases and holds again, as often as it is asked', async () => {
      await router.resumeWrites();
      await router.resumeWrites();
      await router.hold(60_000);
      await router.hold(30_000);
      expect((await router.read()).holdMs).to.be.within(1, 30_000);
    });

    it('sees no write under way where there is no traffic', async () => {
      expect(await router.writesInFlight('blue')).to.equal(0);
      expect(await router.writesInFlight('green')).to.equal(0);
    });

    it('names no write where there is no traffic, where it can name them at all', async () => {
      for (const colour of colours) expect((await router.nameWrites?.(colour)) ?? []).to.deep.equal([]);
    });

    it('cuts nothing where there is no traffic, where it can cut at all', async () => {
      for (const colour of colours) expect((await router.cutWrites?.(colour)) ?? 0).to.equal(0);
    });

    it('routes by header to either colour', () => {
      expect(router.entry.baseUrl).to.match(/^https:\/\//);
      expect(router.entry.routeHeaders('blue')).to.not.deep.equal(router.entry.routeHeaders('green'));
    });
  });
}

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );
