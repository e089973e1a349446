import { expect } from 'chai';
import { withClient } from '../../../../../automation/data/connect.ts';
import { markExpanded, readMark } from '../../../../../automation/data/written-by.ts';
import { refusedWindows } from '../../../../../automation/journal/refused.ts';
import { lastOf } from '../../../../../automation/journal/entries.ts';
import { abandonRelease, resumeRelease } from '../../../../../automation/release/resume.ts';
import { abandon, runRelease } from '../../../../../automation/release/run.ts';
import { cutover } from '../../../../../automation/release/stages/cutover.ts';
import { resetDatabase } from '../../../../../automation/data/schema.ts';
import { revokeWrites } from '../../../../../infra/application/roles.ts';
import { startCluster, stopCluster } from '../../../../../infra/local/postgres/cluster.ts';
import { WindowedRelease } from './windowed-release.ts';

describe('what a read-only window leaves in the journal and in the databases', () => {
  const scene = new WindowedRelease();
  beforeEach(() => scene.begin());
  afterEach(() => scene.end());
  after(() => scene.rig.dispose());

  const run = () => runRelease(scene.settings, [cutover(scene.settings)]);
  const mark = () => withClient(scene.rig.green.access, 'admin', readMark);
  const expanded = () =>
    withClient(scene.rig.green.access, 'admin', (client) => markExpanded(client, { release: 'r', version: '2.0.0' }));
  const failure = (work: Promise<unknown>): Promise<Error> =>
    work.then(
      () => expect.fail('it was to reject'),
      (error: unknown) => error as Error,
    );
  const killed = (): void => {
    scene.journal.append({ type: 'stage.started', stage: 'prepare' });
    scene.journal.append({ type: 'stage.started', stage: 'cutover' });
    scene.journal.append({ type: 'action.intent', id: 'cutover/forward', what: 'move writes' });
    scene.journal.append({ type: 'writes.refused', from: Date.now() });
  };

  it('says when it ended, also where the balancer did not say at once that it had flipped', async () => {
    let asked = 0;
    const { router } = scene;
    const read = router.read.bind(router);
    router.onApply = (_, apply) => {
      apply();
      // Half way between two splits for as long as a flip waits for an answer.
      asked = performance.now();
      return Promise.resolve();
    };
    router.read = async () => {
      const silent = asked > 0 && performance.now() < asked + 3_000;
      if (silent) throw new Error('no answer');
      return read();
    };
    await run();
    expect(scene.router.split.live).to.equal('green');
    const [window] = refusedWindows(scene.entries());
    expect(window?.to).to.be.at.most(Date.now());
  });

  it('lets nobody empty the database that it made live: what is only there has to be kept aside first', async () => {
    await expanded();
    await run();
    expect((await mark())?.live).to.equal(true);
    await scene.write(30);
    await withClient(scene.rig.green.access, 'admin', (client) => client.query(revokeWrites));
    const error = await failure(resetDatabase(scene.rig.green.access, 'green'));
    expect(error.message).to.contain('2.0.0 was live there');
  });

  it('leaves no version behind that was live, where it was undone after it had been tried', async () => {
    await expanded();
    scene.router.onApply = () => Promise.resolve();
    expect((await run()).verdict).to.equal('rolled-back');
    expect(await mark()).to.equal(undefined);
  });

  it('is taken back by its own journal, also where the definition has no window any more', async () => {
    await run();
    const { session, past } = scene.open;
    const { definition } = session;
    const { incompatible: _gone, ...migrations } = definition.application.migrations!;
    const without = { ...definition, application: { ...definition.application, migrations } };
    scene.ask = () => Promise.resolve({ yes: false, by: 'ada' });
    const refused = await failure(
      abandonRelease({ ...session, ask: scene.ask, definition: without }, past, 'npm run rollback', {
        acceptLoss: true,
      }),
    );
    expect(refused.message).to.contain('ada said no');
    // It can still go on: nothing was begun.
    expect(scene.entries().some(({ type }) => type === 'rollback.started')).to.equal(false);
  });

  it('that only the balancer knows of is recorded before anything goes back, and its database is kept', async () => {
    killed();
    await scene.moved();
    // As where it could not be settled: a loss is accepted all the same.
    await abandon(scene.settings, [cutover(scene.settings)], 'npm run rollback', { acceptLoss: true });
    expect(lastOf(scene.entries(), 'cutover.done')).to.include({ direction: 'forward' });
    expect(lastOf(scene.entries(), 'rollback.done')?.loss?.kind).to.equal('accepted');
    expect(scene.applied).not.to.include('green destroyed');
  });

  it('that was undone is settled, also where the program died while the colour was taken down', async () => {
    killed();
    scene.journal.append({ type: 'undo.started', reason: 'x', outcome: 'rolled-back', automatic: true });
    scene.journal.append({ type: 'action.intent', id: 'prepare/destroy-production-green', what: 'take it down' });
    await stopCluster(scene.rig.specs.green);
    try {
      const { session, past } = scene.open;
      expect((await resumeRelease(session, past)).verdict).to.equal('rolled-back');
    } finally {
      await startCluster(scene.rig.specs.green);
    }
    expect(await scene.write(31)).to.equal('blue');
  }).timeout(240_000);
});
