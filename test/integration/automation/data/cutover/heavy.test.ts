import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { close, connect } from '../../../../../automation/data/connect.ts';
import { caughtUp } from '../../../../../automation/data/cutover/catch-up.ts';
import { CutoverAborted } from '../../../../../automation/data/cutover/cutover.ts';
import { linkBetween } from '../../../../../automation/data/link.ts';
import { value } from '../rig.ts';
import { CutoverScene } from './scene.ts';

/** Rows of a transaction that is under way when the cutover begins. Two million take minutes: GREENLIGHT_FAULTS=all. */
const rows = process.env['GREENLIGHT_FAULTS'] === 'all' ? 2_000_000 : 100_000;

describe('a cutover while much is written', () => {
  const scene = new CutoverScene({ holdMs: 2000, drainMs: 1000 });
  beforeEach(() => scene.following());

  const loads: Record<string, string> = {
    [`a transaction of ${rows} rows in flight`]: `INSERT INTO accounts (email) SELECT 'bulk' || i FROM generate_series(1, ${rows}) i`,
    'a row of 50 MB': `INSERT INTO settings SELECT 1, 'large', string_agg(md5(i::text), '') FROM generate_series(1, 1600000) i`,
  };
  for (const [what, sql] of Object.entries(loads)) {
    it(`${what}: done within the hold, or refused with figures or names [I]`, async () => {
      const job = await connect(scene.rig.blue.access, 'owner', { applicationName: 'a job', statementMs: 110_000 });
      try {
        await scene.write(50, 2, 5);
        await job.query('BEGIN');
        const written = job.query(sql).then(() => job.query('COMMIT'));
        await sleep(200);
        const ended = await scene.forward().catch((error: unknown) => error);
        await written;
        const count = `SELECT (SELECT count(*) FROM accounts WHERE email LIKE 'bulk%') + (SELECT count(*) FROM settings WHERE name = 'large')`;
        if (ended instanceof CutoverAborted) {
          console.log('    %s', ended.found);
          // One that began just before the hold is found in the hold only, and one that ended in it by what is left to apply.
          expect(ended).to.include({ undone: true });
          expect(ended.step).to.be.oneOf(['prepare', 'fence', 'replay']);
          expect(ended.found).to.match(/bytes of log are not applied|idle in transaction|active/);
          if (ended.step === 'prepare') expect(scene.router.holds).to.equal(0);
        } else {
          expect(ended).to.have.property('problems').that.deep.equals([]);
          expect(ended).to.have.property('equal', true);
          expect(await value(scene.rig.green, count)).to.equal(await value(scene.rig.blue, count));
        }
        await scene.expectNothingLost(10);
      } finally {
        await close(job);
      }
    });
  }

  it('is refused with figures and the session in the way if the other colour does not catch up [I]', async () => {
    const { rig } = scene;
    const link = linkBetween(rig.blue, rig.green);
    const sessions = { old: await connect(rig.blue.access, 'admin'), new: await connect(rig.green.access, 'admin') };
    const job = await connect(rig.green.access, 'owner', { applicationName: 'a job' });
    try {
      await job.query('BEGIN; LOCK TABLE settings');
      await rig.run(rig.blue, `UPDATE settings SET value = 'light'`);
      const options = { from: rig.blue, direction: 'forward', settings: { holdMs: 2000, drainMs: 1000 } } as const;
      const error = await caughtUp(sessions, link, options, 500).catch((e: unknown) => e);
      expect(error)
        .to.have.property('found')
        .that.match(
          /^after \d+ ms \d+ bytes of log are not applied, and its worker waits for process \d+ of owner \(a job\), idle in transaction for \d+ ms, AccessExclusiveLock on public\.settings; /,
        )
        .and.match(/; (nothing was applied meanwhile|\d+ bytes\/s were applied).*; the hold has 500 ms for it$/);
      await job.query('ROLLBACK');
      await caughtUp(sessions, link, options);
    } finally {
      await Promise.all([close(job), close(sessions.old), close(sessions.new)]);
    }
  });
});
