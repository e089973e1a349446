import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { cutover } from '../../../../../automation/data/cutover/cutover.ts';
import type { CutoverStep } from '../../../../../automation/data/cutover/procedure.ts';
import { inspect, recoverCutover } from '../../../../../automation/data/cutover/recover.ts';
import { startSync, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import type { Side } from '../../../../../automation/data/link.ts';
import type { Answer, Call, Order } from './dying-cutover.ts';
import { createRig, expand, schemaV1, value, type Rig } from '../rig.ts';
import { MemoryRouter, Workload } from '../traffic.ts';

const holdMs = 800;
const settings = { holdMs: 2000, drainMs: 1000 };

/** Begins a cutover in a program of its own that is killed or stopped after `dieAfter`. */
function begin(
  router: MemoryRouter,
  order: Order,
): { child: ChildProcess; ended: Promise<NodeJS.Signals | number | null>; failure: () => string } {
  const child = fork(join(import.meta.dirname, 'dying-cutover.ts'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  let failure = '';
  child.on('message', (message: Call | { failure: string }) => {
    if ('failure' in message) {
      failure = message.failure;
      return;
    }
    const { id, method, args } = message;
    void (router[method] as (...a: unknown[]) => Promise<unknown>)
      .apply(router, args)
      .then((answer) => child.connected && child.send({ id, value: answer } satisfies Answer, () => undefined));
  });
  child.send(order);
  const ended = new Promise<NodeJS.Signals | number | null>((resolve) =>
    child.once('exit', (code, signal) => resolve(signal ?? code)),
  );
  return { child, ended, failure: () => failure };
}

describe('a program that dies in a cutover', () => {
  let rig: Rig;
  let router: MemoryRouter;
  let load: Workload;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  /** Blue live and written to, green following. */
  beforeEach(async () => {
    await rig.fresh(schemaV1);
    router = new MemoryRouter();
    load = new Workload(rig, router, 100, 4);
    await expand(rig);
    await waitForSync(await startSync(rig.blue, rig.green), { timeoutMs: 30_000 });
  });
  afterEach(() => load.stop());

  const phase = async () => {
    const state = await inspect({ blue: rig.blue.access, green: rig.green.access }, router);
    return `${state.phase}${state.findings.length === 0 ? '' : `: ${state.findings.join(', ')}`}`;
  };
  const verify = async (): Promise<void> => {
    await load.more(40);
    await load.stop();
    expect(load.failures).to.deep.equal([]);
    expect(await load.check(rig)).to.deep.equal([]);
  };
  const die = async (from: Side, to: Side, direction: Order['direction'], dieAfter: CutoverStep): Promise<void> => {
    const { ended } = begin(router, { from, to, direction, holdMs, dieAfter, signal: 'SIGKILL' });
    expect(await ended).to.equal('SIGKILL');
    // Nobody has recovered anything yet: the lease and the server end what was begun, and writes go on.
    await load.more(10);
  };

  it('is undone where it had not flipped, and the next one succeeds', async () => {
    for (const step of ['prepare', 'hold', 'drain', 'fence', 'replay', 'carry-over', 'grant'] as const) {
      await die(rig.blue, rig.green, 'forward', step);
      expect(router.split.live, step).to.equal('blue');
      const recovery = await recoverCutover({ router, from: rig.blue, to: rig.green, direction: 'forward' });
      expect(recovery, step).to.deep.equal({ outcome: 'undone', replicating: true, problems: [] });
      expect(await phase(), step).to.equal('replicating');
    }
    const done = await cutover({ router, from: rig.blue, to: rig.green, direction: 'forward', settings });
    expect(done).to.include({ equal: true }).and.to.have.property('problems').that.is.empty;
    await verify();
  }).timeout(60_000);

  for (const step of ['flip', 'release', 'fenced', 'follow'] as const) {
    it(`is finished where it had flipped (${step}), and the way back loses nothing`, async () => {
      await die(rig.blue, rig.green, 'forward', step);
      expect(router.split.live).to.equal('green');
      for (const attempt of ['once', 'again']) {
        const recovery = await recoverCutover({ router, from: rig.blue, to: rig.green, direction: 'forward' });
        expect(recovery, attempt).to.deep.equal({ outcome: 'finished', replicating: true, problems: [] });
      }
      expect(await phase()).to.equal('replicating');
      await load.more(20);
      await rig.run(rig.green, `INSERT INTO badges (account, name) VALUES (1, 'first')`);
      const back = await cutover({ router, from: rig.green, to: rig.blue, direction: 'rollback', settings });
      expect(back.problems).to.deep.equal([]);
      expect(back.tables.filter((t) => !t.equal)).to.deep.equal([]);
      await verify();
      expect(await value<string>(rig.blue, 'SELECT count(*) FROM entries')).to.equal(String(load.acknowledged.size));
    });
  }

  it('is settled in a rollback, too', async () => {
    await cutover({ router, from: rig.blue, to: rig.green, direction: 'forward', settings });
    for (const step of ['fence', 'grant'] as const) {
      await die(rig.green, rig.blue, 'rollback', step);
      const recovery = await recoverCutover({ router, from: rig.green, to: rig.blue, direction: 'rollback' });
      expect(recovery, step).to.deep.equal({ outcome: 'undone', replicating: true, problems: [] });
    }
    await die(rig.green, rig.blue, 'rollback', 'flip');
    const recovery = await recoverCutover({ router, from: rig.green, to: rig.blue, direction: 'rollback' });
    expect(recovery).to.deep.equal({ outcome: 'finished', replicating: false, problems: [] });
    expect(await phase()).to.equal('idle');
    await verify();
  });

  it('does no harm where it only stood still: its lease and its fence end, and it gives up', async () => {
    const order = {
      from: rig.blue,
      to: rig.green,
      direction: 'forward',
      holdMs,
      dieAfter: 'replay',
      signal: 'SIGSTOP',
    } as const;
    const { child, ended, failure } = begin(router, order);
    try {
      while (router.holds === 0 || router.held) await sleep(20);
      await load.more(20);
    } finally {
      child.kill('SIGCONT');
    }
    expect(await ended).to.equal(2);
    expect(failure()).to.include('the time that writes may be held has passed');
    expect(router.split.live).to.equal('blue');
    expect(await phase()).to.equal('replicating');
    await verify();
  });
});
