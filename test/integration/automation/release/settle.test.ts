import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { CutoverAborted } from '../../../../automation/data/cutover/cutover.ts';
import { allOf } from '../../../../automation/journal/entries.ts';
import { openJournal, type Journal } from '../../../../automation/journal/journal.ts';
import { openRun } from '../../../../automation/release/context/context.ts';
import { abandonRelease, settle } from '../../../../automation/release/resume.ts';
import type { Session } from '../../../../automation/release/start.ts';
import type { PastRelease } from '../../../../automation/journal/history.ts';
import { startCluster, stopCluster } from '../../../../infra/local/postgres/cluster.ts';
import { moveWrites } from '../../../../automation/release/steps/traffic/move-writes.ts';
import { CutoverScene } from '../data/cutover/scene.ts';
import { close, connect } from '../data/rig.ts';
import { releaseSettings } from './settings.ts';

describe('what the journal of a release says of its cutover', () => {
  const scene = new CutoverScene({ holdMs: 2000, drainMs: 300 });
  let directory: string;
  let journal: Journal;
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'greenlight-settle-'));
    journal = openJournal(directory);
    await scene.following();
  });
  afterEach(() => {
    journal.close();
    rmSync(directory, { recursive: true });
  });

  const settings = () => {
    const { rig, router } = scene;
    return releaseSettings({
      directory,
      journal,
      definition: { cutover: { holdMs: 2000, drainMs: 300 } },
      environment: {
        router,
        databases: { of: (colour: 'blue' | 'green') => Promise.resolve(rig[colour].access) },
        backups: {},
      },
    });
  };

  it('records a cutover that was killed after the flip once, when it is settled', async () => {
    // All that a killed program leaves in the journal.
    journal.append({ type: 'stage.started', stage: 'cutover' });
    journal.append({ type: 'action.intent', id: 'cutover/forward', what: 'move writes from blue to green' });
    await scene.forward();
    const before = await settle(settings());
    expect(before).to.contain('the cutover is finished: green is live');
    await settle(settings());
    const done = allOf(journal.entries(), 'cutover.done');
    expect(done).to.have.length(1);
    expect(done[0]).to.include({ direction: 'forward', from: 'blue', to: 'green' });
    expect(done[0]).not.to.have.any.keys('holdMs', 'totalMs');
  });

  it('leaves a way back that is being made anew to the bake time, and refuses a rollback meanwhile', async () => {
    await scene.forward();
    journal.append({ type: 'stage.started', stage: 'cutover' });
    journal.append({ type: 'stage.ended', stage: 'cutover', verdict: 'pass', ms: 1, observationMs: 0 });
    const since = new Date().toISOString();
    journal.append({ type: 'way-back.remaking', colour: 'blue', because: 'its disk is gone', since });
    await stopCluster(scene.rig.specs.blue);
    try {
      expect(await settle(settings()))
        .to.contain('its disk is gone')
        .and.contain('made anew');
      const past = { entries: journal.entries() } as PastRelease;
      const refused = await abandonRelease({} as Session, past, 'x', { acceptLoss: true }).catch(String);
      expect(refused).to.contain('a rollback is not possible before');
      expect(scene.router.split.live).to.equal('green');
    } finally {
      await startCluster(scene.rig.specs.blue);
    }
  });

  it('goes on to the bake time where the old database is gone and nobody had noticed yet', async () => {
    await scene.forward();
    journal.append({ type: 'stage.started', stage: 'cutover' });
    journal.append({ type: 'stage.ended', stage: 'cutover', verdict: 'pass', ms: 1, observationMs: 0 });
    await stopCluster(scene.rig.specs.blue);
    try {
      expect(await settle(settings())).to.contain('the cutover had passed; the way back: ');
      expect(scene.router.split.live).to.equal('green');
    } finally {
      await startCluster(scene.rig.specs.blue);
    }
  });

  it('records none where the cutover had not flipped', async () => {
    journal.append({ type: 'stage.started', stage: 'cutover' });
    journal.append({ type: 'action.intent', id: 'cutover/forward', what: 'move writes from blue to green' });
    expect(await settle(settings())).to.contain('the cutover is undone: blue is live');
    expect(allOf(journal.entries(), 'cutover.done')).to.deep.equal([]);
  });

  it('records when a cutover that failed let the held writes go', async () => {
    const stubborn = await connect(scene.rig.blue.access, 'app');
    const run = openRun(settings());
    try {
      const hold = scene.router.hold.bind(scene.router);
      scene.router.hold = async (leaseMs) => {
        await stubborn.query(`BEGIN; UPDATE accounts SET profile = '{"a": 1}' WHERE id = 7`);
        await hold(leaseMs);
      };
      const { context } = run.at('cutover');
      const error = await moveWrites(context, { from: 'blue', to: 'green', direction: 'forward' }).catch(
        (thrown: unknown) => thrown,
      );
      expect(error).to.be.instanceOf(CutoverAborted);
    } finally {
      await close(stubborn);
      await run.close();
    }
    const steps = allOf(journal.entries(), 'cutover.step');
    expect(steps.map(({ step }) => step)).to.deep.equal(['prepare', 'hold', 'drain', 'undo']);
    expect(steps.at(-1)).to.include({ detail: 'fence failed' });
    expect(steps.at(-1)!.ms).to.be.greaterThan(0);
  });
});
