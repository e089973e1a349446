import { expect } from 'chai';
import { rows, withClient } from '../../../../../automation/data/connect.ts';
import { allOf, lastOf } from '../../../../../automation/journal/entries.ts';
import { describeLoss, lossIn } from '../../../../../automation/journal/loss.ts';
import { openRun } from '../../../../../automation/release/context/context.ts';
import { StageStopped, takeSteps, type Stage } from '../../../../../automation/release/context/stage.ts';
import { abandon, runRelease, undoStarted } from '../../../../../automation/release/run.ts';
import { approval } from '../../../../../automation/release/stages/approval.ts';
import { bake } from '../../../../../automation/release/stages/bake.ts';
import { cutover } from '../../../../../automation/release/stages/cutover.ts';
import { hasCode } from '../../../../../infra/lib/errors.ts';
import { grantWrites } from '../../../../../infra/application/roles.ts';
import { startCluster, stopCluster } from '../../../../../infra/local/postgres/cluster.ts';
import { value } from '../../data/rig.ts';
import { WindowedRelease } from './windowed-release.ts';

describe('a release whose writes move in a read-only window', () => {
  const scene = new WindowedRelease();
  beforeEach(() => scene.begin());
  afterEach(() => scene.end());
  after(() => scene.rig.dispose());

  const stage = () => cutover(scene.settings);
  /** The cutover as a run takes it, and then the stages that are given. */
  const run = (...then: Stage[]) => runRelease(scene.settings, [stage(), ...then]);
  const failure = (work: Promise<unknown>): Promise<Error> =>
    work.then(
      () => expect.fail('it was to reject'),
      (error: unknown) => error as Error,
    );
  const gate = (id: string) => allOf(scene.journal.entries(), 'gate.judged').findLast((e) => e.gate.id === id)?.gate;
  const back = () => {
    const done = lastOf(scene.journal.entries(), 'rollback.done');
    return done && describeLoss(lossIn(done));
  };
  const columns = (colour: 'blue' | 'green') =>
    withClient(scene.rig[colour].access, 'admin', (client) =>
      rows<{ name: string }>(
        client,
        `SELECT attname AS name FROM pg_attribute WHERE attrelid = 'public.people'::regclass AND attnum > 0 ORDER BY attnum`,
      ),
    ).then((found) => found.map(({ name }) => name));
  const failing = (reason: string): Stage => ({
    id: 'bake',
    title: 'Bake',
    workMs: 0,
    observationMs: 0,
    steps: [{ says: 'x', do: () => Promise.reject(new StageStopped('rolled-back', reason)) }],
  });

  it('starts and tries the new version inside it, judges the data before the flip, and serves reads all the time', async () => {
    const inside: string[] = [];
    scene.onStart = async () => {
      inside.push(await scene.write(7), `reads ${await scene.read()}`, (await columns('green')).join());
    };
    await run();
    expect(inside).to.deep.equal(['writes are refused', 'reads 2', 'id,full_name']);
    expect(scene.applied).to.deep.equal(['green 2.0.0', 'traffic']);
    expect(await scene.write(8)).to.equal('green');
    const entries = scene.journal.entries();
    const [data, smoke] = [gate('data-comparison'), gate('smoke')];
    expect([data?.verdict, smoke?.verdict]).to.deep.equal(['pass', 'pass']);
    const at = (type: string, step?: string) =>
      entries.findIndex((e) => e.type === type && (step === undefined || ('step' in e && e.step === step)));
    expect(at('gate.judged')).to.be.lessThan(at('cutover.step', 'flip'));
    const done = lastOf(entries, 'cutover.done');
    expect(done).to.include({ direction: 'forward', from: 'blue', to: 'green' }).and.not.to.have.property('holdMs');
    expect(done?.window?.refusedMs).to.be.greaterThan(0);
    const refused = allOf(entries, 'writes.refused');
    expect(refused.map(({ to }) => to === undefined)).to.deep.equal([true, false]);
    expect(refused[0]?.from).to.equal(refused[1]?.from);
    expect(scene.types()).not.to.include('undo.started');
  });

  it('is undone by a smoke test that fails: nothing is lost, and the release is one that went back', async () => {
    scene.smoke = false;
    const outcome = await run();
    expect(outcome.verdict).to.equal('rolled-back');
    expect(outcome.reason).to.contain('step check').and.contain('Smoke tests');
    expect(gate('smoke')?.verdict).to.equal('fail');
    expect(await scene.write(9)).to.equal('blue');
    expect(back()).to.equal('nothing lost: no write had moved');
    expect(allOf(scene.journal.entries(), 'writes.refused').at(-1)?.to).to.be.a('number');
    expect(lastOf(scene.journal.entries(), 'cutover.done')).to.equal(undefined);
  });

  it('is undone by an invariant that the migration breaks', async () => {
    scene.invariants = [
      {
        name: 'nobody-is-gone',
        sql: `SELECT 1 WHERE NOT EXISTS (SELECT FROM information_schema.columns WHERE table_name = 'people' AND column_name = 'name')`,
      },
    ];
    expect((await run()).verdict).to.equal('rolled-back');
    expect(gate('data-comparison')?.verdict).to.equal('fail');
    expect(scene.router.split.live).to.equal('blue');
  });

  it('is undone when its time is over, once what it had begun has ended: the colour is taken down after that', async () => {
    scene.longestSeconds = 5;
    let ended = false;
    scene.onStart = (signal) =>
      new Promise((_, reject) =>
        signal.addEventListener('abort', () =>
          setTimeout(() => {
            ended = true;
            reject(signal.reason as Error);
          }, 300),
        ),
      );
    const outcome = await run();
    expect([outcome.verdict, ended]).to.deep.equal(['rolled-back', true]);
    expect(outcome.reason).to.contain('step start').and.contain('5 s');
    expect(await scene.write(9)).to.equal('blue');
  });

  describe('once it has moved them', () => {
    it('is not taken back by itself: the release stays open, says both ways, and can be watched again', async () => {
      const error = await failure(run(failing('the SLOs broke')));
      expect(hasCode(error, 'no-way-back')).to.equal(true);
      expect(error.message).to.contain('the SLOs broke').and.contain('npm run resume').and.contain('--accept-loss');
      expect(scene.types()).not.to.include('undo.started').and.not.to.include('release.ended');
      expect(await scene.write(10)).to.equal('green');
      // `resume` takes what is left: the stage that had stopped, from its first step.
      const watched: string[] = [];
      const again = { ...failing(''), steps: [{ says: 'x', do: () => Promise.resolve(watched.push('again')) }] };
      expect((await run(again)).verdict).to.equal('go');
      expect(watched).to.deep.equal(['again']);
    });

    it('has a gate that says that no way back is armed, and who approved that', async () => {
      await run();
      const { context } = openRun(scene.settings).at('bake');
      const [, armed] = bake(scene.settings).steps as unknown as {
        do: (c: typeof context, given: unknown) => Promise<unknown>;
      }[];
      await armed?.do(context, undefined);
      expect(gate('way-back')).to.include({ verdict: 'pass' });
      expect(gate('way-back')?.measurements[0]?.measured).to.equal('not armed: read-only window, as approved by ada');
    });

    it('is taken back with the loss of what was written since, which is named first, by somebody who agrees', async () => {
      await run();
      expect([await scene.write(11), await scene.write(12)]).to.deep.equal(['green', 'green']);
      const asked: string[] = [];
      scene.ask = (question) => Promise.resolve({ yes: asked.push(question) > 1, by: 'ada' });
      const undo = () => abandon(scene.settings, [stage()], 'npm run rollback', { acceptLoss: true });
      const refused = await failure(undo());
      expect(refused.message).to.contain('ada said no');
      expect(undoStarted(scene.journal.entries())).to.equal(undefined);
      expect(scene.router.split.live).to.equal('green');

      expect((await undo()).verdict).to.equal('rolled-back');
      expect(back())
        .to.match(/^WITH LOSS of .*public\.people: 2 rows only on green/)
        .and.contain('public.people.full_name cannot be compared, as blue does not have it')
        .and.contain('read-only window');
      expect(await scene.write(13)).to.equal('blue');
      // The new database keeps what it has, and nobody writes there.
      expect(await value(scene.rig.green, 'SELECT count(*)::int FROM people')).to.equal(4);
      const late = withClient(scene.rig.green.access, 'app', (client) => client.query('DELETE FROM people'));
      expect((await failure(late)).message).to.contain('permission denied');
    });

    it('refuses to be taken back by somebody who has not accepted a loss, and nothing is begun', async () => {
      await run();
      const error = await failure(abandon(scene.settings, [stage()], 'npm run rollback'));
      expect(hasCode(error, 'no-way-back')).to.equal(true);
      expect(scene.types()).not.to.include('undo.started');
      expect(scene.router.split.live).to.equal('green');
    });

    it('is taken back where the new database does not answer: nobody knows how much is lost', async () => {
      await run();
      await stopCluster(scene.rig.specs.green);
      try {
        const undo = abandon(scene.settings, [stage()], 'npm run rollback', { acceptLoss: true });
        expect((await undo).verdict).to.equal('rolled-back');
      } finally {
        await startCluster(scene.rig.specs.green);
      }
      expect(back()).to.match(/^WITH LOSS, how much is unknown/);
      expect(await scene.write(14)).to.equal('blue');
    });

    it('stays on staging where a rehearsal fails: nothing there has to be kept', async () => {
      scene.kind = 'rehearsal';
      const outcome = await run(failing('the load was too much'));
      expect(outcome.verdict).to.equal('no-go');
      expect(lastOf(scene.journal.entries(), 'rollback.done')).to.equal(undefined);
      expect(scene.router.split.live).to.equal('green');
    });
  });

  it('may be repeated where it had flipped: what was compared in it counts, and the invariants have to hold', async () => {
    await run();
    const before = allOf(scene.journal.entries(), 'cutover.done').length;
    const again = openRun(scene.settings);
    await takeSteps(again.at('cutover').context, stage()).finally(() => again.close());
    expect(gate('data-comparison')?.verdict).to.equal('pass');
    expect(allOf(scene.journal.entries(), 'cutover.done')).to.have.length(before);
  });

  it('is asked about with what it costs users, and who says yes stands in the journal', async () => {
    scene.approved = false;
    const asked: string[] = [];
    scene.ask = (question) => Promise.resolve({ yes: asked.push(question) > 0, by: 'grace' });
    const { context } = openRun(scene.settings).at('approval');
    await takeSteps(context, approval(scene.settings));
    expect(asked.join()).to.contain(
      'A read-only window: users can read, and writes are answered 503 for about 12 s (at most 1 min 00 s); from then on there is no way back without the loss of the writes made since.',
    );
    expect(lastOf(scene.journal.entries(), 'approval.given')?.by).to.equal('grace');
  });

  it('holds no right to write on the new colour before the flip', async () => {
    let early: string | undefined;
    scene.onStart = async () => {
      early = await withClient(scene.rig.green.access, 'app', (client) => client.query('DELETE FROM people')).then(
        () => 'written',
        (error: Error) => error.message,
      );
    };
    await run();
    expect(early).to.contain('permission denied');
    await withClient(scene.rig.blue.access, 'admin', (client) => client.query(grantWrites));
  });
});
