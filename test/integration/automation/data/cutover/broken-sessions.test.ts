import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { connect, rows, withClient } from '../../../../../automation/data/connect.ts';
import { cutover, CutoverAborted } from '../../../../../automation/data/cutover/cutover.ts';
import type { CutoverResult, CutoverStep } from '../../../../../automation/data/cutover/types.ts';
import { linkBetween, type Side } from '../../../../../automation/data/link.ts';
import { inspect, recoverCutover } from '../../../../../automation/data/cutover/recover.ts';
import { enableSubscription } from '../../../../../automation/data/replication/subscription.ts';
import { startSync, syncStatus, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { after as afterIt, answers, faults } from '../faults.ts';
import { close, createRig, expand, schemaV1, type Rig } from '../rig.ts';
import { MemoryRouter, Workload } from '../traffic.ts';

const settings = { holdMs: 2000, drainMs: 1000 };

describe('a cutover whose sessions break', () => {
  let rig: Rig;
  let router: MemoryRouter;
  let load: Workload;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  /** Blue live and written to, green following. */
  beforeEach(async () => {
    await Promise.all([rig.blue, rig.green].map(answers));
    await rig.fresh(schemaV1);
    router = new MemoryRouter();
    await expand(rig);
    await waitForSync(await startSync(rig.blue, rig.green), { timeoutMs: 30_000 });
    load = new Workload(rig, router, 300);
    await load.more(50);
  });
  afterEach(() => load.stop());

  const forward = (): Promise<CutoverResult> =>
    cutover({ router, from: rig.blue, to: rig.green, direction: 'forward', settings });
  /** As a release does it: tried again where it was aborted and undone. */
  const back = async (): Promise<CutoverResult> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await cutover({ router, from: rig.green, to: rig.blue, direction: 'rollback', settings });
      } catch (error) {
        if (!(error instanceof CutoverAborted && error.undone) || attempt === 20) throw error;
        await sleep(500);
      }
    }
  };
  const state = () => inspect({ blue: rig.blue.access, green: rig.green.access }, router);
  const enabled = async (): Promise<string[]> => {
    const on = (side: Side) =>
      withClient(side.access, 'admin', (client) =>
        rows<{ name: string }>(client, 'SELECT subname AS name FROM pg_subscription WHERE subenabled'),
      );
    return [...(await on(rig.blue)), ...(await on(rig.green))].map(({ name }) => name);
  };
  const nothingLost = async (): Promise<void> => {
    await load.more(50);
    await load.stop();
    expect(await load.check(rig)).to.deep.equal([]);
  };

  for (const [what, fault] of Object.entries(faults)) {
    for (const colour of ['blue', 'green'] as const) {
      it(`N5: ends by itself where ${what} on ${colour} right after the flip: one direction at a time, no increment is lost`, async () => {
        afterIt(router, 'resumeWrites', () => fault(rig[colour]));
        const there = await forward();
        expect(there.problems).to.deep.equal([]);
        expect(router.split.live).to.equal('green');
        expect(await enabled()).to.deep.equal(['greenlight_to_blue']);
        await load.more(100);
        const returned = await back();
        expect(returned.problems).to.deep.equal([]);
        expect(returned.equal).to.equal(true);
        await nothingLost();
        expect((await state()).phase).to.equal('idle');
      });

      it(`I1: is undone or done, by itself, where ${what} on ${colour} in the hold`, async () => {
        afterIt(router, 'hold', () => fault(rig[colour]));
        const ended = await forward().catch((error: unknown) => error);
        if (ended instanceof CutoverAborted) {
          expect(ended.undone, ended.message).to.equal(true);
          expect((await state()).phase).to.equal('replicating');
          expect((await syncStatus(linkBetween(rig.blue, rig.green))).state).to.equal('streaming');
          await load.more(50);
          expect((await forward()).problems).to.deep.equal([]);
        } else expect(ended).to.have.property('problems').that.deep.equals([]);
        expect(router.split.live).to.equal('green');
        await nothingLost();
      });
    }

    it(`N5: goes back where ${what} on green right after the flip and the program stands still`, async () => {
      // Nothing of what comes after the flip is done when the way back begins.
      const broken = new Promise<void>((resolve) =>
        afterIt(router, 'resumeWrites', async () => {
          await fault(rig.green);
          resolve();
          await new Promise<never>(() => undefined);
        }),
      );
      void forward();
      await broken;
      const returned = await back();
      expect(returned.problems).to.deep.equal([]);
      await load.more(100);
      await nothingLost();
      expect((await state()).phase).to.equal('idle');
    });
  }

  it('I1: is undone where the new colour stands still in the hold, without waiting for it', async () => {
    const stopped: number[] = [];
    afterIt(router, 'hold', async () => {
      const sql = `SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'greenlight%' AND backend_type = 'client backend' AND pid <> pg_backend_pid()`;
      stopped.push(
        ...(await withClient(rig.green.access, 'admin', (c) => rows<{ pid: number }>(c, sql))).map((r) => r.pid),
      );
      for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    });
    try {
      const ended = await forward().catch((error: unknown) => error);
      expect(ended).to.be.instanceOf(CutoverAborted).and.to.have.property('undone', true);
      expect(router.held).to.equal(false);
    } finally {
      for (const pid of stopped) process.kill(pid, 'SIGCONT');
    }
    await nothingLost();
    expect((await state()).phase).to.equal('replicating');
  });

  it('I1: says that the new colour may still write where it cannot be reached any more after the grant', async () => {
    const administrator = await connect(rig.green.access, 'admin', { applicationName: 'an administrator' });
    const read = router.read;
    let granted = false;
    router.read = async () => {
      if (granted) {
        router.read = read;
        await administrator.query('ALTER ROLE admin NOLOGIN');
        await administrator.query(
          `SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE application_name LIKE 'greenlight%' AND backend_type = 'client backend'`,
        );
        await router.resumeWrites();
      }
      return read();
    };
    try {
      const onStep = (step: CutoverStep): void => void (granted ||= step === 'grant');
      const ended = await cutover({
        router,
        from: rig.blue,
        to: rig.green,
        direction: 'forward',
        settings,
        onStep,
      }).catch((error: unknown) => error);
      expect(ended).to.be.instanceOf(CutoverAborted).and.to.have.property('undone', false);
      expect((ended as CutoverAborted).message).to.include('green may still write');
    } finally {
      await administrator.query('ALTER ROLE admin LOGIN');
      await close(administrator);
    }
    const recovery = await recoverCutover({ router, from: rig.blue, to: rig.green, direction: 'forward' });
    expect(recovery).to.deep.equal({ outcome: 'undone', replicating: true, problems: [] });
    expect((await state()).phase).to.equal('replicating');
    await nothingLost();
  });

  it('N5: no direction starts while the other one runs, whoever wants it', async () => {
    const there = await forward();
    expect(there.problems).to.deep.equal([]);
    const link = linkBetween(rig.blue, rig.green);
    const [blue, green] = [await connect(rig.blue.access, 'admin'), await connect(rig.green.access, 'admin')];
    try {
      const error = await enableSubscription(link, blue, green).catch((reason: unknown) => reason);
      expect(String(error))
        .to.include('the subscription greenlight_to_blue on blue is enabled')
        .and.to.include('somebody streams from the slot greenlight_to_blue on green');
      expect(await enabled()).to.deep.equal(['greenlight_to_blue']);
    } finally {
      await Promise.all([close(blue), close(green)]);
    }
    await nothingLost();
  });

  it('I1: is settled where the live colour crashed in the hold and the program is gone: what lost its connection is revived', async () => {
    await faults['a backend is killed'](rig.blue);
    await answers(rig.blue);
    while ((await syncStatus(linkBetween(rig.blue, rig.green))).state !== 'broken') await sleep(50);
    const recovery = await recoverCutover({ router, from: rig.blue, to: rig.green, direction: 'forward' });
    expect(recovery).to.deep.equal({ outcome: 'undone', replicating: true, problems: [] });
    await load.more(50);
    expect((await forward()).problems).to.deep.equal([]);
    await nothingLost();
  });
});
