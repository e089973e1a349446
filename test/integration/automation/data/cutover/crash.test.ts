import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { CutoverStep, Direction } from '../../../../../automation/data/cutover/procedure.ts';
import { recoverCutover } from '../../../../../automation/data/cutover/recover.ts';
import type { Side } from '../../../../../automation/data/link.ts';
import { begin } from './dying.ts';
import { CutoverScene } from './scene.ts';
import { value } from '../rig.ts';

const holdMs = 800;

describe('a program that dies in a cutover', () => {
  const scene = new CutoverScene({ holdMs: 2000, drainMs: 1000 });
  beforeEach(async () => {
    await scene.following();
    await scene.write(100, 4, 0);
  });

  const phase = async () => {
    const { phase: name, findings } = await scene.state();
    return [name, ...findings].join(': ');
  };
  const recovered = (from: Side, to: Side, direction: Direction) =>
    recoverCutover({ router: scene.router, from, to, direction });
  const die = async (from: Side, to: Side, direction: Direction, dieAfter: CutoverStep): Promise<void> => {
    const { ended } = begin(scene.router, { from, to, direction, holdMs, dieAfter, signal: 'SIGKILL' });
    expect(await ended).to.equal('SIGKILL');
    // Nobody has recovered anything yet: the lease and the server end what was begun, and writes go on.
    await scene.load.more(10);
  };

  it('is undone before the flip, and the next cutover succeeds', async () => {
    for (const step of ['prepare', 'hold', 'drain', 'fence', 'replay', 'carry-over', 'grant'] as const) {
      await die(scene.rig.blue, scene.rig.green, 'forward', step);
      expect(scene.router.split.live, step).to.equal('blue');
      const recovery = await recovered(scene.rig.blue, scene.rig.green, 'forward');
      expect(recovery, step).to.deep.equal({ outcome: 'undone', replicating: true, problems: [] });
      expect(await phase(), step).to.equal('replicating');
    }
    const done = await scene.forward();
    expect(done).to.include({ equal: true }).and.to.have.property('problems').that.is.empty;
    await scene.expectNothingLost(40);
  }).timeout(60_000);

  for (const step of ['flip', 'release', 'fenced', 'follow'] as const) {
    it(`is finished after the flip (${step}), and the rollback loses nothing`, async () => {
      await die(scene.rig.blue, scene.rig.green, 'forward', step);
      expect(scene.router.split.live).to.equal('green');
      for (const attempt of ['once', 'again']) {
        const recovery = await recovered(scene.rig.blue, scene.rig.green, 'forward');
        expect(recovery, attempt).to.deep.equal({ outcome: 'finished', replicating: true, problems: [] });
      }
      expect(await phase()).to.equal('replicating');
      await scene.load.more(20);
      await scene.rig.run(scene.rig.green, `INSERT INTO badges (account, name) VALUES (1, 'first')`);
      const back = await scene.back();
      expect(back.problems).to.deep.equal([]);
      expect(back.tables.filter((t) => !t.equal)).to.deep.equal([]);
      await scene.expectNothingLost(40);
      expect(await value<string>(scene.rig.blue, 'SELECT count(*) FROM entries')).to.equal(
        String(scene.load.acknowledged.size),
      );
    });
  }

  it('is undone or finished in a rollback too', async () => {
    await scene.forward();
    for (const step of ['fence', 'grant'] as const) {
      await die(scene.rig.green, scene.rig.blue, 'rollback', step);
      const recovery = await recovered(scene.rig.green, scene.rig.blue, 'rollback');
      expect(recovery, step).to.deep.equal({ outcome: 'undone', replicating: true, problems: [] });
    }
    await die(scene.rig.green, scene.rig.blue, 'rollback', 'flip');
    const recovery = await recovered(scene.rig.green, scene.rig.blue, 'rollback');
    expect(recovery).to.deep.equal({ outcome: 'finished', replicating: false, problems: [] });
    expect(await phase()).to.equal('idle');
    await scene.expectNothingLost(40);
  });

  it('aborts after it was suspended: its lease and its fence have expired', async () => {
    const order = {
      from: scene.rig.blue,
      to: scene.rig.green,
      direction: 'forward',
      holdMs,
      dieAfter: 'replay',
      signal: 'SIGSTOP',
    } as const;
    const { child, ended, failure } = begin(scene.router, order);
    try {
      while (scene.router.holds === 0 || scene.router.held) await sleep(20);
      await scene.load.more(20);
    } finally {
      child.kill('SIGCONT');
    }
    expect(await ended).to.equal(2);
    expect(failure()).to.include('the time that writes may be held has passed');
    expect(scene.router.split.live).to.equal('blue');
    expect(await phase()).to.equal('replicating');
    await scene.expectNothingLost(40);
  });
});
