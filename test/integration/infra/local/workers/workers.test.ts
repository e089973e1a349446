import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { ReleaseContext } from '../../../../../automation/release/context/context.ts';
import { requireGuards, workerWatch } from '../../../../../automation/release/steps/traffic/workers.ts';
import { isAlive } from '../../../../../infra/lib/lifetimes.ts';
import { processesOf } from '../../../../../infra/local/workers/processes.ts';
import { giveTurn } from '../../../../../infra/local/workers/turn.ts';
import { Guards, overlapping } from './guards.ts';

const program = join(import.meta.dirname, 'fixtures', 'worker.mjs');

describe('workers on this machine', function () {
  this.timeout(120_000);
  let guards: Guards;
  beforeEach(() => (guards = new Guards()));
  afterEach(() => guards.dispose());

  const argv = (...how: string[]) => [process.execPath, program, guards.file, ...how];
  const state = async (id: string) => (await guards.workers.states()).all.find((one) => one.id === id);
  /** Its command has been started, and written something. */
  const runs = (id: string) =>
    guards.until(() => {
      const leader = guards.record(id)?.run?.leader;
      return leader !== undefined && guards.lines().some(([, pid]) => pid === leader.pid);
    });

  it('run on the colour whose turn it is alone, and one after the other', async () => {
    await guards.put({ name: 'w.blue.1', colour: 'blue', argv: argv() });
    await guards.put({ name: 'w.green.1', colour: 'green', argv: argv() });
    expect(await guards.writes()).to.equal(false);
    for (const colour of ['blue', 'green', 'blue'] as const) {
      await guards.workers.run(colour);
      const [mine, others] = [`w.${colour}.1`, colour === 'blue' ? 'w.green.1' : 'w.blue.1'];
      await runs(mine);
      await guards.until(() => guards.writes());
      expect(await state(others)).to.include({ state: 'idle', ready: true });
      const { ended, killed } = await guards.workers.pause();
      expect({ ended, killed }).to.deep.equal({ ended: [mine], killed: [] });
      expect(await guards.writes()).to.equal(false);
    }
    expect(overlapping(guards.lines())).to.deep.equal([]);
    expect(guards.lines().filter(([, , what]) => what === 'ended')).to.have.length(3);
  });

  it('are killed where they do not end in their time, with all that they started', async () => {
    await guards.put({ name: 'w.blue.1', colour: 'blue', argv: argv('parent'), stopSeconds: 1 });
    await guards.workers.run('blue');
    await guards.until(() => guards.lines().some(([name]) => name === 'w.blue.1-child'));
    const { run } = guards.record('w.blue.1')!;
    expect(processesOf(run!)).to.have.length(2);
    const { killed } = await guards.workers.pause();
    expect(killed).to.deep.equal(['w.blue.1']);
    expect(processesOf(run!)).to.deep.equal([]);
    expect(await guards.writes()).to.equal(false);
  });

  it('do not outlive a guard that is killed, and the next guard starts none before', async () => {
    await guards.put({ name: 'w.blue.1', colour: 'blue', argv: argv('parent') });
    await guards.workers.run('blue');
    for (let round = 0; round < 3; round += 1) {
      await runs('w.blue.1');
      const children = () => guards.lines().filter(([name, , what]) => name === 'w.blue.1-child' && what === 'began');
      await guards.until(() => children().length > round);
      process.kill(guards.record('w.blue.1')!.guard.pid, 'SIGKILL');
      await guards.until(
        () => guards.lines().filter(([name, , what]) => name === 'w.blue.1' && what === 'began').length > round + 1,
      );
    }
    // Of neither the worker nor its child does one write after the next one has begun.
    for (const name of ['w.blue.1', 'w.blue.1-child'])
      expect(overlapping(guards.lines().filter(([who]) => who === name))).to.deep.equal([]);
  });

  it('are ended where their guard and the supervisor are gone', async () => {
    await guards.put({ name: 'w.blue.1', colour: 'blue', argv: argv('parent') });
    await guards.workers.run('blue');
    await guards.until(() => guards.lines().some(([name]) => name === 'w.blue.1-child'));
    const { guard, run } = guards.record('w.blue.1')!;
    const supervisord = Number(readFileSync(join(guards.layout.supervisor(), 'supervisord.pid'), 'utf8'));
    process.kill(supervisord, 'SIGKILL');
    process.kill(guard.pid, 'SIGKILL');
    await guards.until(() => !isAlive(guard.pid));
    const { ended } = await guards.workers.pause();
    expect(ended).to.deep.equal(['w.blue.1']);
    expect(processesOf(run!)).to.deep.equal([]);
    expect(await state('w.blue.1')).to.include({ state: 'unguarded', ready: false });
  });

  it('are not waited for without end where a guard does not answer; it is named, or ended where that is asked for', async () => {
    await guards.put({ name: 'w.blue.1', colour: 'blue', argv: argv(), stopSeconds: 1 });
    await guards.workers.run('blue');
    await runs('w.blue.1');
    const { guard, run } = guards.record('w.blue.1')!;
    process.kill(guard.pid, 'SIGSTOP');
    const error = await guards.workers.pause().catch((thrown: unknown) => thrown);
    expect((error as Error).message).to.contain(`w.blue.1 (its guard is process ${guard.pid})`);
    expect(processesOf(run!)).to.have.length(1);
    await guards.workers.pause({ insist: true });
    expect(processesOf(run!)).to.deep.equal([]);
    // Killed, it is there until the supervisor looks at it.
    await guards.until(() => !isAlive(guard.pid));
  });

  it('do not run while the file is damaged or missing', async () => {
    await guards.put({ name: 'w.blue.1', colour: 'blue', argv: argv() });
    await guards.workers.run('blue');
    await runs('w.blue.1');
    writeFileSync(guards.layout.workersFile(), '{"change": "x", "runs": "bl');
    await guards.until(async () => (await state('w.blue.1'))?.state === 'idle');
    await guards.workers.run('blue');
    await runs('w.blue.1');
    rmSync(guards.layout.workersFile());
    await guards.until(async () => (await state('w.blue.1'))?.state === 'idle');
    expect((await guards.workers.states()).runs).to.equal(undefined);
  });

  it('are started again when they end, later each time, and their failures are counted', async () => {
    await guards.put({ name: 'w.blue.1', colour: 'blue', argv: argv('broken') });
    await guards.put({ name: 'x.blue.1', colour: 'blue', argv: ['./no-such-program'] });
    await guards.workers.run('blue');
    for (const name of ['w.blue.1', 'x.blue.1'])
      await guards.until(async () => ((await state(name))?.failures ?? 0) >= 3);
    expect((await guards.workers.pause()).killed).to.deep.equal([]);
  });

  it('roll a version back in the bake time where they fail again and again, or nobody guards them', async () => {
    const worker = { name: 'w', start: ['x'], instances: 1, database: false, env: {}, stopSeconds: 5 };
    const context = {
      connect: () => Promise.resolve({ workers: guards.workers }),
      spec: () => ({ workers: [worker] }),
    } as unknown as ReleaseContext;
    await guards.put({ name: 'w.green.1', colour: 'green', argv: argv('broken') });
    await requireGuards(context, 'green');
    const watching = await workerWatch(context, 'green');
    expect(await watching()).to.equal(undefined);
    await guards.workers.run('green');
    const found: string[] = [];
    await guards.until(async () => {
      const problem = await watching();
      if (problem !== undefined) found.push(problem);
      return problem !== undefined;
    });
    expect(found[0]).to.equal('the worker w.green.1 has failed 3 times');
    const refused = await requireGuards(context, 'blue').catch((error: Error) => error.message);
    expect(refused).to.contain('no guard waits to start w.blue.1');
    const other = await workerWatch(context, 'blue');
    const looks: (string | undefined)[] = [];
    while (looks.at(-1) === undefined && looks.length < 20) looks.push(await other());
    expect(looks.at(-1)).to.equal('w.blue.1 is not guarded, and so does not run');
    expect(looks.length).to.be.greaterThan(5);
  });

  it('keep variables for themselves that would change their guard', async () => {
    await guards.put({ name: 'w.blue.1', colour: 'blue', argv: argv() }, { NODE_OPTIONS: '--no-warnings' });
    await guards.workers.run('blue');
    await runs('w.blue.1');
    const variablesOf = (pid: number) => readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    const { guard, run } = guards.record('w.blue.1')!;
    expect(variablesOf(guard.pid).filter((one) => one.startsWith('NODE_OPTIONS'))).to.deep.equal([]);
    expect(variablesOf(run!.leader!.pid)).to.include('NODE_OPTIONS=--no-warnings');
  });

  it('run commands at their times while it is their turn, never two at once', async () => {
    const schedule = { cron: '* * * * * *', timeZone: 'UTC', timeoutSeconds: 60 };
    await guards.put({ name: 's.blue.1', colour: 'blue', argv: argv('job', '1800'), schedule });
    await sleep(1_500);
    expect(guards.lines()).to.deep.equal([]);
    await guards.workers.run('blue');
    const began = () => guards.lines().filter(([, , what]) => what === 'began').length;
    await guards.until(() => began() >= 3);
    const { ended } = await guards.workers.pause();
    expect(ended.length).to.be.at.most(1);
    expect(overlapping(guards.lines())).to.deep.equal([]);
    const log = readFileSync(join(guards.layout.logs(), 's.blue.1.log'), 'utf8');
    expect(log).to.contain('left out: the run before is still going');
    expect(await guards.writes()).to.equal(false);
  });

  it('end a command that takes too long', async () => {
    const schedule = { cron: '* * * * * *', timeZone: 'UTC', timeoutSeconds: 1 };
    await guards.put({ name: 's.blue.1', colour: 'blue', argv: argv('stubborn'), stopSeconds: 1, schedule });
    await guards.workers.run('blue');
    await guards.until(async () => ((await state('s.blue.1'))?.failures ?? 0) >= 2);
    expect(overlapping(guards.lines())).to.deep.equal([]);
  });

  it('name no colour twice: what was said last holds', async () => {
    await guards.workers.run('blue');
    const before = (await guards.workers.states()).runs;
    await giveTurn(guards.layout.workersFile(), 'green');
    expect([before, (await guards.workers.states()).runs]).to.deep.equal(['blue', 'green']);
  });
});
