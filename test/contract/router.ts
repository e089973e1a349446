import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { OperationError } from '../../infra/lib/errors.ts';
import { colours, type Split } from '../../infra/model.ts';
import type { Router } from '../../infra/platform/router.ts';

interface Options {
  /** Longer than it takes to hold. */
  leaseMs?: number;
  /** Sends a request to the entry point, and resolves to the status of the answer. Absent: nothing answers there. */
  send?: (method: 'GET' | 'POST', headers?: Record<string, string>) => Promise<number>;
}

/** What every platform's router has to do. `makeRouter` gives one whose environment nobody else uses, with no traffic. */
export function routerContract(makeRouter: () => Promise<Router>, { leaseMs = 50, send }: Options = {}): void {
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

    it('refuses until it is told to resume, whatever is applied meanwhile', async () => {
      await router.refuse(60_000);
      await router.apply({ live: 'blue', percent: 0 });
      const { holdMs, refuses } = await router.read();
      expect([holdMs > 0 && holdMs <= 60_000, refuses]).to.deep.equal([true, true]);
      await router.resumeWrites();
      expect(await router.read())
        .to.include({ holdMs: 0 })
        .and.to.not.have.property('refuses');
    });

    it('ends a refusal by itself when its lease is over', async () => {
      await router.refuse(leaseMs);
      await sleep(leaseMs + 10);
      expect(await router.read())
        .to.include({ holdMs: 0 })
        .and.to.not.have.property('refuses');
    });

    it('renews a refusal from the moment on at which it is asked to', async () => {
      await router.refuse(30_000);
      await router.refuse(60_000);
      expect(await router.read())
        .to.have.property('holdMs')
        .that.is.within(30_001, 60_000);
      await router.refuse(30_000);
      expect(await router.read())
        .to.have.property('holdMs')
        .that.is.within(1, 30_000);
    });

    it('puts a refusal in the place of a hold, and a hold in the place of a refusal', async () => {
      await router.hold(60_000);
      await router.refuse(40_000);
      expect(await router.read())
        .to.include({ refuses: true })
        .and.to.have.property('holdMs')
        .that.is.most(40_000);
      await router.hold(30_000);
      const held = await router.read();
      expect(held).to.not.have.property('refuses');
      expect(held.holdMs).to.be.within(1, 30_000);
    });

    it('does not begin to refuse once it was given up, nor for what is no duration', async () => {
      expect(await rejection(router.refuse(60_000, AbortSignal.abort()))).to.have.property('name', 'AbortError');
      for (const lease of [0, -5, Number.NaN, Number.POSITIVE_INFINITY])
        expect(await rejection(router.refuse(lease))).to.be.instanceOf(OperationError);
      expect((await router.read()).holdMs).to.equal(0);
    });

    it('is not refusing any more once it resumed, though a renewal that was given up was under way', async () => {
      const end = new AbortController();
      await router.refuse(30_000, end.signal);
      const renewals = Array.from({ length: 3 }, () => rejection(router.refuse(30_000, end.signal)));
      end.abort();
      await router.resumeWrites();
      await Promise.all(renewals);
      expect((await router.read()).holdMs).to.equal(0);
    });

    if (send !== undefined) refusing(() => router, send);

    it('sees no write under way where there is no traffic', async () => {
      expect(await router.writesInFlight('blue')).to.equal(0);
      expect(await router.writesInFlight('green')).to.equal(0);
    });

    it('names no write where there is no traffic, where it can name them at all', async () => {
      for (const colour of colours) expect((await router.nameWrites?.(colour)) ?? []).to.deep.equal([]);
    });

    it('[J2] ends no connection where there is none, nor one of the live colour, where it can end them at all', async () => {
      await router.apply({ live: 'blue', percent: 0 });
      for (const colour of colours)
        expect((await router.endLong?.(colour, 50)) ?? { webSockets: 0, streams: 0, ms: 0 }).to.deep.equal({
          webSockets: 0,
          streams: 0,
          ms: 0,
        });
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

/** What clients see of a refusal. */
function refusing(router: () => Router, send: NonNullable<Options['send']>): void {
  beforeEach(() => router().apply({ live: 'blue', percent: 0 }));

  it('answers writes 503 at once while they are refused, and reads and the header route as ever', async () => {
    await router().refuse(60_000);
    expect(await send('POST')).to.equal(503);
    expect(await send('GET')).to.equal(200);
    expect(await send('POST', router().entry.routeHeaders('green'))).to.equal(200);
    await router().resumeWrites();
    expect(await send('POST')).to.equal(200);
  });

  it('refuses at once what comes after a refusal took the place of a hold', async () => {
    await router().hold(60_000);
    await router().refuse(60_000);
    expect(await send('POST')).to.equal(503);
  });

  it('lets no write pass over several leases of a refusal that is renewed, and no read fail', async () => {
    const renewals = 6;
    const lease = 6_000;
    await router().refuse(lease);
    const answers = { GET: new Map<number, number>(), POST: new Map<number, number>() };
    let ended = false;
    const clients = (['POST', 'POST', 'POST', 'GET'] as const).map(async (method) => {
      while (!ended) {
        const status = await send(method);
        answers[method].set(status, (answers[method].get(status) ?? 0) + 1);
      }
    });
    for (let renewed = 0; renewed < renewals; renewed += 1) {
      await sleep(lease / 4);
      await router().refuse(lease);
    }
    ended = true;
    await Promise.all(clients);
    expect([...answers.POST.keys(), ...answers.GET.keys()]).to.deep.equal([503, 200]);
    await router().resumeWrites();
    expect(await send('POST')).to.equal(200);
  });

  it('lets writes pass by itself when nobody renews the lease', async () => {
    await router().refuse(4_000);
    expect(await send('POST')).to.equal(503);
    while ((await send('POST')) !== 200) await sleep(50);
    expect((await router().read()).holdMs).to.equal(0);
  });
}

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );
