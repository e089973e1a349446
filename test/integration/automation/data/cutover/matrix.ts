import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { CutoverAborted } from '../../../../../automation/data/cutover/cutover.ts';
import { cutoverSteps, type CutoverStep } from '../../../../../automation/data/cutover/procedure.ts';
import { recoverCutover } from '../../../../../automation/data/cutover/recover.ts';
import { settledCutover } from '../../../../../automation/data/cutover/settled.ts';
import { windowSteps, type WindowStep } from '../../../../../automation/data/cutover/window.ts';
import { answers, faults } from '../faults.ts';
import { begin } from './dying.ts';
import type { CutoverScene } from './scene.ts';
import { incompatible, openWindow } from './window-scene.ts';

/** What happens to the program itself: there is no side on which that happens. */
const killed = 'the program is killed';
const killedBoth = 'the program is killed, and the server that writes leave crashes';

type Direction = 'forward' | 'rollback' | 'window';
type Step = CutoverStep | WindowStep;

const stepsOf: Record<Direction, Step[]> = { forward: cutoverSteps, rollback: cutoverSteps, window: windowSteps };

/** One fault, just before one step of a cutover or of a read-only window. */
export interface Case {
  direction: Direction;
  step: Step;
  fault: string;
  /** The database that it happens to: the one that writes leave, or the one that they move to. */
  on: 'old' | 'new' | 'program';
}

/** Steps of a window that no cutover has, or that go another way there. */
const ofWindows: Step[] = ['fence', 'compare', 'migrate', 'grant', 'release', 'fenced'];

/** One case of each step in each direction, of a window of those that are its own: together they have every fault. */
export const someCases = (): Case[] =>
  (['forward', 'rollback', 'window'] as const).flatMap((direction, half) =>
    stepsOf[direction]
      .map((step, index) => {
        const cases = allCases.filter((one) => one.direction === direction && one.step === step);
        // Seven has no divisor in common with the number of faults.
        return cases[(7 * (index + half * cutoverSteps.length)) % cases.length] as Case;
      })
      .filter(({ step }) => direction !== 'window' || ofWindows.includes(step)),
  );

/** Every step, every fault, every direction. */
export const allCases: Case[] = (['forward', 'rollback', 'window'] as const).flatMap((direction) =>
  stepsOf[direction].flatMap((step) => [
    ...Object.keys(faults).flatMap((fault) => (['old', 'new'] as const).map((on) => ({ direction, step, fault, on }))),
    ...[killed, killedBoth].map((fault) => ({ direction, step, fault, on: 'program' as const })),
  ]),
);

export const titleOf = ({ direction, step, fault, on }: Case): string =>
  `${direction}, before ${step}: ${fault}${on === 'program' ? '' : ` on the ${on} side`}`;

/** The three states that a cutover may end in. */
export type Settled = 'not begun' | 'done' | 'done and undone';

export interface Outcome extends Case {
  settled: Settled;
  /** From the fault until the state was settled, ms. */
  ms: number;
  /** Longest time that a write waited or failed, ms. */
  slowestMs: number;
  /** Writes that were answered with an error. */
  failed: number;
}

/** Plays one case with writers, and judges what it ends in. Rejects if that is none of the three states, or if a write is lost. */
export async function play(scene: CutoverScene, what: Case): Promise<Outcome> {
  await Promise.all([scene.rig.blue, scene.rig.green].map(answers));
  await scene.following();
  if (what.direction === 'rollback') expect((await scene.forward()).problems).to.deep.equal([]);
  await scene.write(300, undefined, 50);
  if (what.direction === 'window') scene.load.account.green = 'holder';
  const [live, next] = what.direction === 'rollback' ? (['green', 'blue'] as const) : (['blue', 'green'] as const);

  const { settled, ms } = await (what.on === 'program' ? kill(scene, what) : disturb(scene, what));
  expect(scene.router.split.live).to.equal(settled === 'done' ? next : live);
  await expectAtRest(scene, what, settled);
  if (settled !== 'done') {
    await scene.load.more(30);
    const { links } = await scene.state();
    // After a window whose replication has ended the next release begins with a copy.
    if (settled === 'not begun' && (what.direction !== 'window' || links.green.state !== 'none'))
      expect((await move(scene, what.direction)).problems, 'the next attempt').to.deep.equal([]);
  }
  await scene.expectNothingLost(50, { mayFail: true });
  return { ...what, settled, ms, slowestMs: scene.load.slowestMs, failed: scene.load.failures.length };
}

interface Options {
  onStep?: (step: Step) => void;
}

/** What a move says of itself. */
interface Moved {
  problems: string[];
  compared: boolean;
  equal: boolean;
}

async function move(scene: CutoverScene, direction: Direction, options: Options = {}): Promise<Moved> {
  const { rig, router } = scene;
  if (direction === 'window') {
    const { problems } = await openWindow(scene, options);
    // What this says cannot be put right by a way back. The writers write by the balancer only, so nothing was lost.
    return { problems: problems.filter((text) => !/was down for a moment/.test(text)), compared: true, equal: true };
  }
  const [from, to] = direction === 'forward' ? [rig.blue, rig.green] : [rig.green, rig.blue];
  const settings = { holdMs: 2000, drainMs: 1000 };
  return await settledCutover({ router, from, to, direction, settings, ...options });
}

const previousOf = ({ direction, step }: Case): Step | undefined =>
  stepsOf[direction][stepsOf[direction].indexOf(step) - 1];

/** As a release does it: a rollback is tried again where it was aborted, and a cutover with a problem is taken back. */
async function disturb(scene: CutoverScene, what: Case): Promise<{ settled: Settled; ms: number }> {
  const { direction, fault, on } = what;
  const [old, next] = direction === 'rollback' ? (['green', 'blue'] as const) : (['blue', 'green'] as const);
  let passed: Promise<void> | undefined;
  let since = 0;
  const strike = (): void => {
    if (passed !== undefined) return;
    since = performance.now();
    passed = faults[fault]?.(scene.rig, scene.rig[on === 'old' ? old : next]);
    passed?.catch(() => undefined);
  };
  const previous = previousOf(what);
  // Nothing precedes the first step: the fault comes while it runs.
  if (previous === undefined) setTimeout(strike, 30);
  const onStep = (done: Step): void => {
    if (done === previous) strike();
  };
  const settled = await persist(scene, direction, onStep);
  if (passed === undefined) strike();
  const ms = performance.now() - since;
  await passed;
  return { settled, ms };
}

async function persist(scene: CutoverScene, direction: Direction, onStep: Options['onStep']): Promise<Settled> {
  const options = onStep === undefined ? {} : { onStep };
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { problems, compared, equal } = await move(scene, direction, options);
      if (problems.length === 0 && (equal || !compared)) return 'done';
      expect(direction, problems.join('; ')).to.equal('forward');
      await persist(scene, 'rollback', undefined);
      return 'done and undone';
    } catch (error) {
      if (!(error instanceof CutoverAborted)) throw error;
      expect(error.undone, error.message).to.equal(true);
      if (direction !== 'rollback') return 'not begun';
      if (attempt === 30) throw error;
      await sleep(1000);
    }
  }
}

/** The program dies; what it left is settled as `resume` does it. */
async function kill(scene: CutoverScene, what: Case): Promise<{ settled: Settled; ms: number }> {
  const { direction, fault } = what;
  const { rig, router } = scene;
  const [from, to] = direction === 'rollback' ? [rig.green, rig.blue] : [rig.blue, rig.green];
  const how = { holdMs: 800, migration: incompatible, dieAfter: previousOf(what), signal: 'SIGKILL' } as const;
  const { ended } = begin(router, { from, to, direction, ...how });
  expect(await ended).to.equal('SIGKILL');
  const since = performance.now();
  const crashed = fault === killedBoth ? faults['the server crashes and is started']?.(rig, from) : undefined;
  // Nobody has recovered anything yet: the lease and the server end what was begun, and writes go on.
  if (crashed === undefined) await scene.load.more(10);
  const recovery = await recoverCutover({ router, from, to, direction });
  const ms = performance.now() - since;
  await crashed;
  expect(recovery.problems).to.deep.equal([]);
  expect(recovery.warning).to.equal(undefined);
  return { settled: recovery.outcome === 'finished' ? 'done' : 'not begun', ms };
}

/** Who may write and what replicates, by both databases. */
async function expectAtRest(scene: CutoverScene, { direction, step }: Case, settled: Settled): Promise<void> {
  const { findings, links, writers } = await scene.state();
  expect(findings).to.deep.equal([]);
  const live = scene.router.split.live;
  expect(writers).to.deep.equal({ blue: live === 'blue', green: live === 'green' });
  if (direction === 'window') {
    // A fault may be found some steps later.
    const late = windowSteps.indexOf(step as WindowStep) > windowSteps.indexOf('end');
    expect(links.blue.state).to.equal('none');
    expect(links.green.state).to.be.oneOf(settled === 'done' || late ? ['none'] : ['none', 'streaming']);
    return;
  }
  const idle = direction === 'forward' ? settled === 'done and undone' : settled === 'done';
  expect({ blue: links.blue.state, green: links.green.state }).to.deep.equal({
    blue: live === 'green' && !idle ? 'streaming' : 'none',
    green: live === 'blue' && !idle ? 'streaming' : 'none',
  });
}

/** The results as a table: per step, fault and direction the state, and the time until it was settled. */
export function table(outcomes: Outcome[]): string {
  const lines = [['direction', 'step', 'fault', 'on', 'ended as', 'settled ms', 'slowest write ms', 'failed writes']];
  for (const o of outcomes)
    lines.push([
      o.direction,
      o.step,
      o.fault,
      o.on,
      o.settled,
      String(Math.round(o.ms)),
      String(Math.round(o.slowestMs)),
      String(o.failed),
    ]);
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  return lines.map((line) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n');
}
