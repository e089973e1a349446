import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { allOf } from '../../../../../../automation/journal/entries.ts';
import { openJournal, type Journal } from '../../../../../../automation/journal/journal.ts';
import { openRun } from '../../../../../../automation/release/context/context.ts';
import { settle } from '../../../../../../automation/release/resume.ts';
import { moveWrites } from '../../../../../../automation/release/steps/traffic/move-writes.ts';
import { other, type Colour } from '../../../../../../infra/model.ts';
import { cutoverSteps } from '../../../../../../automation/data/cutover/procedure.ts';
import { begin } from '../../../data/cutover/dying.ts';
import { overlapping } from '../../../../infra/local/workers/guards.ts';
import { releaseSettings } from '../../settings.ts';
import { Queue, twice } from './queue.ts';

describe('workers over a move of the writes', function () {
  this.timeout(300_000);
  let queue: Queue;
  let directory: string;
  let journal: Journal;
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'greenlight-workers-'));
    journal = openJournal(directory);
    queue = new Queue();
    await queue.start();
  });
  afterEach(async () => {
    await queue.dispose();
    journal.close();
    rmSync(directory, { recursive: true });
  });

  const worker = (name: string) => ({ name, start: ['node', 'worker.js'] });
  const settings = (from: Colour) => ({
    ...releaseSettings({
      directory,
      journal,
      definition: {
        cutover: { holdMs: 4000, drainMs: 2000 },
        application: { workers: [worker('table'), worker('file')] },
      },
      environment: {
        router: queue.router,
        workers: queue.guards.workers,
        databases: { of: (colour: Colour) => Promise.resolve(queue.rig[colour].access) },
      },
    }),
    from: { colour: from, version: '1.0.0', artefact: { version: '1.0.0', digest: 'sha256:1', location: '' } },
    to: { colour: other(from), version: '2.0.0' },
  });
  const move = async (from: Colour): Promise<unknown> => {
    const run = openRun(settings(from));
    return moveWrites(run.at('cutover').context, { from, to: other(from), direction: 'forward' }).finally(() =>
      run.close(),
    );
  };
  const runs = async () => (await queue.guards.workers.states()).runs;
  const notes = () => allOf(journal.entries(), 'note').map(({ text }) => text);

  it('do every job once in ten of them, whether or not a transaction holds what they do', async () => {
    for (let flip = 0; flip < 10; flip += 1) {
      await queue.more(20);
      const from = queue.router.split.live;
      await move(from);
      expect([queue.router.split.live, await runs()]).to.deep.equal([other(from), other(from)]);
    }
    await queue.more(20);
    await queue.finish();
    for (const how of ['table', 'file'] as const) {
      const done = await queue.done(how);
      expect(twice(done), how).to.deep.equal([]);
      expect(new Set(done), how).to.deep.equal(new Set(queue.made[how]));
    }
    expect(overlapping(queue.guards.lines())).to.deep.equal([]);
    expect(notes().filter((text) => /^workers paused for /.test(text))).to.have.length(10);
    if (process.env['GREENLIGHT_FIGURES'] !== undefined)
      console.log({ jobs: queue.made.table.length, paused: notes().filter((text) => text.startsWith('workers')) });
  });

  it('overlap at no time where the program and guards are killed anywhere, and follow who is live then', async () => {
    journal.append({ type: 'stage.started', stage: 'cutover' });
    let kills = 0;
    const killGuards = (): void => {
      for (const name of ['table', 'file']) {
        const record = queue.guards.record(`${name}.${queue.router.split.live}.1`);
        if (record === undefined) continue;
        process.kill(record.guard.pid, 'SIGKILL');
        kills += 1;
      }
    };
    for (const step of ['pause', ...cutoverSteps.filter((name) => name !== 'compare'), 'done'] as const) {
      await queue.more(5);
      const from = queue.router.split.live;
      if (step === 'pause') killGuards();
      await queue.guards.workers.pause();
      if (step === 'grant' || step === 'flip') killGuards();
      if (step !== 'pause') {
        const dieAfter = step === 'done' ? 'compare' : step;
        const order = {
          from: queue.rig[from],
          to: queue.rig[other(from)],
          direction: 'forward',
          holdMs: 2000,
        } as const;
        const { ended } = begin(queue.router, { ...order, dieAfter, signal: 'SIGKILL' });
        expect(await ended, step).to.equal('SIGKILL');
      }
      expect(await runs(), step).to.equal(undefined);
      await settle(settings(from));
      expect(await runs(), step).to.equal(queue.router.split.live);
      if (step === 'hold' || step === 'follow') {
        await queue.more(5);
        killGuards();
      }
    }
    await queue.more(5);
    await queue.finish();
    const table = await queue.done('table');
    expect(twice(table)).to.deep.equal([]);
    expect(new Set(table)).to.deep.equal(new Set(queue.made.table));
    // What a killed worker had done outside of its transaction it does again.
    const file = await queue.done('file');
    expect(twice(file).length).to.be.at.most(kills);
    expect(new Set(file)).to.deep.equal(new Set(queue.made.file));
    expect(overlapping(queue.guards.lines())).to.deep.equal([]);
  });
});
