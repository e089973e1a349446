import { expect } from 'chai';
import { cutover } from '../../../../../automation/data/cutover/cutover.ts';
import { cutoverSteps, type CutoverStep } from '../../../../../automation/data/cutover/procedure.ts';
import type { CutoverResult } from '../../../../../automation/data/cutover/types.ts';
import { inspect } from '../../../../../automation/data/cutover/recover.ts';
import { withClient } from '../../../../../automation/data/connect.ts';
import { startSync, syncStatus, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { linkBetween } from '../../../../../automation/data/link.ts';
import { createRig, expand, schemaV1, value, type Rig } from '../rig.ts';
import { MemoryRouter, Workload } from '../traffic.ts';

const settings = { holdMs: 2000, drainMs: 1000 };
const problemsOf = (r: CutoverResult) => [
  ...r.problems,
  ...r.tables.filter((t) => !t.equal).map((t) => `${t.table}: ${t.detail}`),
];

describe('cutover and rollback under writes', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  it('loses and doubles nothing, forward and back, and sequences go on', async () => {
    await rig.fresh(schemaV1);
    const router = new MemoryRouter();
    const load = new Workload(rig, router, 200);
    try {
      await expand(rig);
      const link = await startSync(rig.blue, rig.green);
      const ready = await waitForSync(link, { timeoutMs: 30_000 });
      expect(ready.tablesReady).to.equal(ready.tables).and.to.be.greaterThan(2);
      await load.more(50);

      const steps: CutoverStep[] = [];
      const onStep = (step: CutoverStep): void => void steps.push(step);
      const there = await cutover({
        router,
        from: rig.blue,
        to: rig.green,
        direction: 'forward',
        settings,
        onStep,
      });
      expect(problemsOf(there)).to.deep.equal([]);
      expect(steps.splice(0), 'every step of the table was done').to.deep.equal(cutoverSteps);
      expect(router.split).to.deep.equal({ live: 'green', percent: 0 });
      expect(there.tables.map((t) => t.table)).to.include.members([
        'public.accounts',
        'public.entries',
        'public.settings',
        'public.badges',
      ]);
      await load.more(100);
      console.log('    forward: held %d ms, slowest write %d ms', Math.round(there.holdMs), Math.round(load.slowestMs));
      expect(
        await value<string>(rig.green, 'SELECT count(*) FROM entries WHERE doubled IS DISTINCT FROM amount * 2'),
      ).to.equal('0');
      const late = withClient(rig.blue.access, 'app', (client) => client.query('DELETE FROM settings'));
      expect(await late.catch((error: Error) => error.message)).to.include('permission denied');
      await rig.run(rig.green, `INSERT INTO badges (account, name) VALUES (1, 'first')`);
      expect((await inspect({ blue: rig.blue.access, green: rig.green.access }, router)).phase).to.equal('replicating');

      const back = await cutover({ router, from: rig.green, to: rig.blue, direction: 'rollback', settings, onStep });
      expect(problemsOf(back)).to.deep.equal([]);
      expect(steps, 'every step of the table was done').to.deep.equal(cutoverSteps);
      await load.more(100);
      console.log('    rollback: held %d ms, slowest write %d ms', Math.round(back.holdMs), Math.round(load.slowestMs));
      await load.stop();
      expect(load.failures).to.deep.equal([]);
      expect(await load.check(rig)).to.deep.equal([]);
      expect(await value<boolean>(rig.blue, 'SELECT count(DISTINCT ticket) = count(*) FROM entries')).to.equal(true);
      expect(router.split.live).to.equal('blue');
      expect((await syncStatus(linkBetween(rig.green, rig.blue))).state).to.equal('none');
      expect((await inspect({ blue: rig.blue.access, green: rig.green.access }, router)).phase).to.equal('idle');
    } finally {
      await load.stop().catch(() => undefined);
    }
  });
});
