import { other, type Colour } from '../../../../infra/model.ts';
import { OperationError } from '../../../../infra/lib/errors.ts';
import { CutoverAborted } from '../../../data/cutover/cutover.ts';
import { readOnlyWindow, type WindowCompared, type WindowResult } from '../../../data/cutover/window.ts';
import { checkInvariants } from '../../../data/comparison/invariants.ts';
import { markLive } from '../../../data/written-by.ts';
import type { Side } from '../../../data/link.ts';
import { notCompared } from '../../../data/comparison/unreplicated.ts';
import { withClient } from '../../../data/connect.ts';
import { dataComparisonGate } from '../../../gates/data/data.ts';
import { lastOf } from '../../../journal/entries.ts';
import type { TableComparison } from '../../../journal/events.ts';
import { passes, type Gate, type GateResult } from '../../../journal/verdict.ts';
import { noWayBackArmed, twoWays } from '../../../journal/window.ts';
import type { ReleaseContext } from '../../context/context.ts';
import { StageStopped } from '../../context/stage.ts';
import { endLong } from './end-long.ts';
import { linkOf, sideOf } from './link.ts';
import { untilReady } from './ready.ts';

/** A move of the writes for which they are refused. */
export interface WindowedMove {
  from: Colour;
  to: Colour;
  longestMs: number;
}

/** What happens in it that is of no traffic. */
export interface Inside {
  /** Runs the incompatible migrations. */
  migrate: (side: Side, signal: AbortSignal) => Promise<void>;
  /** Judges the version that was started. */
  smoke: () => Promise<Gate>;
}

/**
 * Moves the writes in a read-only window, in which the version of `to` is migrated to, started and tried, and records every step. Rejects
 * with a StageStopped where all of it was undone once writes had been refused, and with the code `no-way-back` where the writes moved with
 * a problem.
 */
export async function moveInWindow(
  context: ReleaseContext,
  { from, to, longestMs }: WindowedMove,
  { migrate, smoke }: Inside,
): Promise<void> {
  const { journal, definition } = context;
  const { router } = await context.connect();
  const link = await linkOf(context, from, to);
  const refusal = refusalOf(context);
  let working: Promise<unknown> = Promise.resolve();
  const inside = <T>(work: Promise<T>): Promise<T> => {
    working = work.catch(() => undefined);
    return work;
  };
  const moved = await context
    // Its name in the journal is that of every move forward.
    .act('forward', `move writes from ${from} to ${to} in a read-only window`, () =>
      readOnlyWindow({
        router,
        from: link.from,
        to: link.to,
        settings: { longestMs, drainMs: definition.cutover.drainMs },
        ours: context.hasLock,
        signal: context.signal,
        migrate: (signal) => inside(migrate(link.to, signal)),
        start: (signal) => inside(start(context, signal)),
        check: (signal, compared) =>
          inside(
            recordCompared(context, link.from, compared)
              .then(async () => context.gates([comparison(context, compared.tables), await smoke()], signal))
              .then(requirePassed)
              // Before it may write: whoever empties its database later has to know.
              .then(() => withClient(link.to.access, 'admin', markLive)),
          ),
        beforeRefusal: () => Promise.resolve(refusal.begin()),
        onStep(step, ms, detail) {
          if (step === 'release') {
            refusal.end();
            void endLong(context, from, context.signal);
          }
          journal.append({ type: 'cutover.step', step, ms, ...(detail === undefined ? {} : { detail }) });
        },
        onUnsettled: (why) => context.note(`the window could not be undone at once, and is settled: ${why}`, 'warning'),
      }),
    )
    .catch(async (error: unknown) => {
      refusal.end();
      // Writes go on already. What the window's end has stopped must have ended before its colour is taken down.
      await working;
      if (error instanceof CutoverAborted && error.undoMs !== undefined)
        journal.append({ type: 'cutover.step', step: 'undo', ms: error.undoMs, detail: `${error.step} failed` });
      context.signal.throwIfAborted();
      if (!(error instanceof CutoverAborted) || !error.undone || !refusal.begun) throw error;
      throw new StageStopped('rolled-back', `the read-only window was undone: step ${error.step}: ${error.found}`);
    });
  // Where it had to be settled, no step has ended the refusal.
  refusal.end();
  record(context, { from, to }, moved);
  if (moved.problems.length > 0) throw somebodyDecides(to, moved.problems.join('; '));
}

/** When writes were refused: before it begins and after it has ended, so that no answer lies outside. */
function refusalOf({ journal }: ReleaseContext) {
  let from: number | undefined;
  let ended = false;
  return {
    get begun() {
      return from !== undefined;
    },
    begin() {
      from = Date.now();
      journal.append({ type: 'writes.refused', from });
    },
    end() {
      if (from === undefined || ended) return;
      ended = true;
      journal.append({ type: 'writes.refused', from, to: Date.now() });
    },
  };
}

function record(
  { journal, note }: ReleaseContext,
  { from, to }: Pick<WindowedMove, 'from' | 'to'>,
  { windowMs, totalMs, problems, warnings }: WindowResult,
): void {
  journal.append({ type: 'traffic.set', split: { live: to, percent: 0 }, by: 'balancer', ms: Math.round(windowMs) });
  const window = { refusedMs: windowMs };
  journal.append({ type: 'cutover.done', direction: 'forward', from, to, totalMs, window });
  for (const text of [...problems, ...warnings]) note(text, 'warning');
}

async function start(context: ReleaseContext, signal: AbortSignal): Promise<void> {
  const { environment, to } = context;
  const colour = { colour: to.colour, artefact: context.artefact() };
  await context.up(environment, { kind: to.colour, colour }, signal);
  await untilReady({ ...context, signal }, (await context.connect()).router, to.colour);
}

async function recordCompared(
  { journal }: ReleaseContext,
  { access }: Side,
  { tables, compareMs, objects }: WindowCompared,
): Promise<void> {
  const left = await withClient(access, 'admin', notCompared).catch(() => undefined);
  journal.append({
    type: 'data.compared',
    moment: 'cutover',
    tables,
    ms: Math.round(compareMs),
    ...(objects === undefined ? {} : { objects }),
    ...(left === undefined ? {} : { notCompared: left }),
  });
}

/** Both databases were equal before the migrations, and the invariants hold after them. */
const comparison = (context: ReleaseContext, tables: TableComparison[]) => {
  const { invariants, limits } = context.definition.data;
  const compare = async () => {
    const { access } = await sideOf(context, context.to.colour);
    return { tables, invariants: await checkInvariants(access, invariants, limits.invariantSeconds * 1000) };
  };
  return dataComparisonGate({ compare });
};

/** What does not pass before the flip undoes the window. */
function requirePassed(results: readonly GateResult[]): void {
  const failed = results.filter(({ verdict }) => !passes(verdict));
  if (failed.length === 0) return;
  const found = failed.map(({ title, verdict, measured }) => `${title}: ${verdict} (${measured})`).join('; ');
  throw new OperationError('trying the new version in the read-only window', found, 'see the gate in the report');
}

/** After a window that `resume` finished: what it had compared stands in the journal, and the invariants have to hold still. */
export async function proveWindow(context: ReleaseContext): Promise<void> {
  const compared = lastOf(context.journal.entries(), 'data.compared');
  await context.gates([comparison(context, compared?.moment === 'cutover' ? compared.tables : [])]);
}

/** Nothing goes back by itself after a window. The release stays open until somebody has decided. */
export const somebodyDecides = (live: Colour, found: string): OperationError =>
  new OperationError(
    'going on after the read-only window',
    `${found}. ${live} is live and stays live: ${noWayBackArmed}`,
    `decide. To keep the new version: correct that, or accept it where a gate found it (waivers of the definition); then ${twoWays.keep}. To go back to ${other(live)} without the writes made since: ${twoWays.back}`,
    { code: 'no-way-back' },
  );
