import { expect } from 'chai';
import { lastOf } from '../../../../../automation/journal/entries.ts';
import { movedInWindow } from '../../../../../automation/journal/window.ts';
import { abandonRelease, resumeRelease, settle } from '../../../../../automation/release/resume.ts';
import { hasCode } from '../../../../../infra/lib/errors.ts';
import { WindowedRelease } from './windowed-release.ts';

describe('a read-only window whose program died', () => {
  const scene = new WindowedRelease();
  beforeEach(() => scene.begin());
  afterEach(() => scene.end());
  after(() => scene.rig.dispose());

  /** All that a killed program leaves in the journal. */
  const killed = ({ refusing = true } = {}): void => {
    scene.journal.append({ type: 'stage.started', stage: 'prepare' });
    scene.journal.append({ type: 'stage.started', stage: 'cutover' });
    scene.journal.append({ type: 'action.intent', id: 'cutover/forward', what: 'move writes' });
    if (refusing) scene.journal.append({ type: 'writes.refused', from: Date.now() });
  };
  const failure = (work: Promise<unknown>): Promise<Error> =>
    work.then(
      () => expect.fail('it was to reject'),
      (error: unknown) => error as Error,
    );

  it('is undone by resume where it had not flipped: the new colour may be migrated, so the release cannot go on', async () => {
    killed();
    await scene.router.refuse(60_000);
    const { session, past } = scene.open;
    const done = await resumeRelease(session, past);
    expect(done.verdict).to.equal('rolled-back');
    expect(done.reason).to.equal('the program ended in the read-only window, which was undone');
    expect(lastOf(scene.entries(), 'rollback.done')?.loss).to.deep.equal({
      kind: 'none',
      because: 'no write had moved',
    });
    expect(scene.applied).to.include('green destroyed');
    expect(await scene.write(20)).to.equal('blue');
  });

  it('is finished by resume where it had flipped: it is recorded once, and that nobody measured it', async () => {
    killed();
    await scene.moved();
    expect(await settle(scene.settings)).to.contain('the cutover is finished: green is live');
    await settle(scene.settings);
    const entries = scene.journal.entries();
    expect(entries.filter(({ type }) => type === 'cutover.done')).to.have.length(1);
    expect(lastOf(entries, 'cutover.done')?.window).to.deep.equal({});
    expect(movedInWindow(entries)).to.equal(true);
    expect(await scene.write(21)).to.equal('green');
  });

  it('refuses a rollback that accepts no loss, also where only the balancer knows that it had flipped', async () => {
    killed();
    await scene.moved();
    const { session, past } = scene.open;
    const refused = await failure(abandonRelease(session, past, 'npm run rollback'));
    expect(hasCode(refused, 'no-way-back')).to.equal(true);
    expect(refused.message).to.contain('--accept-loss');
    expect(scene.router.split.live).to.equal('green');
    expect(scene.entries().some(({ type }) => type === 'undo.started')).to.equal(false);
  });

  it('is not resumed by a definition that has no window any more', async () => {
    killed();
    const { session, past } = scene.open;
    const { definition } = session;
    const { incompatible: _gone, ...migrations } = definition.application.migrations!;
    const without = { ...definition, application: { ...definition.application, migrations } };
    const refused = await failure(resumeRelease({ ...session, definition: without }, past));
    expect(refused.message).to.contain('it began with a read-only window');
  });
});
