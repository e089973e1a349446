import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { recoverWindow, windowSteps } from '../../../../../automation/data/cutover/window.ts';
import { value } from '../rig.ts';
import { begin } from './dying.ts';
import type { Order } from './dying-cutover.ts';
import { CutoverScene } from './scene.ts';
import { incompatible, openWindow, tryWrite, writeBoth } from './window-scene.ts';

const isStopped = (pid: number): boolean =>
  readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.startsWith('T') === true;

describe('a program that dies in a read-only window', () => {
  const scene = new CutoverScene({ holdMs: 2000, drainMs: 1000 });
  beforeEach(async () => {
    await scene.following();
    await writeBoth(scene, 20);
  });

  const order = (how: Pick<Order, 'dieAfter' | 'dieBefore'>, signal: Order['signal']): Order => ({
    from: scene.rig.blue,
    to: scene.rig.green,
    direction: 'window',
    holdMs: 2000,
    migration: incompatible,
    signal,
    ...how,
  });
  async function die(how: Pick<Order, 'dieAfter' | 'dieBefore'>, live: 'blue' | 'green'): Promise<void> {
    const { ended } = begin(scene.router, order(how, 'SIGKILL'));
    expect(await ended).to.equal('SIGKILL');
    expect(scene.router.split.live).to.equal(live);
    // Nobody has recovered anything yet: the lease and the server end what was begun, and writes go on.
    scene.router.lapse();
    await scene.load.more(10);
  }
  const recovered = () => recoverWindow({ router: scene.router, from: scene.rig.blue, to: scene.rig.green });

  /** Twice, as a second attempt may follow the first. */
  async function expectUndone(replicating: boolean): Promise<void> {
    for (const attempt of ['once', 'again'])
      expect(await recovered(), attempt).to.deep.equal({ outcome: 'undone', replicating, problems: [] });
    const state = await scene.state();
    expect(state).to.deep.include({ live: 'blue', findings: [], writers: { blue: true, green: false } });
    expect({ blue: state.links.blue.state, green: state.links.green.state }).to.deep.equal({
      blue: 'none',
      green: replicating ? 'streaming' : 'none',
    });
    expect(await tryWrite(scene, 'green')).to.include('permission denied');
  }
  async function expectFinished(): Promise<void> {
    for (const attempt of ['once', 'again'])
      expect(await recovered(), attempt).to.deep.equal({ outcome: 'finished', replicating: false, problems: [] });
    const state = await scene.state();
    expect(state).to.deep.include({ live: 'green', phase: 'idle', writers: { blue: false, green: true } });
    expect(await tryWrite(scene, 'blue')).to.include('permission denied');
    await scene.expectNothingLost(20);
    expect(await value(scene.rig.green, 'SELECT count(DISTINCT ticket) = count(*) FROM entries')).to.equal(true);
  }

  it('before the replication ends: it is undone, that goes on, and the next window succeeds', async () => {
    for (const step of windowSteps.slice(0, windowSteps.indexOf('end'))) {
      await die({ dieAfter: step }, 'blue');
      await expectUndone(true);
    }
    expect((await openWindow(scene)).problems).to.deep.equal([]);
    await scene.expectNothingLost(20);
  }).timeout(60_000);

  for (const step of ['end', 'migrate', 'start', 'check', 'grant'] as const) {
    it(`after the replication has ended (${step}): it is undone, and green has no right to write and no replication`, async () => {
      await die({ dieAfter: step }, 'blue');
      await expectUndone(false);
      await scene.expectNothingLost(20);
    });
  }

  for (const [text, replicating] of [
    ['SET (slot_name = NONE)', true],
    ['DROP SUBSCRIPTION', false],
    ['pg_drop_replication_slot', false],
    ['DROP PUBLICATION', false],
  ] as const) {
    it(`while the replication is ended (before ${text}): ${replicating ? 'it goes on' : 'the rest of it is removed'}`, async () => {
      await die({ dieAfter: 'compare', dieBefore: text }, 'blue');
      await expectUndone(replicating);
      await scene.expectNothingLost(20);
    });
  }

  for (const step of ['flip', 'release'] as const) {
    it(`after the flip (${step}): it is finished, and blue is fenced for good`, async () => {
      await die({ dieAfter: step }, 'green');
      await expectFinished();
    });
  }

  it('while the fence is committed: it is finished', async () => {
    await die({ dieAfter: 'release', dieBefore: 'COMMIT' }, 'green');
    await expectFinished();
  });

  it('suspended: the fence ends soon after the lease, writes go on, and it undoes the window when it wakes', async () => {
    const { child, ended, failure } = begin(scene.router, order({ dieAfter: 'check' }, 'SIGSTOP'));
    try {
      while (!isStopped(child.pid as number)) await sleep(20);
      expect(scene.router.refuses).to.equal(true);
      scene.router.lapse();
      await scene.load.more(20);
    } finally {
      child.kill('SIGCONT');
    }
    expect(await ended).to.equal(2);
    expect(failure()).to.match(/refusing writes: the (lease has expired|fence is lost)/);
    await expectUndone(false);
    await scene.expectNothingLost(20);
  });
});
