import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { applicationName, rows, whileLost, withClient } from '../../../automation/data/connect.ts';
import { cutover, CutoverAborted, type CutoverResult } from '../../../automation/data/cutover.ts';
import { linkBetween, type Side } from '../../../automation/data/link.ts';
import { inspect, recoverCutover } from '../../../automation/data/recover.ts';
import { startSync, syncStatus, waitForSync } from '../../../automation/data/sync.ts';
import { countersSchema, Increments } from './increments.ts';
import { createRig, expand, schemaV1, type Rig } from './rig.ts';
import { MemoryRouter } from './traffic.ts';

const settings = { holdMs: 2000, drainMs: 1000 };

/** What may happen to a database and its sessions, as an administrator, the kernel or the network do it. */
const faults = {
  /** The program's own sessions end; the replication's and the application's go on. */
  'its sessions of the release end': (side: Side): Promise<void> =>
    withClient(
      side.access,
      'admin',
      async (client) => {
        const sql = 'SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE application_name LIKE $1 AND pid <> pg_backend_pid()'; // prettier-ignore
        await client.query(sql, [`${applicationName}%`]);
      },
      { applicationName: 'an administrator' },
    ),
  /** A backend is killed: the server ends all of them, recovers and starts again by itself. */
  'it crashes': async (side: Side): Promise<void> => {
    const [victim] = await withClient(side.access, 'admin', (client) =>
      rows<{ pid: number }>(
        client,
        `SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY backend_start LIMIT 1`,
      ),
    );
    if (victim === undefined) throw new Error('no backend to kill');
    process.kill(victim.pid, 'SIGKILL');
  },
};

describe('a cutover whose sessions break', () => {
  let rig: Rig;
  let router: MemoryRouter;
  let load: Increments;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  /** Blue live and counting, green following. */
  beforeEach(async () => {
    for (const side of [rig.blue, rig.green]) await whileLost(performance.now() + 20_000, () => withClient(side.access, 'admin', () => Promise.resolve())); // prettier-ignore
    await rig.fresh(schemaV1 + countersSchema);
    router = new MemoryRouter();
    await expand(rig);
    await waitForSync(await startSync(rig.blue, rig.green), { timeoutMs: 30_000 });
    load = new Increments(rig, router);
    await load.more(100);
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
        if (!(error instanceof CutoverAborted && error.undone) || attempt === 10) throw error;
        await sleep(500);
      }
    }
  };
  const state = () => inspect({ blue: rig.blue.access, green: rig.green.access }, router);
  const enabledDirections = async (): Promise<string[]> => {
    const on = (side: Side) =>
      withClient(side.access, 'admin', (client) =>
        rows<{ name: string }>(client, 'SELECT subname AS name FROM pg_subscription WHERE subenabled'),
      );
    return [...(await on(rig.blue)), ...(await on(rig.green))].map(({ name }) => name);
  };
  const once = (method: 'release' | 'hold', fault: () => Promise<void>): void => {
    const original = router[method].bind(router) as (...args: unknown[]) => Promise<void>;
    router[method] = async (...args: unknown[]) => {
      router[method] = original;
      await original(...args);
      await fault();
    };
  };

  for (const [what, fault] of Object.entries(faults)) {
    it(`N5: finishes where right after the flip, on the new colour, ${what}; one direction at a time, and no increment is lost`, async () => {
      once('release', () => fault(rig.green));
      const there = await forward();
      expect(there.problems).to.deep.equal([]);
      expect(router.split.live).to.equal('green');
      expect(await enabledDirections()).to.deep.equal(['greenlight_to_blue']);
      await load.more(300);
      const returned = await back();
      expect(returned.problems).to.deep.equal([]);
      expect(returned.equal).to.equal(true);
      await load.more(100);
      expect(await load.settle()).to.deep.equal({ lost: 0, doubled: 0 });
      expect((await state()).phase).to.equal('idle');
    });

    it(`N5: goes back at once where right after the flip, on the new colour, ${what} and the program ends`, async () => {
      // Nothing of what comes after the flip is done when the way back begins.
      const broken = new Promise<void>((resolve) =>
        once('release', async () => {
          await fault(rig.green);
          resolve();
          await new Promise<never>(() => undefined);
        }),
      );
      void forward();
      await broken;
      const returned = await back();
      expect(returned.problems).to.deep.equal([]);
      await load.more(300);
      expect(await load.settle()).to.deep.equal({ lost: 0, doubled: 0 });
      expect((await state()).phase).to.equal('idle');
    });

    it(`I1: is undone where in the hold, on the live colour, ${what}; the replication goes on`, async () => {
      once('hold', () => fault(rig.blue));
      const error = await forward().then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).to.be.instanceOf(CutoverAborted);
      expect((error as CutoverAborted).undone, String(error)).to.equal(true);
      await load.more(50);
      expect((await state()).phase).to.equal('replicating');
      expect((await syncStatus(linkBetween(rig.blue, rig.green))).state).to.equal('streaming');
      const there = await forward();
      expect(there.problems).to.deep.equal([]);
      await load.more(50);
      expect(await load.settle()).to.deep.equal({ lost: 0, doubled: 0 });
    });
  }

  it('I1: is settled where the live colour crashed in the hold and the program is gone: what lost its connection is revived', async () => {
    await faults['it crashes'](rig.blue);
    while ((await syncStatus(linkBetween(rig.blue, rig.green)).catch(() => undefined))?.state !== 'broken')
      await sleep(50);
    const recovery = await recoverCutover({ router, from: rig.blue, to: rig.green, direction: 'forward' });
    expect(recovery).to.deep.equal({ outcome: 'undone', replicating: true, problems: [] });
    await load.more(50);
    const there = await forward();
    expect(there.problems).to.deep.equal([]);
    await load.more(50);
    expect(await load.settle()).to.deep.equal({ lost: 0, doubled: 0 });
  });
});
