import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { close, connect, row, withClient } from '../../../../../../automation/data/connect.ts';
import { linkBetween } from '../../../../../../automation/data/link.ts';
import { DelayMeter } from '../../../../../../automation/data/replication/delay.ts';
import { followSync, stopSync, waitForSync } from '../../../../../../automation/data/replication/sync.ts';
import { openJournal } from '../../../../../../automation/journal/journal.ts';
import { openRun } from '../../../../../../automation/release/context/context.ts';
import { takeSteps } from '../../../../../../automation/release/context/stage.ts';
import { cutover } from '../../../../../../automation/release/stages/cutover.ts';
import { whileReadsAreFresh, type FreshReads } from '../../../../../../automation/release/steps/traffic/fresh-reads.ts';
import { databaseUrl } from '../../../../../../infra/application/database-url.ts';
import { childEnvironment } from '../../../../../../infra/lib/child-environment.ts';
import { wroteSeconds } from '../../../../../../infra/platform/router.ts';
import { createRig, type Rig } from '../../../data/rig.ts';
import { startTestbed, testSpec, type Testbed } from '../../../../infra/local/haproxy/testbed.ts';
import { releaseSettings } from '../../settings.ts';
import { readBack } from './readers.ts';

describe('what a client reads during a canary', () => {
  let rig: Rig;
  let bed: Testbed;
  const notes: string[] = [];
  const link = () => linkBetween(rig.blue, rig.green);
  before(async () => {
    rig = await createRig();
    await rig.fresh('CREATE TABLE registers (client int PRIMARY KEY, n int NOT NULL)');
    await rig.seed();
    await followSync(link());
    await waitForSync(link(), { timeoutMs: 60_000 });
    const services = testSpec.services.filter(({ name }) => name === 'api');
    bed = await startTestbed(
      { ...testSpec, services, writes: { reads: ['GET', 'HEAD', 'OPTIONS', 'TRACE'], paths: [] } },
      ({ port, colour }) => ({
        argv: [process.execPath, join(import.meta.dirname, 'register-app.ts'), String(port)],
        env: childEnvironment({ DATABASE_URL: databaseUrl(rig[colour].access, 'app') }).env,
      }),
    );
  });
  after(async () => {
    await bed?.dispose();
    if (rig !== undefined) await stopSync(link());
    await rig?.dispose();
  });
  beforeEach(async () => {
    notes.length = 0;
    await bed.router.apply({ live: 'blue', percent: 50 });
  });

  const guarded = <T>(work: (fresh: FreshReads) => Promise<T>): Promise<T> =>
    whileReadsAreFresh(
      {
        live: 'blue',
        router: bed.router,
        meter: new DelayMeter(link()),
        note: (text) => notes.push(text),
        set: () => undefined,
      },
      work,
    );
  /** Does `work` while green answers reads and applies nothing. */
  const standingStill = async <T>(work: () => Promise<T>): Promise<T> => {
    const client = await connect(rig.green.access, 'owner');
    try {
      await client.query('BEGIN; LOCK TABLE registers IN SHARE MODE');
      return await work();
    } finally {
      await close(client);
    }
  };
  /** The same without a lock, which would keep a cutover from its checks: the worker that applies changes is stopped, and goes on afterwards. */
  const withoutWorker = async <T>(work: () => Promise<T>): Promise<T> => {
    const { pid } = await withClient(rig.green.access, 'admin', (client) =>
      row<{ pid: number }>(client, 'SELECT pid FROM pg_stat_subscription WHERE pid IS NOT NULL'),
    );
    process.kill(pid, 'SIGSTOP');
    try {
      return await work();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  };
  /** Each writes once, and reads for longer than its cookie lives. */
  const patient = { clients: 16, rounds: 1, reads: { forMs: (wroteSeconds + 2) * 1000 }, everyMs: 100 };

  it('is older than its write, where the replication stands still for longer than the cookie lives and nobody watches [order]', async () => {
    const seen = await standingStill(() => readBack(bed, { ...patient, cookies: true }));
    await waitForSync(link(), { timeoutMs: 60_000 });
    console.log(`    not watched: ${seen.stale} of ${seen.reads} reads were stale`);
    expect(seen.stale).to.be.greaterThan(0);
  });

  it('is never older than its write with the cookie: the reads of a canary that is behind are taken back, and given again [order]', async () => {
    const seen = await guarded(async (fresh) => {
      const result = await standingStill(() => readBack(bed, { ...patient, cookies: true }));
      await fresh.regained();
      return result;
    });
    console.log(`    watched: ${seen.stale} of ${seen.reads} reads were stale`);
    expect(seen.stale).to.equal(0);
    expect(notes[0]).to.match(/^green is \d\.\d s behind: its reads are with blue until it has caught up$/);
    expect(notes[1]).to.match(/^green has caught up after \d+\.\d s, and has its reads again$/);
    expect((await bed.router.read()).split).to.deep.equal({ live: 'blue', percent: 50 });
  });

  it('can be as old as the canary is behind without a cookie, and no older than the limit [order]', async () => {
    const seen = await guarded(async (fresh) => {
      const result = await standingStill(() => readBack(bed, { ...patient, cookies: false }));
      await fresh.regained();
      return result;
    });
    const { stale, reads, lastStaleMs } = seen;
    console.log(
      `    no cookie, standing still: ${stale} of ${reads} reads were stale, the last after ${Math.round(lastStaleMs)} ms`,
    );
    expect(stale).to.be.greaterThan(0);
    expect(lastStaleMs).to.be.lessThan(wroteSeconds * 1000);
  });

  it('does not go backwards while the percent grows, with the cookie [order]', async () => {
    const reading = readBack(bed, { clients: 16, rounds: 20, reads: { times: 2 }, everyMs: 5, cookies: true });
    for (const percent of [10, 50, 90]) {
      await sleep(300);
      await bed.router.apply({ live: 'blue', percent });
    }
    expect((await reading).stale).to.equal(0);
  });

  it('is what was written where no reads are split; a canary can be late by its delay without a cookie: measured [order]', async () => {
    const hasty = { clients: 16, rounds: 20, reads: { times: 2 }, everyMs: 0, cookies: false };
    const split = await readBack(bed, hasty);
    await bed.router.apply({ live: 'blue', percent: 0 });
    const live = await readBack(bed, hasty);
    console.log(`    no cookie, in step: ${split.stale} of ${split.byCanary} reads of the canary were stale`);
    expect(split.byCanary).to.be.greaterThan(split.reads / 4);
    expect(live).to.include({ stale: 0, byCanary: 0 });
  });

  it('comes from live while the canary does not follow at all, also where a step sets its percent meanwhile [order]', async () => {
    await guarded(async (fresh) => {
      await withClient(rig.green.access, 'admin', (client) =>
        client.query(`ALTER SUBSCRIPTION ${link().name} DISABLE`),
      );
      while ((await bed.router.read()).split?.percent !== 0) await sleep(50);
      // A step that sets its percent meanwhile has it taken back, too.
      await bed.router.apply({ live: 'blue', percent: 80 });
      while ((await bed.router.read()).split?.percent !== 0) await sleep(50);
      expect(fresh.behind).to.equal(true);
      await withClient(rig.green.access, 'admin', (client) => client.query(`ALTER SUBSCRIPTION ${link().name} ENABLE`));
      await fresh.regained();
      expect((await bed.router.read()).split?.percent).to.equal(80);
    });
  });

  it('is never older than its write between the canary and the hold, while the cutover waits for the canary [order]', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'greenlight-fresh-'));
    const journal = openJournal(directory);
    const settings = releaseSettings({
      directory,
      journal,
      definition: { cutover: { holdMs: 4000, drainMs: 1000 } },
      environment: {
        router: bed.router,
        databases: { of: (colour: 'blue' | 'green') => Promise.resolve(rig[colour].access) },
      },
    });
    const run = openRun(settings);
    try {
      const { context } = run.at('cutover');
      await context.traffic.start(() => Promise.resolve({ stop: () => Promise.resolve() }));
      const stage = cutover(settings);
      let moving: Promise<void> | undefined;
      const seen = await withoutWorker(() => {
        moving = takeSteps(context, stage);
        moving.catch(() => undefined);
        return readBack(bed, { ...patient, cookies: true });
      });
      await moving;
      console.log(`    before the hold: ${seen.stale} of ${seen.reads} reads were stale`);
      expect(seen.stale).to.equal(0);
      expect((await bed.router.read()).split).to.deep.equal({ live: 'green', percent: 0 });
    } finally {
      await run.close();
      journal.close();
      rmSync(directory, { recursive: true });
      await stopSync(linkBetween(rig.green, rig.blue));
    }
  });
});
