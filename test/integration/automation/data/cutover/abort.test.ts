import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { CutoverAborted } from '../../../../../automation/data/cutover/cutover.ts';
import type { CutoverOptions } from '../../../../../automation/data/cutover/types.ts';
import type { CutoverStep } from '../../../../../automation/data/cutover/procedure.ts';
import { syncStatus, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { linkBetween } from '../../../../../automation/data/link.ts';
import { close, connect, value } from '../rig.ts';
import { MemoryRouter } from '../traffic.ts';
import { CutoverScene } from './scene.ts';

describe('a cutover that cannot be done', () => {
  const scene = new CutoverScene({ holdMs: 1000, drainMs: 300 });
  before(() => scene.following());
  beforeEach(async () => {
    if (scene.router.split.live === 'green') await scene.following();
    await scene.rig.run(scene.rig.blue, 'DELETE FROM entries; DELETE FROM accounts WHERE id > 500');
    scene.router = new MemoryRouter();
    await scene.write(100, 4, 10);
  });

  const attempt = (options: Partial<CutoverOptions> = {}): Promise<unknown> =>
    scene.forward(options).then(
      () => undefined,
      (error: unknown) => error,
    );

  /** The live colour goes on, nothing is lost, and the replication is where it was. */
  const expectUndone = async (error: unknown, step: CutoverStep): Promise<CutoverAborted> => {
    expect(error).to.be.instanceOf(CutoverAborted);
    const aborted = error as CutoverAborted;
    expect(aborted.message, aborted.message).to.include(`step ${step}`);
    expect(aborted.undone, aborted.message).to.equal(true);
    await scene.expectNothingLost(20);
    const state = await scene.state();
    expect(state).to.deep.include({
      live: 'blue',
      findings: [],
      phase: 'replicating',
      writers: { blue: true, green: false },
    });
    expect(state.links.green?.state).to.equal('streaming');
    await waitForSync(linkBetween(scene.rig.blue, scene.rig.green), { timeoutMs: 10_000 });
    expect(await value<string>(scene.rig.green, 'SELECT count(*) FROM entries')).to.equal(
      String(scene.load.acknowledged.size),
    );
    return aborted;
  };

  it('is refused before the hold by whatever keeps a table locked, and names all of it', async () => {
    const held = {
      'RowExclusiveLock on public.accounts': `BEGIN; UPDATE accounts SET profile = '{"a": 1}' WHERE id = 7`,
      'ShareRowExclusiveLock on public.settings': 'BEGIN; LOCK TABLE settings IN SHARE ROW EXCLUSIVE MODE',
      'ShareUpdateExclusiveLock on public.counters': 'BEGIN; ANALYZE counters',
    };
    const jobs = await Promise.all(
      Object.values(held).map(async (sql) => {
        const job = await connect(scene.rig.blue.access, 'owner', { applicationName: 'a job' });
        await job.query(sql);
        return job;
      }),
    );
    try {
      await sleep(400);
      const { found } = await expectUndone(await attempt(), 'prepare');
      for (const lock of Object.keys(held))
        expect(found).to.match(
          new RegExp(`process \\d+ of owner \\(a job\\), idle in transaction for \\d+ (ms|s), ${lock}`),
        );
      expect(scene.router.holds).to.equal(0);
    } finally {
      await Promise.all(jobs.map(close));
    }
  });

  it('is aborted by a writing transaction that begins in the hold and stays open, and names it', async () => {
    const stubborn = await connect(scene.rig.blue.access, 'owner', { applicationName: 'a job' });
    try {
      const { router } = scene;
      const hold = router.hold.bind(router);
      router.hold = async (leaseMs) => {
        await stubborn.query(`BEGIN; UPDATE accounts SET profile = '{"a": 1}' WHERE id = 7`);
        await hold(leaseMs);
      };
      const { found } = await expectUndone(await attempt(), 'fence');
      expect(found)
        .to.include('of owner (a job), idle in transaction')
        .and.to.include('RowExclusiveLock on public.accounts');
    } finally {
      await close(stubborn);
    }
  });

  it('is aborted before the hold by a transaction that stays open on the new side', async () => {
    const stubborn = await connect(scene.rig.green.access, 'admin');
    try {
      await stubborn.query(`BEGIN; CREATE TABLE unfinished (id int)`);
      const aborted = await expectUndone(await attempt(), 'prepare');
      expect(aborted.found)
        .to.include('a transaction stayed open for longer than')
        .and.to.match(/process \d+ of admin \(greenlight\), idle in transaction/);
      expect(scene.router.holds).to.equal(0);
    } finally {
      await close(stubborn);
    }
  });

  it('is aborted by a request that is not answered, and names it and the slow statement behind it [I]', async () => {
    const session = await connect(scene.rig.blue.access, 'app', { applicationName: 'shop' });
    const { router } = scene;
    const hold = router.hold.bind(router);
    let slow: Promise<unknown> | undefined;
    router.hold = (leaseMs) => {
      slow = router.write(() => session.query(`SELECT pg_sleep(2), 'personal'`));
      return hold(leaseMs);
    };
    const path = '/orders';
    router.nameWrites = () => Promise.resolve([{ service: 'api', instance: 2, method: 'POST', path, ms: 51 }]);
    const error = await attempt();
    await slow;
    await close(session);
    const { found } = await expectUndone(error, 'drain');
    expect(found).to.match(
      /: 1 were not answered in time: POST \/orders of api, instance 2 for 51 ms; in the database: .*process \d+ of app \(shop\), active for \d+ ms/,
    );
    expect(found).not.to.include('personal');
  });

  it('holds no write after it was aborted, however late the balancer begins to hold', async () => {
    const { router } = scene;
    const hold = router.hold.bind(router);
    const [end, asked, begin] = [new AbortController(), Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let holding: Promise<void> | undefined;
    // As one that waits until its old worker has ended.
    router.hold = (...given) =>
      (holding = (async () => {
        asked.resolve();
        await begin.promise;
        await hold(...given);
      })());
    const attempted = attempt({ signal: end.signal });
    await asked.promise;
    end.abort(new Error('stopped by hand'));
    const error = await attempted;
    begin.resolve();
    await holding?.catch(() => undefined);
    expect(router.held).to.equal(false);
    await expectUndone(error, 'hold');
  });

  it('is aborted by a balancer that accepts the flip and does nothing', async () => {
    scene.router.onApply = () => Promise.resolve();
    await expectUndone(await attempt(), 'flip');
  });

  it('is put back if the balancer makes the flip 3.5 s late [I2]', async () => {
    scene.router.onApply = (split, apply) => {
      if (split.live === 'blue') apply();
      else setTimeout(apply, 3_500).unref();
      return Promise.resolve();
    };
    expect(await attempt()).to.include({ step: 'flip', undone: true });
    expect(scene.router.split.live).to.equal('blue');
    await scene.load.more(20);
    await scene.expectNothingLost(20, { mayFail: true });
  });

  it('is put back if the balancer makes the flip 3.5 s late, and answers only then [I2]', async () => {
    scene.router.onApply = async (split, apply) => {
      if (split.live === 'green') await sleep(3_500);
      apply();
    };
    const aborted = await attempt();
    expect(aborted).to.include({ step: 'flip', undone: true });
    expect((aborted as CutoverAborted).found).to.include('after the time that writes may be held');
    expect(scene.router.split.live).to.equal('blue');
    await scene.load.more(20);
    await scene.expectNothingLost(20, { mayFail: true });
  });

  it('is aborted by a balancer that fails', async () => {
    scene.router.onApply = () => Promise.reject(new Error('socket gone'));
    const aborted = await expectUndone(await attempt(), 'flip');
    expect(aborted.found).to.include('socket gone');
  });

  it('is aborted by a lag that does not end within the hold', async () => {
    const blocker = await connect(scene.rig.green.access, 'admin');
    try {
      const { router } = scene;
      const hold = router.hold.bind(router);
      router.hold = async (leaseMs) => {
        await blocker.query('BEGIN; LOCK TABLE entries IN ACCESS EXCLUSIVE MODE');
        // Something that cannot be applied while that lock is held.
        await scene.load.more(5);
        await hold(leaseMs);
      };
      const error = await attempt();
      await blocker.query('ROLLBACK');
      const { found } = await expectUndone(error, 'replay');
      expect(found).to.match(/\d+ bytes of log are not applied, and its worker waits for process \d+ of admin/);
      expect(found).to.include('AccessExclusiveLock on public.entries');
    } finally {
      await close(blocker);
    }
  });

  it('is aborted by the operator, and by an observer that fails at any step before the flip', async () => {
    for (const step of ['prepare', 'hold', 'drain', 'fence', 'replay', 'carry-over', 'grant'] as const) {
      const steps: CutoverStep[] = [];
      const controller = new AbortController();
      const onStep = (done: CutoverStep): void => {
        steps.push(done);
        if (done !== step) return;
        if (step === 'drain') controller.abort(new Error('stopped by the operator'));
        else throw new Error('disk full');
      };
      const error = await attempt({ onStep, signal: controller.signal });
      expect(error, step).to.be.instanceOf(CutoverAborted);
      expect((error as CutoverAborted).undone, String(error)).to.equal(true);
      expect(steps.at(-1)).to.equal(step);
      expect((await syncStatus(linkBetween(scene.rig.green, scene.rig.blue))).state).to.equal('none');
    }
    await expectUndone(await attempt({ signal: AbortSignal.abort(new Error('stopped')) }), 'prepare');
  });

  it('is refused before the hold if its preconditions are not met', async () => {
    expect(String(await attempt({ from: scene.rig.green, to: scene.rig.blue }))).to.include('blue is live, not green');
    expect(scene.router.holds).to.equal(0);
  });

  it('is finished if the balancer reports a failure but has flipped', async () => {
    scene.router.onApply = (_, apply) => {
      apply();
      return Promise.reject(new Error('connection reset'));
    };
    const done = await scene.forward();
    expect(done.problems).to.deep.equal([]);
    expect(done.equal).to.equal(true);
    await scene.expectNothingLost(20);
  });

  it('is finished if the balancer flips in time, and does not answer [I2]', async () => {
    scene.router.onApply = async (_, apply) => {
      apply();
      await sleep(3_500);
    };
    const done = await scene.forward();
    expect([done.problems, done.equal]).to.deep.equal([[], true]);
    await scene.expectNothingLost(20);
  });
});
