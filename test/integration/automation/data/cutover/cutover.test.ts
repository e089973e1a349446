import { expect } from 'chai';
import { withClient } from '../../../../../automation/data/connect.ts';
import { cutoverSteps, type CutoverStep } from '../../../../../automation/data/cutover/procedure.ts';
import type { CutoverResult } from '../../../../../automation/data/cutover/types.ts';
import { linkBetween } from '../../../../../automation/data/link.ts';
import { syncStatus } from '../../../../../automation/data/replication/sync.ts';
import { value } from '../rig.ts';
import { CutoverScene } from './scene.ts';

const problemsOf = (r: CutoverResult) => [
  ...r.problems,
  ...r.tables.filter((t) => !t.equal).map((t) => `${t.table}: ${t.detail}`),
];

describe('cutover and rollback under writes', () => {
  const scene = new CutoverScene({ holdMs: 2000, drainMs: 1000 });

  it('loses and doubles nothing, forward and back, in all steps of the procedure, and sequences go on', async () => {
    await scene.following();
    const { rig, router } = scene;
    await scene.write(200, undefined, 50);
    const steps: CutoverStep[] = [];
    const onStep = (step: CutoverStep): void => void steps.push(step);

    const there = await scene.forward({ onStep });
    expect(problemsOf(there)).to.deep.equal([]);
    expect(steps.splice(0)).to.deep.equal(cutoverSteps);
    expect(router.split).to.deep.equal({ live: 'green', percent: 0 });
    expect(there.tables.map((t) => t.table)).to.include.members([
      'public.accounts',
      'public.entries',
      'public.settings',
      'public.badges',
    ]);
    await scene.load.more(100);
    console.log(
      '    forward: held %d ms, slowest write %d ms',
      Math.round(there.holdMs),
      Math.round(scene.load.slowestMs),
    );
    expect(
      await value<string>(rig.green, 'SELECT count(*) FROM entries WHERE doubled IS DISTINCT FROM amount * 2'),
    ).to.equal('0');
    const late = withClient(rig.blue.access, 'app', (client) => client.query('DELETE FROM settings'));
    expect(await late.catch((error: Error) => error.message)).to.include('permission denied');
    await rig.run(rig.green, `INSERT INTO badges (account, name) VALUES (1, 'first')`);
    expect((await scene.state()).phase).to.equal('replicating');

    const back = await scene.back({ onStep });
    expect(problemsOf(back)).to.deep.equal([]);
    expect(steps).to.deep.equal(cutoverSteps);
    await scene.expectNothingLost(100);
    console.log(
      '    rollback: held %d ms, slowest write %d ms',
      Math.round(back.holdMs),
      Math.round(scene.load.slowestMs),
    );
    expect(await value<boolean>(rig.blue, 'SELECT count(DISTINCT ticket) = count(*) FROM entries')).to.equal(true);
    expect(router.split.live).to.equal('blue');
    expect((await syncStatus(linkBetween(rig.green, rig.blue))).state).to.equal('none');
    expect((await scene.state()).phase).to.equal('idle');
  });
});
