import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { connect, rows, withClient } from '../../../../../automation/data/connect.ts';
import { CutoverAborted } from '../../../../../automation/data/cutover/cutover.ts';
import type { CutoverResult } from '../../../../../automation/data/cutover/types.ts';
import type { CutoverStep } from '../../../../../automation/data/cutover/procedure.ts';
import { linkBetween, type Side } from '../../../../../automation/data/link.ts';
import { recoverCutover } from '../../../../../automation/data/cutover/recover.ts';
import { enableSubscription } from '../../../../../automation/data/replication/subscription.ts';
import { syncStatus } from '../../../../../automation/data/replication/sync.ts';
import { after as afterIt, answers, faults } from '../faults.ts';
import { close } from '../rig.ts';
import { CutoverScene } from './scene.ts';

/** The faults at every step are in `settles.test.ts`. */
describe('a cutover whose sessions break', () => {
  const scene = new CutoverScene({ holdMs: 2000, drainMs: 1000 });
  beforeEach(async () => {
    await Promise.all([scene.rig.blue, scene.rig.green].map(answers));
    await scene.following();
    await scene.write(300, undefined, 50);
  });

  /** As a release does it: tried again where it was aborted and undone. */
  const back = async (): Promise<CutoverResult> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await scene.back();
      } catch (error) {
        if (!(error instanceof CutoverAborted && error.undone) || attempt === 20) throw error;
        await sleep(500);
      }
    }
  };
  const enabled = async (): Promise<string[]> => {
    const on = (side: Side) =>
      withClient(side.access, 'admin', (client) =>
        rows<{ name: string }>(client, 'SELECT subname AS name FROM pg_subscription WHERE subenabled'),
      );
    return [...(await on(scene.rig.blue)), ...(await on(scene.rig.green))].map(({ name }) => name);
  };
  const nothingLost = () => scene.expectNothingLost(50, { mayFail: true });

  for (const what of ['the sessions of the release end', 'the replication’s processes end', 'a backend is killed']) {
    it(`rolls back if ${what} on green right after the flip and the program hangs`, async () => {
      // Nothing of what comes after the flip is done when the way back begins.
      const broken = new Promise<void>((resolve) =>
        afterIt(scene.router, 'resumeWrites', async () => {
          await faults[what]?.(scene.rig, scene.rig.green);
          resolve();
          await new Promise<never>(() => undefined);
        }),
      );
      void scene.forward();
      await broken;
      const returned = await back();
      expect(returned.problems).to.deep.equal([]);
      await scene.load.more(100);
      await nothingLost();
      expect((await scene.state()).phase).to.equal('idle');
    });
  }

  it('reports that the new colour may still write if it is unreachable after the grant', async () => {
    const administrator = await connect(scene.rig.green.access, 'admin', { applicationName: 'an administrator' });
    const { router } = scene;
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
      const ended = await scene.forward({ onStep }).catch((error: unknown) => error);
      expect(ended).to.be.instanceOf(CutoverAborted).and.to.have.property('undone', false);
      expect((ended as CutoverAborted).message).to.include('green may still write');
    } finally {
      await administrator.query('ALTER ROLE admin LOGIN');
      await close(administrator);
    }
    const recovery = await recoverCutover({
      router: scene.router,
      from: scene.rig.blue,
      to: scene.rig.green,
      direction: 'forward',
    });
    expect(recovery).to.deep.equal({ outcome: 'undone', replicating: true, problems: [] });
    expect((await scene.state()).phase).to.equal('replicating');
    await nothingLost();
  });

  it('never starts one direction while the other one runs', async () => {
    const there = await scene.forward();
    expect(there.problems).to.deep.equal([]);
    const link = linkBetween(scene.rig.blue, scene.rig.green);
    const [blue, green] = [
      await connect(scene.rig.blue.access, 'admin'),
      await connect(scene.rig.green.access, 'admin'),
    ];
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

  it('is recovered after the live colour crashed and the program died: the replication is restarted [I1]', async () => {
    await faults['a backend is killed']?.(scene.rig, scene.rig.blue);
    while ((await syncStatus(linkBetween(scene.rig.blue, scene.rig.green))).state !== 'broken') await sleep(50);
    const recovery = await recoverCutover({
      router: scene.router,
      from: scene.rig.blue,
      to: scene.rig.green,
      direction: 'forward',
    });
    expect(recovery).to.deep.equal({ outcome: 'undone', replicating: true, problems: [] });
    await scene.load.more(50);
    expect((await scene.forward()).problems).to.deep.equal([]);
    await nothingLost();
  });
});
