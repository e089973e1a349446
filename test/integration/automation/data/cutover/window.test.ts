import { expect } from 'chai';
import { recoverWindow, windowSteps, type WindowStep } from '../../../../../automation/data/cutover/window.ts';
import { value } from '../rig.ts';
import { CutoverScene } from './scene.ts';
import { openWindow, Readers, tryWrite, writeBoth } from './window-scene.ts';

describe('a read-only window under writes', () => {
  const scene = new CutoverScene({ holdMs: 2000, drainMs: 1000 });

  it('refuses writes, serves reads, migrates, and loses and doubles nothing; nothing replicates afterwards', async () => {
    await scene.following();
    const { rig, router } = scene;
    await writeBoth(scene, 50);
    const readers = new Readers(scene);
    const steps: WindowStep[] = [];
    const seen: Record<string, string> = {};
    const done = await openWindow(scene, {
      beforeRefusal: async () => {
        seen['before'] = await tryWrite(scene, 'blue');
        expect(router.refusals).to.equal(0);
      },
      start: async () => {
        await scene.load.refusedMore(20);
        seen['started on the new side'] = await tryWrite(scene, 'green');
      },
      onStep: (step) => steps.push(step),
    });
    expect([done.problems, done.warnings]).to.deep.equal([[], []]);
    expect(steps).to.deep.equal(windowSteps);
    expect(done.tables.map(({ table }) => table)).to.include.members(['public.accounts', 'public.entries']);
    expect(done.tables.filter(({ equal }) => !equal)).to.deep.equal([]);
    expect(seen).to.deep.equal({
      before: 'written',
      'started on the new side': 'permission denied for table counters',
    });
    expect(router.split).to.deep.equal({ live: 'green', percent: 0 });
    await scene.load.more(100);
    await readers.stop();
    expect(readers.failures).to.deep.equal([]);
    expect(readers.answered).to.be.greaterThan(10);
    await scene.expectNothingLost(50);
    console.log('    writes were refused for %d ms: %d of them', Math.round(done.windowMs), scene.load.refused);

    expect(await tryWrite(scene, 'blue')).to.include('permission denied');
    expect(await value<boolean>(rig.green, 'SELECT count(DISTINCT ticket) = count(*) FROM entries')).to.equal(true);
    expect(await value<string>(rig.green, 'SELECT pg_typeof(value)::text FROM settings LIMIT 1')).to.equal('jsonb');
    const state = await scene.state();
    expect(state).to.deep.include({ phase: 'idle', findings: [], writers: { blue: false, green: true } });
    const recovery = await recoverWindow({ router, from: rig.blue, to: rig.green });
    expect(recovery).to.deep.equal({ outcome: 'finished', replicating: false, problems: [] });
  });
});
