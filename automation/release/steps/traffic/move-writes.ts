import { messageOf } from '../../../../infra/lib/errors.ts';
import type { Colour } from '../../../../infra/model.ts';
import type { Router } from '../../../../infra/platform/router.ts';
import { CutoverAborted } from '../../../data/cutover/cutover.ts';
import { settledCutover } from '../../../data/cutover/settled.ts';
import type { CutoverOptions, CutoverResult, CutoverSettings } from '../../../data/cutover/types.ts';
import { markLive } from '../../../data/written-by.ts';
import { compareFollowing } from '../../../data/comparison/following.ts';
import { notCompared } from '../../../data/comparison/unreplicated.ts';
import { withClient } from '../../../data/connect.ts';
import { syncStatus } from '../../../data/replication/sync.ts';
import { checkInvariants } from '../../../data/comparison/invariants.ts';
import { dataComparisonGate } from '../../../gates/data/data.ts';
import type { ReleaseContext } from '../../context/context.ts';
import type { TableComparison } from '../../../journal/events.ts';
import { StageStopped } from '../../context/stage.ts';
import { endLong } from './end-long.ts';
import type { FreshReads } from './fresh-reads.ts';
import { tellLoosened } from './loosened.ts';
import { linkOf, sideOf } from './link.ts';
import { requireGuards, whileWorkersPause } from './workers.ts';

export interface Move {
  from: Colour;
  to: Colour;
  direction: 'forward' | 'rollback';
  /** Back only: the replication has stopped, and what it has not applied is applied by the cutover. */
  rest?: CutoverOptions['rest'];
}

/**
 * Moves the writes between the colours, and records every step. Rejects where they did not move. Forward it also rejects where they
 * moved with a problem, so that the release is rolled back. A gate judges whether the databases are equal. `reads`: who changes the split
 * until writes are held, and again where they do not move.
 */
export async function moveWrites(
  context: ReleaseContext,
  { from, to, direction, rest }: Move,
  reads?: Pick<FreshReads, 'pause' | 'resume'>,
): Promise<CutoverResult> {
  const { journal, definition } = context;
  const { router } = await context.connect();
  const sides = { from: await sideOf(context, from), to: await sideOf(context, to) };
  if (direction === 'forward') await requireGuards(context, to);
  // Before it may write: whoever empties its database later has to know.
  if (direction === 'forward') await withClient(sides.to.access, 'admin', markLive);
  const steps: { step: string; ms: number; detail?: string }[] = [];
  const moved = await context
    .act(direction, `move writes from ${from} to ${to}`, () =>
      // From before the preparation: a worker's transaction would be in its way.
      whileWorkersPause(context, { insist: direction === 'rollback' }, () =>
        settledCutover({
          router,
          ...sides,
          direction,
          ours: context.hasLock,
          beforeHold: reads === undefined ? undefined : () => reads.pause(),
          settings: withSettling(definition.cutover, router),
          rest,
          onStep(step, ms, detail) {
            steps.push({ step, ms, detail });
            // Not waited for: what follows may take minutes, and until then such a client can write nothing.
            if (step === 'release') void endLong(context, from, direction === 'forward' ? context.signal : undefined);
          },
          // The split stays with it until it is: it may still flip.
          onUnsettled: (why) =>
            context.note(`the cutover could not be undone at once, and is settled: ${why}`, 'warning'),
          ...(direction === 'forward' ? { signal: context.signal } : {}),
        }),
      ),
    )
    .catch((error: unknown) => {
      reads?.resume();
      if (error instanceof CutoverAborted && error.undoMs !== undefined)
        steps.push({ step: 'undo', ms: error.undoMs, detail: `${error.step} failed` });
      throw error;
    })
    // Only now: while writes are held, nothing waits for the journal's disk.
    .finally(() => steps.forEach((step) => journal.append({ type: 'cutover.step', ...step })));

  const { holdMs, totalMs, compareMs, compared, tables, objects, problems, warnings } = moved;
  journal.append({ type: 'traffic.set', split: { live: to, percent: 0 }, by: 'balancer', ms: Math.round(holdMs) });
  journal.append({ type: 'cutover.done', direction, from, to, holdMs, totalMs });
  const moment = direction === 'forward' ? 'cutover' : 'rollback';
  if (compared) {
    const left = await withClient(sides.from.access, 'admin', notCompared).catch(() => undefined);
    const figures = {
      tables,
      ms: Math.round(compareMs),
      objects,
      ...(left === undefined ? {} : { notCompared: left }),
    };
    journal.append({ type: 'data.compared', moment, ...figures });
  }
  for (const text of [...problems, ...warnings]) context.note(text, 'warning');
  if (direction === 'forward' && problems.length > 0) throw new StageStopped('rolled-back', problems.join('; '));
  if (direction === 'forward')
    await (compared ? proveMove(context, { from, to }, tables) : compareMoved(context, from, to));
  return moved;
}

/**
 * Compares the databases after a cutover whose snapshots are lost: `resume` finished it, or a server crashed. The new colour is
 * written to meanwhile, so every row that does not change now must be on the old colour, which follows.
 */
export async function compareMoved(context: ReleaseContext, from: Colour, to: Colour): Promise<void> {
  const link = await linkOf(context, to, from);
  const started = performance.now();
  const tables = await compareFollowing(link, 'common', context.signal).catch((error: unknown) => {
    context.signal.throwIfAborted();
    throw new StageStopped('rolled-back', messageOf(error));
  });
  const ms = Math.round(performance.now() - started);
  context.journal.append({ type: 'data.compared', moment: 'cutover', tables, ms });
  await proveMove(context, { from, to }, tables);
}

/** Both databases equal, the invariants hold on the new one, and the old one follows: what the way back rests on. */
async function proveMove(
  context: ReleaseContext,
  { from, to }: Pick<Move, 'from' | 'to'>,
  tables: TableComparison[],
): Promise<void> {
  const link = await linkOf(context, to, from);
  await tellLoosened(context, link.to, 'so that rows can go back');
  const { tablesReady, tables: count, lagBytes, lagMs } = await syncStatus(link);
  context.journal.append({ type: 'sync.progress', direction: 'reverse', tablesReady, tables: count, lagBytes, lagMs });
  const { invariants, limits } = context.definition.data;
  const compare = async () => ({
    tables,
    invariants: await checkInvariants(link.from.access, invariants, limits.invariantSeconds * 1000),
  });
  await context.gates([dataComparisonGate({ compare })]);
}

/** Writes are held for as long as the definition says, and for the time until a hold and a flip are seen. */
export const withSettling = (
  { holdMs, drainMs }: CutoverSettings,
  { settlesMs }: Pick<Router, 'settlesMs'>,
): CutoverSettings => ({
  holdMs: holdMs + 2 * settlesMs,
  drainMs,
});
