import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { CutoverOptions, CutoverResult } from '../../../../../automation/data/cutover/types.ts';
import { linkBetween } from '../../../../../automation/data/link.ts';
import { syncStatus } from '../../../../../automation/data/replication/sync.ts';
import { close, connect, value } from '../rig.ts';
import { CutoverScene } from './scene.ts';

describe('the way back from a version that hangs', () => {
  const scene = new CutoverScene({ holdMs: 2000, drainMs: 300 });

  /** Green live and written to, blue following. */
  beforeEach(async () => {
    await scene.following();
    expect((await scene.forward()).problems).to.deep.equal([]);
    await scene.write(100, 4, 20);
  });

  const back = (onStep?: CutoverOptions['onStep']): Promise<CutoverResult> =>
    scene.back(onStep === undefined ? {} : { onStep });
  const done = async (returned: CutoverResult): Promise<void> => {
    expect(returned.problems).to.deep.equal([]);
    expect(returned.equal).to.equal(true);
    expect(scene.router.split.live).to.equal('blue');
    await scene.expectNothingLost(20);
    expect((await scene.state()).phase).to.equal('idle');
  };

  it('cuts a write that is not answered, and carries back everything else', async () => {
    const hung = scene.router.write(() => new Promise<never>(() => undefined)).catch((error: Error) => error.message);
    const steps: string[] = [];
    const returned = await back((step, _, detail) => steps.push(`${step} ${detail ?? ''}`.trim()));
    expect(await hung).to.equal('cut');
    expect(steps).to.include('drain 1 write was cut');
    await done(returned);
  });

  for (const [how, cutWrites] of Object.entries({
    'refuses to cut': () => Promise.reject(new Error('No such server.')),
    'does not answer when it shall cut': () => new Promise<never>(() => undefined),
  })) {
    it(`succeeds if the balancer ${how}: the fence keeps out unanswered writes`, async () => {
      const hung = scene.router.write(() => new Promise<never>(() => undefined)).catch((error: Error) => error.message);
      scene.router.cutWrites = cutWrites;
      const steps: string[] = [];
      const returned = await back((step, _, detail) => steps.push(`${step} ${detail ?? ''}`.trim()));
      expect(steps.join('; ')).to.include('drain writes could not be cut: ');
      expect(await Promise.race([hung, Promise.resolve('not answered')])).to.equal('not answered');
      await done(returned);
    });
  }

  it('terminates transactions that hold locks, idle or active', async () => {
    const [idle, busy] = [await connect(scene.rig.green.access, 'app'), await connect(scene.rig.green.access, 'app')];
    for (const client of [idle, busy]) {
      client.on('error', () => undefined);
      await client.query(`SET application_name = 'the application'`);
    }
    try {
      await idle.query(`BEGIN; UPDATE accounts SET profile = '{"hangs": 1}' WHERE id = 7`);
      await busy.query(`BEGIN; UPDATE accounts SET profile = '{"hangs": 2}' WHERE id = 8`);
      const sleeping = busy.query('SELECT pg_sleep(60)').catch((error: Error) => error.message);
      const returned = await back();
      expect(await sleeping).to.match(/terminat/);
      await done(returned);
      expect(await value(scene.rig.blue, `SELECT count(*)::int FROM accounts WHERE profile ? 'hangs'`)).to.equal(0);
    } finally {
      await Promise.all([close(idle), close(busy)]);
    }
  });

  it('terminates a session that maintains a table in a transaction, but not one that writes to a temporary table only', async () => {
    const [maintains, temporary] = [
      await connect(scene.rig.green.access, 'owner'),
      await connect(scene.rig.green.access, 'app'),
    ];
    for (const client of [maintains, temporary]) {
      client.on('error', () => undefined);
      await client.query(`SET application_name = 'an administrator'`);
    }
    try {
      await maintains.query('BEGIN; ANALYZE accounts');
      await temporary.query('CREATE TEMP TABLE mine (id int); BEGIN; INSERT INTO mine VALUES (1)');
      await done(await back());
      expect(await maintains.query('SELECT 1').catch((error: Error) => error.message)).to.match(/[Cc]onnection/);
      expect((await temporary.query('SELECT id FROM mine')).rowCount).to.equal(1);
    } finally {
      await Promise.all([close(maintains), close(temporary)]);
    }
  });

  it('terminates a session on the old colour whose row lock blocks the replication', async () => {
    const job = await connect(scene.rig.blue.access, 'owner');
    job.on('error', () => undefined);
    try {
      await job.query(`SET application_name = 'a job'; BEGIN; SELECT id FROM accounts WHERE id = 7 FOR UPDATE`);
      await scene.rig.run(scene.rig.green, 'UPDATE accounts SET balance = balance + 1 WHERE id = 7');
      await done(await back());
      expect(await value(scene.rig.blue, 'SELECT balance::text FROM accounts WHERE id = 7')).to.equal('8.00');
    } finally {
      await close(job);
    }
  });

  it('names the change that the old colour could not apply', async () => {
    await scene.load.stop();
    await scene.rig.run(scene.rig.blue, `INSERT INTO settings VALUES (1, 'font', 'old')`);
    await scene.rig.run(scene.rig.green, `INSERT INTO settings VALUES (1, 'font', 'new')`);
    const link = linkBetween(scene.rig.green, scene.rig.blue);
    while ((await syncStatus(link)).problem?.includes('is already on blue') !== true) await sleep(50);
    const stopped = await back().catch((error: unknown) => error);
    // A release does not try it again and again.
    expect(stopped).to.include({ undone: true, code: 'lasting' });
    expect((stopped as Error).message)
      .to.include('following from green to blue: table public.settings: the row with account = 1')
      .and.to.include('is already on blue');
    expect(scene.router.split.live).to.equal('green');
  });

  it('keeps a cut write that commits before the fence, and refuses one that comes later', async () => {
    const early = await connect(scene.rig.green.access, 'app');
    const late = await connect(scene.rig.green.access, 'app');
    try {
      const cut = scene.router
        .write(async () => {
          await early.query('UPDATE counters SET n = n + 1000000 WHERE id = 1');
          await new Promise<never>(() => undefined);
        })
        .catch((error: Error) => error.message);
      const returned = await back();
      expect(await cut).to.equal('cut');
      const refused = await late
        .query('UPDATE counters SET n = n + 1 WHERE id = 2')
        .catch((error: Error) => error.message);
      expect(refused).to.include('permission denied');
      expect(returned.equal).to.equal(true);
      expect(await value<boolean>(scene.rig.blue, 'SELECT n > 1000000 FROM counters WHERE id = 1')).to.equal(true);
    } finally {
      await Promise.all([close(early), close(late)]);
    }
  });
});
