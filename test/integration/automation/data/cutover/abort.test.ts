import { expect } from 'chai';
import { cutover, CutoverAborted } from '../../../../../automation/data/cutover/cutover.ts';
import type { CutoverOptions } from '../../../../../automation/data/cutover/types.ts';
import type { CutoverStep } from '../../../../../automation/data/cutover/procedure.ts';
import { inspect } from '../../../../../automation/data/cutover/recover.ts';
import { startSync, syncStatus, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { linkBetween } from '../../../../../automation/data/link.ts';
import { close, connect, createRig, expand, schemaV1, value, type Rig } from '../rig.ts';
import { MemoryRouter, Workload } from '../traffic.ts';

describe('a cutover that cannot be done', () => {
  let rig: Rig;
  let router: MemoryRouter;
  let load: Workload;
  before(async () => {
    rig = await createRig();
    await rig.fresh(schemaV1);
    await expand(rig);
    await waitForSync(await startSync(rig.blue, rig.green), { timeoutMs: 30_000 });
  });
  after(() => rig.dispose());
  beforeEach(async () => {
    await rig.run(rig.blue, 'DELETE FROM entries; DELETE FROM accounts WHERE id > 500');
    router = new MemoryRouter();
    load = new Workload(rig, router, 100, 4);
    await load.more(10);
  });
  afterEach(() => load.stop());

  const attempt = (options: Partial<CutoverOptions> = {}): Promise<unknown> =>
    cutover({
      router,
      from: rig.blue,
      to: rig.green,
      direction: 'forward',
      settings: { holdMs: 1000, drainMs: 300 },
      ...options,
    }).then(
      () => undefined,
      (error: unknown) => error,
    );

  /** The live colour goes on, nothing is lost, and the replication is where it was. */
  const expectUndone = async (error: unknown, step: CutoverStep): Promise<CutoverAborted> => {
    expect(error).to.be.instanceOf(CutoverAborted);
    const aborted = error as CutoverAborted;
    expect(aborted.message, aborted.message).to.include(`step ${step}`);
    expect(aborted.undone, aborted.message).to.equal(true);
    await load.more(20);
    await load.stop();
    expect(load.failures).to.deep.equal([]);
    expect(await load.check(rig)).to.deep.equal([]);
    const state = await inspect({ blue: rig.blue.access, green: rig.green.access }, router);
    expect(state).to.deep.include({
      live: 'blue',
      holdMs: 0,
      phase: 'replicating',
      writers: { blue: true, green: false },
    });
    expect(state.links.green?.state).to.equal('streaming');
    await waitForSync(linkBetween(rig.blue, rig.green), { timeoutMs: 10_000 });
    expect(await value<string>(rig.green, 'SELECT count(*) FROM entries')).to.equal(String(load.acknowledged.size));
    return aborted;
  };

  it('gives way to a transaction that writes and stays open', async () => {
    const stubborn = await connect(rig.blue.access, 'app');
    try {
      await stubborn.query(`BEGIN; UPDATE accounts SET profile = '{"a": 1}' WHERE id = 7`);
      const aborted = await expectUndone(await attempt(), 'fence');
      expect(aborted.found).to.include('stays open').and.to.include('of app');
      await stubborn.query('COMMIT');
    } finally {
      await close(stubborn);
    }
  });

  it('gives way to a transaction that stays open on the new side, and holds nothing meanwhile', async () => {
    const stubborn = await connect(rig.green.access, 'admin');
    try {
      await stubborn.query(`BEGIN; CREATE TABLE unfinished (id int)`);
      const aborted = await expectUndone(await attempt(), 'prepare');
      expect(aborted.found).to.include('a transaction stayed open for longer than');
      expect(router.holds).to.equal(0);
    } finally {
      await close(stubborn);
    }
  });

  it('gives way to a request that is not answered', async () => {
    let answer = (): void => undefined;
    const slow = router.write(() => new Promise<void>((resolve) => (answer = resolve)));
    const error = await attempt();
    answer();
    await slow;
    expect((await expectUndone(error, 'drain')).found).to.include('1 were not answered');
  });

  it('notices a balancer that takes the command and does nothing', async () => {
    router.onApply = () => Promise.resolve();
    await expectUndone(await attempt(), 'flip');
  });

  it('notices a balancer that fails', async () => {
    router.onApply = () => Promise.reject(new Error('socket gone'));
    const aborted = await expectUndone(await attempt(), 'flip');
    expect(aborted.found).to.include('socket gone');
  });

  it('is aborted by a lag that does not end within the hold', async () => {
    const blocker = await connect(rig.green.access, 'admin');
    try {
      const hold = router.hold.bind(router);
      router.hold = async (leaseMs) => {
        await blocker.query('BEGIN; LOCK TABLE entries IN ACCESS EXCLUSIVE MODE');
        // Something that cannot be applied while that lock is held.
        await load.more(5);
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
      expect((await syncStatus(linkBetween(rig.green, rig.blue))).state).to.equal('none');
    }
    await expectUndone(await attempt({ signal: AbortSignal.abort(new Error('stopped')) }), 'prepare');
  });

  it('is refused before anything is held where it may not begin', async () => {
    expect(String(await attempt({ from: rig.green, to: rig.blue }))).to.include('blue is live, not green');
    expect(router.holds).to.equal(0);
  });

  it('is none where the balancer fails and has flipped all the same', async () => {
    router.onApply = (_, apply) => {
      apply();
      return Promise.reject(new Error('connection reset'));
    };
    const settings = { holdMs: 1000, drainMs: 300 };
    const done = await cutover({ router, from: rig.blue, to: rig.green, direction: 'forward', settings });
    expect(done.problems).to.deep.equal([]);
    expect(done.equal).to.equal(true);
    await load.more(20);
    await load.stop();
    expect(load.failures).to.deep.equal([]);
    expect(await load.check(rig)).to.deep.equal([]);
  });
});
