import { grantWrites } from '../../../infra/application/roles.ts';
import { messageOf, OperationError } from '../../../infra/lib/errors.ts';
import type { Router } from '../../../infra/platform/router.ts';
import type { TableComparison } from '../../journal/events.ts';
import { close } from '../connect.ts';
import type { Side } from '../link.ts';
import { removeLink } from '../replication/subscription.ts';
import { CutoverAborted } from './aborted.ts';
import { compareSides } from './compare-sides.ts';
import { flipInTime, lastFlipOf } from './flip-in-time.ts';
import { level } from './level.ts';
import { prepareCutover, type Prepared } from './prepare.ts';
import { Walk } from './procedure.ts';
import { Refusal } from './refusal.ts';
import { requireUnchanged } from './schema-guard.ts';
import { completeMove } from './settle.ts';
import { settled } from './settled.ts';
import { caughtUpTo, drain } from './steps.ts';
import { undo, type Reached } from './undo.ts';
import { windowSteps, type WindowStep } from './window-procedure.ts';

export { recoverWindow } from './recover.ts';
export { describeWindow, windowSteps, type WindowStep } from './window-procedure.ts';

export interface WindowOptions {
  router: Router;
  /** The live colour. The replication from it to `to` is streaming. */
  from: Side;
  to: Side;
  settings: WindowSettings;
  /** Runs the migrations on `to`, and sees that they did there what they did in the rehearsal. */
  migrate: (signal: AbortSignal) => Promise<void>;
  /** Starts the new version on `to`. It may not write yet. */
  start: (signal: AbortSignal) => Promise<void>;
  /** Judges `to` before it gets anything. Rejects where it must not go live. */
  check: (signal: AbortSignal, compared: WindowCompared) => Promise<void>;
  /** Called once everything is prepared, right before writes are refused. */
  beforeRefusal?: (() => Promise<void>) | undefined;
  /** Called after each step. Throwing before the flip ends the window. */
  onStep?: ((step: WindowStep, ms: number, detail?: string) => void) | undefined;
  /** Whether this program still owns the environment. After a long pause another program may have taken it over. */
  ours?: (() => boolean) | undefined;
  /** Ends the window before the flip. Ignored afterwards. */
  signal?: AbortSignal | undefined;
  /** Called when a window that could not be undone at once is to be settled again, with the reason. */
  onUnsettled?: ((why: string) => void) | undefined;
}

export interface WindowSettings {
  /** Longest time from the request to refuse writes until the flip, ms. Then the window is undone. */
  longestMs: number;
  /** How long writes in flight may take to end, and after that transactions that write, ms each. */
  drainMs: number;
}

/** Both databases before the migrations. */
export interface WindowCompared {
  /** Left is `from`, right is `to`. All are equal. */
  tables: TableComparison[];
  compareMs: number;
  /** How many objects of the catalogs were compared before writes were refused. */
  objects?: number;
}

export interface WindowResult extends WindowCompared {
  /** From the request to refuse writes until they were let through again, ms. */
  windowMs: number;
  totalMs: number;
  /** What an operator should know but need not act on. */
  warnings: string[];
  /** What went wrong after the flip. There is no way back: somebody has to decide. */
  problems: string[];
}

/** How far a window came. */
type WindowReached = Reached & Pick<WindowResult, 'tables' | 'compareMs'>;

/**
 * Moves writes from one colour's database to the other's, which is migrated meanwhile; the old schema cannot follow. Writes are refused
 * for that time, and reads go on. Rejects with CutoverAborted where writes did not move: they go to `from` as before, and after the
 * step `end` `to` is left without a replication. What cannot be undone at once is settled until it is, as in `settledCutover`.
 */
export async function readOnlyWindow(options: WindowOptions): Promise<WindowResult> {
  const reached: WindowReached = { held: false, granted: false, asked: false, tables: [], compareMs: 0 };
  const done = await settled(() => attemptWindow(options, reached), { ...options, direction: 'window' });
  if (!('warning' in done)) return done;
  const { tables, compareMs } = reached;
  const { warning, totalMs } = done;
  return { windowMs: totalMs, totalMs, tables, compareMs, warnings: [warning], problems: [] };
}

async function attemptWindow(options: WindowOptions, reached: WindowReached): Promise<WindowResult> {
  const { router, from, to, ours, signal } = options;
  const walk = new Walk(windowSteps, options.onStep);
  const refusal = new Refusal({ router, longestMs: options.settings.longestMs, ours, signal });
  const prepared = await move(options, walk, reached, refusal).catch(async (error: unknown) => {
    refusal.end(error);
    const leftovers = await undo({ router, from, to, ours, direction: 'window' }, reached);
    const { releasedAt } = reached;
    const undoMs = releasedAt === undefined ? undefined : releasedAt - walk.since;
    throw new CutoverAborted(walk.current, error, leftovers, undoMs, wording);
  });
  return await finish(options, prepared, walk, reached, refusal);
}

const wording = {
  doing: 'read-only window',
  undone: 'writes go to the live colour as before; put that right, then start the release again',
};

/** The steps up to the flip. Records in `reached` what a failure has to undo. */
async function move(
  options: WindowOptions,
  walk: Walk<WindowStep>,
  reached: WindowReached,
  refusal: Refusal,
): Promise<Prepared> {
  const { router, from, to, signal } = options;
  const { drainMs } = options.settings;
  const { leaseMs } = refusal;
  const inTime = <T>(work: Promise<T>): Promise<T> => refusal.inTime(work);

  const prepared = await walk.step('prepare', async () => {
    // The lease is to the window what the hold is to a cutover: the fence is used as often as it is renewed.
    const settings = { holdMs: leaseMs, drainMs };
    const asked = signal === undefined ? {} : { signal };
    reached.prepared = await prepareCutover({ router, from, to, direction: 'window', settings, ...asked });
    await options.beforeRefusal?.();
    signal?.throwIfAborted();
    return reached.prepared;
  });
  const { sessions, snapshots, fence, forward, schema } = prepared;

  reached.held = true;
  await walk.step('refuse', () => refusal.begin());
  await walk.step('drain', () => inTime(drain(router, from, performance.now() + drainMs, sessions.old)));
  await level(walk, prepared, {
    inTime,
    raise: async () => {
      const fencedAt = await fence.raise(performance.now() + drainMs);
      refusal.guard(fence);
      return fencedAt;
    },
    // It was quick enough a moment ago: users do not wait for what is in its way.
    replay: (fencedAt) => caughtUpTo(sessions, forward, performance.now() + leaseMs, fencedAt),
  });

  await walk.step(
    'compare',
    async () => {
      const before = performance.now();
      const statementMs = Math.max(1, refusal.deadline - before);
      const compare = compareSides(snapshots, { from, to, columns: 'left', signal: refusal.signal, statementMs });
      reached.tables = await inTime(compare);
      reached.compareMs = performance.now() - before;
      requireEqual(reached.tables, options);
    },
    () => `${reached.tables.length} tables`,
  );

  // Nothing may be applied to `to` once it is migrated, and the snapshots would keep the migrations from being cleaned up after.
  await walk.step('end', async () => {
    await inTime(Promise.all([close(snapshots.old), close(snapshots.new)]));
    await inTime(removeLink(forward, sessions.old, sessions.new));
  });
  await walk.step('migrate', () => inTime(options.migrate(refusal.signal)));
  await walk.step('start', () => inTime(options.start(refusal.signal)));
  const { tables, compareMs } = reached;
  const compared = { tables, compareMs, ...(schema === undefined ? {} : { objects: schema.objects }) };
  await walk.step('check', () => inTime(options.check(refusal.signal, compared)));

  await walk.step('grant', async () => {
    // What was changed since the catalogs were compared is not on `to`. The fence does not keep functions from being replaced.
    if (schema !== undefined) await inTime(requireUnchanged(schema));
    reached.granted = true;
    await inTime(sessions.new.query(grantWrites));
  });
  await walk.step('flip', async () => {
    const renewed = await refusal.last();
    reached.asked = true;
    const lastFlip = lastFlipOf(renewed, leaseMs, router);
    await flipInTime(sessions, { router, from, to, lastFlip, late: tooLate() });
  });
  return prepared;
}

function requireEqual(tables: TableComparison[], { from, to }: WindowOptions): void {
  const unequal = tables.filter(({ equal }) => !equal);
  if (unequal.length === 0) return;
  const named = unequal
    .slice(0, mostNamed)
    .map(({ table, detail }) => `${table}${detail === undefined ? '' : ` (${detail})`}`);
  const more = unequal.length > mostNamed ? [`and ${unequal.length - mostNamed} more`] : [];
  throw new OperationError(
    `comparing ${to.colour} with ${from.colour}`,
    `they differ in ${[...named, ...more].join(', ')}`,
    'find out who wrote there; then start the release again',
    { code: 'lasting' },
  );
}

/** Tables that a message names. */
const mostNamed = 5;

const tooLate = (): OperationError =>
  new OperationError(
    'flipping',
    'the balancer made the flip after the time that writes may be refused',
    'find out what was slow; then start the release again',
  );

/** The steps after the flip. `to` is live, so a failure does not throw but is reported. */
async function finish(
  { router, from, to }: WindowOptions,
  prepared: Prepared,
  walk: Walk<WindowStep>,
  { tables, compareMs }: WindowReached,
  refusal: Refusal,
): Promise<WindowResult> {
  const { fence, sequences, schema } = prepared;
  const warnings = [...sequences.warnings, ...sequences.missing];
  const problems: string[] = [];
  const attempt = async <T>(what: string, list: string[], work: () => Promise<T>): Promise<T | undefined> =>
    work().catch((error: unknown) => {
      list.push(`${what}: ${messageOf(error)}`);
      return undefined;
    });
  refusal.end();

  const windowMs = await walk.step('release', async () => {
    // If this fails, the lease ends the refusal.
    await attempt('ending the refusal of writes', warnings, () => router.resumeWrites());
    return performance.now() - refusal.since;
  });

  await walk.step('fenced', async () => {
    // Between the check before the grant and the flip a change was still possible.
    const changed = await attempt('looking for late changes of the schema', warnings, async () => schema?.changed());
    if (changed !== undefined) problems.push(`${changed}, while the writes moved`);
    const down = `the fence of ${from.colour} was down for a moment: what was written there meanwhile is there only`;
    await attempt(down, problems, () => fence.commit());
    await prepared.close();
    await attempt('ending the move of writes', problems, () => completeMove({ from, to, direction: 'window' }));
  });

  return {
    windowMs,
    totalMs: performance.now() - walk.started,
    tables,
    compareMs,
    ...(schema === undefined ? {} : { objects: schema.objects }),
    problems,
    warnings: [...warnings, ...walk.warnings],
  };
}
