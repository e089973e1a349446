import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { checkRelease } from '../../../../automation/config/load.ts';
import { CutoverAborted } from '../../../../automation/data/cutover/cutover.ts';
import { check, type Gate } from '../../../../automation/journal/verdict.ts';
import type { ReleaseSettings } from '../../../../automation/release/context/context.ts';
import type { StageId } from '../../../../automation/journal/events.ts';
import type { Loss } from '../../../../automation/journal/loss.ts';
import { openJournal, type Journal } from '../../../../automation/journal/journal.ts';
import { abandon, runRelease, undoStarted } from '../../../../automation/release/run.ts';
import { StageStopped, type Stage, type Step } from '../../../../automation/release/context/stage.ts';
import { runDirectory, runFiles } from '../../../../automation/release/synthetic/runs.ts';
import { validDefinition } from '../../../lib/valid-definition.ts';

type Writable = { -readonly [K in keyof Stage]: Stage[K] };

describe('running a release', () => {
  let directory: string;
  let journal: Journal;
  let calls: string[];
  let abort: AbortController;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'greenlight-run-'));
    journal = openJournal(directory);
    calls = [];
    abort = new AbortController();
  });
  afterEach(() => {
    journal.close();
    rmSync(directory, { recursive: true });
  });

  const stage = (id: StageId, work: Step['do'] = () => Promise.resolve()): Writable => ({
    id,
    title: id,
    workMs: 0,
    observationMs: 0,
    steps: [
      {
        says: id,
        do: (context, given) => {
          calls.push(`apply ${id}`);
          return work(context, given);
        },
      },
    ],
    undo: () => {
      calls.push(`undo ${id}`);
      return Promise.resolve(`${id} is undone`);
    },
  });
  const gate = (ok: boolean): Gate => ({
    id: 'g',
    title: 'A gate',
    measure: () => Promise.resolve({ measurements: [check('x', '1', ok ? '1' : '2', ok)] }),
  });
  // Only what the run loop itself uses; a stage that reached for more would fail on it.
  const settings = (waivers: object[] = []): ReleaseSettings =>
    ({
      id: 'r',
      kind: 'release',
      environment: 'production',
      directory,
      journal,
      signal: abort.signal,
      platform,
      to: { colour: 'green', version: '2.0.0' },
      definition: { waivers, announcements: {}, application: { name: 'app' } },
      waiting: () => undefined,
    }) as unknown as ReleaseSettings;
  const platform = { stopsHere: (error: unknown) => error instanceof Error && error.message === 'expired' };
  const types = () => journal.entries().map((entry) => entry.type);

  it('takes every stage in order and ends with go', async () => {
    const outcome = await runRelease(settings(), [stage('preflight'), stage('build')]);
    expect(outcome.verdict).to.equal('go');
    expect(calls).to.deep.equal(['apply preflight', 'apply build']);
    expect(types().at(-1)).to.equal('release.ended');
  });

  it('stops at a gate that fails, and undoes what was begun, last first', async () => {
    const failing = stage('build', async (context) => void (await context.gates([gate(false)])));
    const outcome = await runRelease(settings(), [stage('preflight'), failing, stage('staging')]);
    expect(outcome.verdict).to.equal('no-go');
    expect(outcome.reason).to.contain('A gate: fail (x: 2, wanted 1)');
    expect(calls).to.deep.equal(['apply preflight', 'apply build', 'undo build', 'undo preflight']);
  });

  it('goes on past a failing gate that is waived, and says so', async () => {
    const waiver = { gate: 'g', reason: 'known, and accepted for now', by: 'product owner', expires: '2999-01-01' };
    const failing = stage('build', async (context) => void (await context.gates([gate(false)])));
    expect((await runRelease(settings([waiver]), [failing])).verdict).to.equal('go');
    const ended = journal.entries().find((entry) => entry.type === 'stage.ended');
    expect(ended).to.include({ verdict: 'waived' });
  });

  it('stops when what was done cannot be read back', async () => {
    const lying = { ...stage('build'), verify: () => Promise.resolve('the balancer says otherwise') };
    const outcome = await runRelease(settings(), [lying, stage('staging')]);
    expect(outcome.verdict).to.equal('no-go');
    expect(outcome.reason).to.contain('the balancer says otherwise');
    expect(calls).not.to.contain('apply staging');
  });

  const broken = () => stage('build', () => Promise.reject(new Error('disk full')));

  it('calls an unexpected error failed, and undoes', async () => {
    const outcome = await runRelease(settings(), [stage('preflight'), broken()]);
    expect(outcome).to.deep.equal({ verdict: 'failed', reason: 'disk full' });
    expect(calls).to.deep.equal(['apply preflight', 'apply build', 'undo build', 'undo preflight']);
  });

  it('has not ended where something could not be undone: that is tried again, for the same reason', async () => {
    const stages = [
      stage('preflight'),
      { ...stage('build'), undo: () => Promise.reject(new Error('it is stuck')) },
      broken(),
    ];
    const error = await rejection(runRelease(settings(), stages));
    expect(error.message)
      .to.contain('disk full')
      .and.to.contain('build was not undone: it is stuck')
      .and.to.contain('npm run resume');
    // The others are undone all the same.
    expect(calls).to.contain('undo preflight');
    expect(types()).not.to.contain('release.ended');

    const outcome = await abandon(settings(), [stage('preflight'), stage('build')], 'another reason');
    expect(outcome).to.deep.equal({ verdict: 'failed', reason: 'disk full' });
    expect(types().at(-1)).to.equal('release.ended');
  });

  it('leaves the rest as it is when the undoing is interrupted, and goes on with it', async () => {
    const interrupted = stage('staging');
    interrupted.undo = () => {
      abort.abort(new Error('Ctrl-C'));
      return Promise.reject(new Error('the engine was stopped'));
    };
    const error = await rejection(runRelease(settings(), [stage('preflight'), interrupted, broken()]));
    expect(error.message).to.equal('Ctrl-C');
    expect(calls).not.to.contain('undo preflight');
    expect(undoStarted(journal.entries())).to.deep.equal({ reason: 'disk full', outcome: 'failed', automatic: true });
  });

  it('undoes nothing more where a cutover back leaves open who is live', async () => {
    const lost = stage('cutover');
    lost.undo = () => Promise.reject(new CutoverAborted('flip', new Error('no answer'), ['who is live is not known']));
    const error = await rejection(runRelease(settings(), [stage('canary'), lost, broken()]));
    expect(error).to.be.instanceOf(CutoverAborted);
    expect(calls).not.to.contain('undo canary');
  });

  it('leaves everything as it is when it is interrupted, and goes on there the next time', async () => {
    const interrupted = stage('build', (context) => {
      abort.abort(new Error('Ctrl-C'));
      return Promise.reject(context.signal.reason as Error);
    });
    let thrown: unknown;
    await runRelease(settings(), [stage('preflight'), interrupted]).catch((error: unknown) => (thrown = error));
    expect(thrown).to.have.property('message', 'Ctrl-C');
    expect(types()).not.to.contain('release.ended');
    expect(calls).to.deep.equal(['apply preflight', 'apply build']);

    abort = new AbortController();
    const outcome = await runRelease(settings(), [stage('preflight'), stage('build'), stage('staging')]);
    expect(outcome.verdict).to.equal('go');
    expect(calls.slice(2)).to.deep.equal(['apply build', 'apply staging']);
  });

  it('leaves everything as it is when it can do nothing any more', async () => {
    const error = await rejection(runRelease(settings(), [stage('build', () => Promise.reject(new Error('expired')))]));
    expect(error.message).to.equal('expired');
    expect(calls).not.to.contain('undo build');
    expect(types()).not.to.contain('release.ended').and.not.to.contain('undo.started');
  });

  it('is undone where the clean-up stops for a rollback that was asked for', async () => {
    const asked = stage('cleanup', () => Promise.reject(new StageStopped('rolled-back', 'asked for')));
    expect((await runRelease(settings(), [stage('cutover'), asked])).verdict).to.equal('rolled-back');
    expect(calls).to.deep.equal(['apply cutover', 'apply cleanup', 'undo cleanup', 'undo cutover']);
  });

  it('never undoes past the point of no return', async () => {
    const failing = stage('cleanup', () => Promise.reject(new Error('contract migration failed')));
    let thrown: unknown;
    await runRelease(settings(), [stage('cutover'), failing]).catch((error: unknown) => (thrown = error));
    expect(thrown).to.have.property('message').that.contains('contract migration failed');
    expect(calls).not.to.contain('undo cutover');
    expect(types()).not.to.contain('release.ended');
  });

  it('is rolled back when a stage moved traffic back', async () => {
    const canary = stage('canary', () => Promise.reject(new StageStopped('rolled-back', 'p95 is too high')));
    canary.undo = () => {
      journal.append({ type: 'rollback.started', reason: 'p95', automatic: true });
      journal.append({
        type: 'rollback.done',
        ms: 3,
        loss: { kind: 'none', because: 'no write had moved' },
        detail: 'reads only',
      });
      return Promise.resolve('reads are back');
    };
    expect((await runRelease(settings(), [canary])).verdict).to.equal('rolled-back');
  });

  describe('judges marked traffic after an undo', () => {
    const end = async () => {
      const login = { user: 'u', password: 'a-password-of-no-use' };
      const environment = {
        router: {
          entry: { routeHeaders: () => ({}) },
          read: () => Promise.resolve({ split: { live: 'blue', percent: 0 } }),
        },
        databases: { of: () => Promise.resolve({ admin: login, owner: login, app: login }) },
        backups: {},
        close: () => Promise.resolve(),
      };
      const definition = checkRelease('release.config.ts', validDefinition(), () => []);
      const all = {
        ...settings(),
        definition,
        platform: { ...platform, connect: () => Promise.resolve(environment) },
      } as unknown as ReleaseSettings;
      const canary = stage('canary', () => Promise.reject(new StageStopped('rolled-back', 'p95 is too high')));
      await runRelease(all, [stage('preflight'), canary, stage('bake')]);
    };
    let run: string;
    beforeEach(() => {
      run = runDirectory(join(directory, 'evidence'), 1);
      mkdirSync(run, { recursive: true });
    });

    it('under the stage that it belongs to', async () => {
      await end();
      const judged = journal.entries().filter((entry) => entry.type === 'gate.judged');
      expect(judged.map((entry) => [entry.stage, entry.gate.id])).to.deep.equal([['bake', 'user-journey']]);
    });

    it('and knows from the journal which writes were refused as announced', async () => {
      const { consoleFile, summaryFile } = runFiles(run);
      const failed = [1_500, 2_500].map((at) => ({ request: 'failed', method: 'POST', url: '/x', status: 503, at }));
      writeFileSync(consoleFile, failed.map((entry) => JSON.stringify(entry)).join('\n'));
      const summary = { greenlight: { requests: 9, failed: 2 }, state: { testRunDurationMs: 1000 } };
      writeFileSync(summaryFile, JSON.stringify(summary));
      journal.append({ type: 'writes.refused', from: 1_000 });
      journal.append({ type: 'writes.refused', from: 1_000, to: 2_000 });
      await end();
      const ended = journal.entries().find((entry) => entry.type === 'synthetic.ended');
      expect(ended?.requests).to.deep.equal({ total: 9, failed: 1, refused: 1 });
    });
  });

  it('tells users what was compared at the way back, and never more', async () => {
    const back = (loss: Loss): Stage => ({
      ...stage('cutover', () => Promise.reject(new StageStopped('rolled-back', 'p95 is too high'))),
      undo: () => {
        journal.append({ type: 'rollback.done', ms: 3, loss, detail: 'blue is live again' });
        return Promise.resolve('writes are back');
      },
    });
    // Nothing listens there: what was to be told is in the journal all the same.
    const told = async (loss: Loss, end: (all: ReleaseSettings, stages: Stage[]) => Promise<unknown>) => {
      const all = settings();
      all.definition.announcements.webhook = 'http://127.0.0.1:1/';
      await end(all, [back(loss)]);
      const sent = journal.entries().findLast((entry) => entry.type === 'announcement.sent');
      return sent?.type === 'announcement.sent' ? sent.text : '';
    };
    const left: Loss = { kind: 'left-behind', tables: [{ table: 'public.streaks', rows: 3 }], columns: [] };
    const differs: Loss = { kind: 'differs', different: ['public.orders'], tables: [], columns: [] };
    expect(await told({ kind: 'none', because: 'compared' }, runRelease)).to.contain('nothing was lost');
    expect(await told(left, runRelease))
      .to.contain('was taken back')
      .and.not.contain('nothing was lost');
    expect(await told(differs, runRelease))
      .to.contain('may be missing')
      .and.not.contain('nothing was lost');
    const interrupted = (all: ReleaseSettings, stages: Stage[]) => abandon(all, stages, 'npm run rollback');
    expect(await told(differs, interrupted))
      .to.contain('may be missing')
      .and.not.contain('nothing was lost');
  });
});

const rejection = (work: Promise<unknown>): Promise<Error> =>
  work.then(
    () => expect.fail('it did not reject'),
    (error: unknown) => error as Error,
  );
