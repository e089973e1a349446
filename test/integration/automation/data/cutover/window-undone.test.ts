import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { CutoverAborted } from '../../../../../automation/data/cutover/cutover.ts';
import {
  recoverWindow,
  windowSteps,
  type WindowOptions,
  type WindowStep,
} from '../../../../../automation/data/cutover/window.ts';
import { rows, withClient } from '../../../../../automation/data/connect.ts';
import type { Side } from '../../../../../automation/data/link.ts';
import { mayWrite } from '../../../../../automation/data/schema.ts';
import { faults } from '../faults.ts';
import { close, connect, value } from '../rig.ts';
import { CutoverScene } from './scene.ts';
import { migrateGreen, openWindow, tryWrite, writeBoth } from './window-scene.ts';

describe('a read-only window that cannot be finished', () => {
  const scene = new CutoverScene({ holdMs: 2000, drainMs: 1000 });
  beforeEach(async () => {
    await scene.following();
    await writeBoth(scene, 20);
  });

  /** Runs a window, and expects that writes go on to blue and that nothing was lost. */
  async function undone(options: Partial<WindowOptions>, { mayFail = false } = {}): Promise<CutoverAborted> {
    const error: unknown = await openWindow(scene, options).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).to.be.instanceOf(CutoverAborted);
    const aborted = error as CutoverAborted;
    expect(aborted.undone, aborted.message).to.equal(true);
    expect(scene.router.refuses).to.equal(false);
    await scene.expectNothingLost(20, { mayFail });
    const state = await scene.state();
    expect(state).to.deep.include({ live: 'blue', findings: [], writers: { blue: true, green: false } });
    const ended = windowSteps.indexOf(aborted.step as WindowStep) > windowSteps.indexOf('end');
    expect(state.links.green.state).to.equal(ended ? 'none' : 'streaming');
    expect(await slots(scene.rig.blue)).to.equal(ended ? 0 : 1);
    return aborted;
  }
  const slots = (side: Side): Promise<number> =>
    withClient(side.access, 'admin', async (client) => (await rows(client, 'SELECT FROM pg_replication_slots')).length);
  const never = (): Promise<never> => new Promise(() => undefined);

  for (const step of ['migrate', 'start', 'check'] as const) {
    it(`is undone where ${step} fails, and green is left without a replication`, async () => {
      const { found, step: at } = await undone({ [step]: () => Promise.reject(new Error('it did not work')) });
      expect([at, found]).to.deep.equal([step, 'it did not work']);
    });
  }

  for (const step of ['migrate', 'check'] as const) {
    it(`is undone where its time is over in ${step}, though that does not end`, async () => {
      let told: unknown;
      const started = performance.now();
      const aborted = await undone({
        settings: { longestMs: 2_500, drainMs: 1_000 },
        [step]: (signal: AbortSignal) => {
          signal.addEventListener('abort', () => (told = signal.reason as unknown));
          return never();
        },
      });
      expect(performance.now() - started).to.be.below(12_000);
      expect(aborted.step).to.equal(step);
      expect(aborted.found).to.equal('refusing writes: the 2.5 s that they may be refused have passed');
      expect(String(told)).to.include('the 2.5 s that they may be refused have passed');
    });
  }

  it('does no harm where a migration goes on after it was undone', async () => {
    const late = Promise.withResolvers<void>();
    const end = new AbortController();
    await undone({
      signal: end.signal,
      migrate: async () => {
        end.abort(new Error('stopped by the operator'));
        await scene.load.more(20);
        await migrateGreen(scene).finally(() => late.resolve());
      },
    });
    await late.promise;
    expect(await tryWrite(scene, 'green')).to.include('permission denied');
    expect(await tryWrite(scene, 'blue')).to.equal('written');
  });

  it('is undone by a transaction that writes and does not end, and names it; the replication goes on', async () => {
    const stubborn = await connect(scene.rig.blue.access, 'owner', { applicationName: 'a job' });
    try {
      const { found, step } = await undone({
        beforeRefusal: async () => void (await stubborn.query('BEGIN; DELETE FROM settings WHERE account = 7')),
      });
      expect(step).to.equal('fence');
      expect(found).to.include('of owner (a job), idle in transaction').and.to.include('on public.settings');
    } finally {
      await close(stubborn);
    }
    expect((await openWindow(scene)).problems).to.deep.equal([]);
  });

  it('is undone before anything is migrated where the databases differ, and names the tables', async () => {
    await scene.rig.run(scene.rig.green, `UPDATE accounts SET email = 'changed by hand' WHERE id = 499`);
    let migrated = false;
    const { found, step, code } = await undone({
      migrate: () => {
        migrated = true;
        return Promise.resolve();
      },
    });
    expect([step, code, migrated]).to.deep.equal(['compare', 'lasting', false]);
    expect(found).to.include('comparing green with blue: they differ in public.accounts (');
  });

  it('is undone where a function of the live database is replaced while green is migrated', async () => {
    const { found, step } = await undone({
      migrate: async () => {
        await scene.rig.run(scene.rig.blue, `CREATE FUNCTION late() RETURNS int LANGUAGE sql AS 'SELECT 1'`);
        await migrateGreen(scene);
      },
    });
    expect(step).to.equal('grant');
    expect(found).to.include('late');
  });

  it('is undone where the live server restarts', async () => {
    let restarted: Promise<void> | undefined;
    const aborted = await undone(
      {
        start: async () => {
          restarted = faults['the server crashes and is started']?.(scene.rig, scene.rig.blue);
          await never();
        },
      },
      { mayFail: true },
    );
    await restarted;
    expect(aborted.step).to.equal('start');
    expect(aborted.found).to.include('the fence is lost');
  });

  it('is undone where the session of the fence is ended', async () => {
    const { found, step } = await undone({
      start: async () => {
        const ended = await withClient(scene.rig.blue.access, 'admin', (client) =>
          rows(
            client,
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'greenlight-fence'`,
          ),
        );
        expect(ended).to.have.length(1);
        await never();
      },
    });
    expect(step).to.equal('start');
    expect(found).to.match(/^refusing writes: the fence is lost: /);
  });

  it('does not flip where the session of the fence has ended since the last renewal', async () => {
    const { found, step } = await undone({
      onStep: (done) => {
        if (done === 'grant') faults['the sessions of the release end']?.(scene.rig, scene.rig.blue).catch(() => 0);
      },
    });
    expect([step, scene.router.split.live]).to.deep.equal(['flip', 'blue']);
    expect(found).to.include('the fence is lost');
  });

  it('is undone where the lease has expired at the balancer, as of a program that was suspended', async () => {
    const { found, step } = await undone({
      start: () => {
        scene.router.lapse();
        return never();
      },
    });
    expect([step, found]).to.deep.equal(['start', 'refusing writes: the lease has expired at the balancer']);
  });

  it('does not flip where the lease has expired since the last renewal', async () => {
    const { found, step } = await undone({
      onStep: (done) => {
        if (done === 'grant') scene.router.lapse();
      },
    });
    expect([step, found]).to.deep.equal(['flip', 'refusing writes: the lease has expired at the balancer']);
  });

  it('touches nothing any more where another machine has taken the environment over, and has finished it', async () => {
    const { rig, router } = scene;
    let mine = true;
    const error: unknown = await openWindow(scene, {
      ours: () => mine,
      check: async () => {
        mine = false;
        await router.apply({ live: 'green', percent: 0 });
        const recovery = await recoverWindow({ router, from: rig.blue, to: rig.green });
        expect(recovery).to.include({ outcome: 'finished' });
        await never();
      },
    }).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(CutoverAborted).and.to.include({ step: 'check', undone: false });
    expect((error as CutoverAborted).found).to.include('another machine has taken the environment over');
    await scene.expectNothingLost(20);
    const state = await scene.state();
    expect(state).to.deep.include({ live: 'green', findings: [], writers: { blue: false, green: true } });
  });

  it('ends the comparison where its time is over, on both servers', async () => {
    const locker = await connect(scene.rig.green.access, 'admin', { applicationName: 'a job' });
    try {
      const { step, found } = await undone({
        settings: { longestMs: 2_000, drainMs: 1_000 },
        onStep: (done) => {
          if (done === 'carry-over') void locker.query('BEGIN; LOCK TABLE settings');
        },
      });
      expect([step, found]).to.deep.equal(['compare', 'refusing writes: the 2 s that they may be refused have passed']);
      const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND backend_type = 'client backend'`;
      while ((await rows(locker, waiting)).length > 0) await sleep(20);
    } finally {
      await close(locker);
    }
  });

  it('goes on where one renewal fails, and is undone where two in a row do', async () => {
    const { router } = scene;
    const refuse = router.refuse.bind(router);
    let failing = 0;
    let failed = 0;
    router.refuse = (...given) => {
      if (failing === 0) return refuse(...given);
      failing -= 1;
      failed += 1;
      return Promise.reject(new Error('socket gone'));
    };
    const renewals = async (count: number, signal: AbortSignal): Promise<void> => {
      const wanted = router.refusals + failed + count;
      while (router.refusals + failed < wanted) await sleep(20, undefined, { signal });
    };
    const { found, step } = await undone({
      migrate: async (signal) => {
        failing = 1;
        await renewals(2, signal);
        await migrateGreen(scene);
      },
      start: () => {
        failing = 2;
        return never();
      },
    });
    expect([step, found]).to.deep.equal(['start', 'refusing writes: it could not be renewed: socket gone']);
  });

  it('is settled once a balancer answers again that gave no answer meanwhile', async () => {
    const { router } = scene;
    const read = router.read.bind(router);
    const [refuse, resumeWrites] = [router.refuse.bind(router), router.resumeWrites.bind(router)];
    const unsettled: string[] = [];
    const gone = (): Promise<never> => Promise.reject(new Error('no answer'));
    const aborted = await undone({
      start: () => {
        Object.assign(router, { read: gone, refuse: gone, resumeWrites: gone });
        return never();
      },
      onUnsettled: (why) => {
        unsettled.push(why);
        Object.assign(router, { read, refuse, resumeWrites });
      },
    });
    expect(aborted.step).to.equal('start');
    expect(unsettled).to.have.length(1);
    expect(unsettled[0]).to.include('releasing writes: no answer');
  });

  it('keeps blue fenced while nobody knows whether the balancer has flipped, and is settled then', async () => {
    const { router } = scene;
    const { read } = router;
    router.onApply = () => {
      router.read = () => Promise.reject(new Error('no answer'));
      return Promise.reject(new Error('socket gone'));
    };
    let meanwhile: string | undefined;
    const { step } = await undone(
      {
        onUnsettled: () =>
          void tryWrite(scene, 'blue').then((result) => {
            meanwhile = result;
            router.read = read;
          }),
      },
      { mayFail: true },
    );
    expect([step, meanwhile]).to.deep.equal(['flip', 'permission denied for table counters']);
  });

  it('is put back where the balancer makes the flip too late', async () => {
    scene.router.onApply = async (split, apply) => {
      if (split.live === 'green') await sleep(11_000);
      apply();
    };
    const { found, step } = await undone({}, { mayFail: true });
    expect([step, scene.router.split.live]).to.deep.equal(['flip', 'blue']);
    expect(found).to.include('after the time that writes may be refused');
  });

  it('lets blue write only once green has lost the right, however long that takes', async () => {
    const { rig, router } = scene;
    const [writer, green] = [
      await connect(rig.blue.access, 'app'),
      await connect(rig.green.access, 'admin', { applicationName: 'an administrator' }),
    ];
    const hung: (Promise<void> | undefined)[] = [];
    const writable: Promise<boolean>[] = [];
    try {
      router.onApply = () => Promise.reject(new Error('socket gone'));
      const { step } = await undone({
        check: () => {
          writable.push(writer.query('UPDATE counters SET n = n WHERE id = 1').then(() => mayWrite(green)));
          return Promise.resolve();
        },
        onStep: (done) => {
          if (done === 'grant') hung.push(faults['the sessions of the release hang']?.(rig, rig.green));
        },
      });
      expect(step).to.equal('flip');
      expect(await Promise.all(writable)).to.deep.equal([false]);
    } finally {
      await Promise.all([...hung, close(writer), close(green)]);
    }
  });

  it('is finished where the balancer has flipped, and says that it failed', async () => {
    scene.router.onApply = (_, apply) => {
      apply();
      return Promise.reject(new Error('connection reset'));
    };
    expect((await openWindow(scene)).problems).to.deep.equal([]);
    await scene.expectNothingLost(20);
    expect(await value(scene.rig.green, 'SELECT count(*)::int FROM settings')).to.equal(500);
  });

  it('is ended by an observer that fails at any step before the flip', async () => {
    for (const step of windowSteps.slice(0, windowSteps.indexOf('end'))) {
      const error: unknown = await openWindow(scene, {
        onStep: (done) => {
          if (done === step) throw new Error('disk full');
        },
      }).catch((reason: unknown) => reason);
      expect(error, step).to.be.instanceOf(CutoverAborted).and.to.include({ undone: true, found: 'disk full' });
    }
    await undone({
      onStep: (done) => {
        if (done === 'check') throw new Error('disk full');
      },
    });
  });
});
