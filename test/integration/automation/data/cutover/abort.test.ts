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

  const changed = `BEGIN; UPDATE accounts SET profile = '{"a": 1}' WHERE id = 7`;

  it('is aborted before the hold by a writing transaction that stays open [N6]', async () => {
    const stubborn = await connect(scene.rig.blue.access, 'app');
    try {
      await stubborn.query(changed);
      const aborted = await expectUndone(await attempt(), 'prepare');
      expect(aborted.found).to.include('stays open').and.to.include('of app');
      expect(scene.router.holds).to.equal(0);
      await stubborn.query('COMMIT');
    } finally {
      await close(stubborn);
    }
  });

  it('is aborted by one that begins with the hold', async () => {
    const stubborn = await connect(scene.rig.blue.access, 'app');
    const hold = scene.router.hold.bind(scene.router);
    scene.router.hold = async (ms) => {
      await stubborn.query(changed);
      await hold(ms);
    };
    try {
      const aborted = await expectUndone(await attempt(), 'fence');
      expect(aborted.found).to.include('stays open').and.to.include('of app');
      await stubborn.query('COMMIT');
    } finally {
      await close(stubborn);
    }
  });

  it('is aborted before the hold by a transaction that stays open on the new side', async () => {
    const stubborn = await connect(scene.rig.green.access, 'admin');
    try {
      await stubborn.query(`BEGIN; CREATE TABLE unfinished (id int)`);
      const aborted = await expectUndone(await attempt(), 'prepare');
      expect(aborted.found).to.include('a transaction stayed open for longer than');
      expect(scene.router.holds).to.equal(0);
    } finally {
      await close(stubborn);
    }
  });

  it('is aborted by a request that is not answered', async () => {
    let answer = (): void => undefined;
    const slow = scene.router.write(() => new Promise<void>((resolve) => (answer = resolve)));
    const error = await attempt();
    answer();
    await slow;
    expect((await expectUndone(error, 'drain')).found).to.include('1 were not answered');
  });

  it('is aborted by a balancer that accepts the flip and does nothing', async () => {
    scene.router.onApply = () => Promise.resolve();
    await expectUndone(await attempt(), 'flip');
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
      await expectUndone(error, 'replay');
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
});
