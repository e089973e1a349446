import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { withClient } from '../../../../../automation/data/connect.ts';
import { linkBetween } from '../../../../../automation/data/link.ts';
import type { Side } from '../../../../../automation/data/link.ts';
import { following } from '../../../../../automation/data/replication/reverse.ts';
import { startCluster, stopCluster } from '../../../../../infra/local/postgres/cluster.ts';
import { value } from '../rig.ts';
import { CutoverScene } from './scene.ts';

/**
 * What PostgreSQL does where commits of the new live side wait for the old one. Greenlight does not offer it: see "Failback" in
 * docs/architecture/data.md. With MEASURE=1 it prints what a commit costs.
 */
describe('a synchronous way back', () => {
  const scene = new CutoverScene({ holdMs: 4000, drainMs: 1000 });
  const admin = (side: Side, sql: string) => withClient(side.access, 'admin', (client) => client.query(sql));
  const name = () => linkBetween(scene.rig.green, scene.rig.blue).name;
  async function synchronous(standby: string): Promise<void> {
    await admin(scene.rig.green, `ALTER SYSTEM SET synchronous_standby_names = '${standby}'`);
    await admin(scene.rig.green, 'SELECT pg_reload_conf()');
    await sleep(300);
  }
  const streams = async (): Promise<void> => {
    const { green, blue } = scene.rig;
    while (!(await withClient(green.access, 'admin', (client) => following(linkBetween(green, blue), client))))
      await sleep(50);
  };

  beforeEach(async () => {
    await scene.following();
    expect((await scene.forward()).problems).to.deep.equal([]);
    await streams();
  });
  afterEach(() => synchronous(''));

  /** Milliseconds of single-row commits, one after the other. */
  async function commits(count: number): Promise<number[]> {
    return withClient(scene.rig.green.access, 'app', async (client) => {
      const times: number[] = [];
      for (let i = 0; i < count; i++) {
        const started = performance.now();
        await client.query('UPDATE counters SET n = n + 1 WHERE id = 1');
        times.push(performance.now() - started);
      }
      return times.sort((a, b) => a - b);
    });
  }
  const say = (what: string, times: number[]): void => {
    if (process.env['MEASURE'] === '1')
      console.log(
        `      ${what}: median ${times[times.length >> 1]?.toFixed(2)} ms, p95 ${times[Math.floor(times.length * 0.95)]?.toFixed(2)} ms`,
      );
  };

  it('has each acknowledged commit on the old side, whose worker has to commit synchronously for that to be quick', async () => {
    say('asynchronous', await commits(200));
    await synchronous(name());
    say('synchronous, the worker as it is', await commits(40));
    await admin(scene.rig.blue, `ALTER SUBSCRIPTION ${name()} SET (synchronous_commit = 'on')`);
    await sleep(1_000);
    await streams();
    say('synchronous, the worker flushes', await commits(200));
    expect(await value(scene.rig.blue, 'SELECT n::int FROM counters WHERE id = 1')).to.equal(440);
  });

  it('keeps the live side waiting without an end where the old one is gone, until somebody withdraws the setting', async () => {
    await synchronous(name());
    await commits(1);
    await stopCluster(scene.rig.specs.blue);
    try {
      let done = false;
      const waits = commits(1).finally(() => (done = true));
      await sleep(5_000);
      expect(done).to.equal(false);
      await synchronous('');
      await waits;
    } finally {
      await startCluster(scene.rig.specs.blue);
    }
  });
});
