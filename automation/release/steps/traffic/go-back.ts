import { setTimeout as sleep } from 'node:timers/promises';
import { greenlight } from '../../../../infra/lib/command.ts';
import { messageOf, OperationError } from '../../../../infra/lib/errors.ts';
import type { CutoverResult } from '../../../data/cutover/types.ts';
import { withClient } from '../../../data/connect.ts';
import type { Link } from '../../../data/link.ts';
import { describeUnfit, Rest, waitsInSlot, type Unfit } from '../../../data/replication/rest.ts';
import { lookAfter, noMending } from '../../../data/replication/way-back.ts';
import { allOf } from '../../../journal/entries.ts';
import type { JournalEntry } from '../../../journal/events.ts';
import { describeGap, openGap, type WayBackGap } from '../../../journal/way-back.ts';
import type { ReleaseContext } from '../../context/context.ts';
import { leaveWithLoss, type Accepted } from './leave-with-loss.ts';
import { linkOf } from './link.ts';
import { moveWrites, type Move } from './move-writes.ts';

/** How long a mended replication may take to stop again at the same change, ms. */
const againMs = 500;

/** How the way back stands, for somebody who wants to go it. */
export type WayBack =
  | { kind: 'goes-on' }
  /** It has stopped, and what is missing waits in the slot; `unfit`: the rows that the old schema cannot hold. */
  | { kind: 'waits'; unfit: Unfit[] }
  /** Nothing can be had any more of what it has not applied. */
  | { kind: 'lost'; problem: string };

/** Looks how the way back stands, and mends it where that helps. */
export async function wayBackOf(link: Link): Promise<WayBack> {
  const mending = noMending();
  for (;;) {
    const look = await lookAfter(link, mending);
    if (look.kind === 'follows' || look.kind === 'waits') return { kind: 'goes-on' };
    if (look.kind === 'silent')
      return { kind: 'lost', problem: `the database of ${look.colour} does not answer (${look.problem})` };
    if (look.kind === 'broken' || look.kind === 'lost') return stopped(link, look.problem);
    await sleep(againMs);
  }
}

const stopped = (link: Link, problem: string): Promise<WayBack> =>
  withClient(link.from.access, 'admin', (source) =>
    withClient(link.to.access, 'admin', async (target): Promise<WayBack> => {
      if (!(await waitsInSlot(link, source, target))) return { kind: 'lost', problem };
      const unfit = await (await Rest.open(link, source, target)).foresee();
      return { kind: 'waits', unfit };
    }),
  ).catch((error: unknown) => ({ kind: 'lost', problem: `${problem}; ${messageOf(error)}` }));

/**
 * Moves the writes back. Rows that the old schema cannot hold are left out where somebody has accepted that: the operator, or the
 * definition, by which a broken way back ends the bake time. They are kept aside afterwards. Only the operator can accept that all that
 * the replication has not brought is lost.
 */
export async function goBack(
  context: ReleaseContext,
  move: Move,
  accepted: boolean,
): Promise<CutoverResult | (Accepted & { ms: number })> {
  const gap = openGap(context.journal.entries());
  if (gap !== undefined) throw beingMade(gap);
  const link = await linkOf(context, move.from, move.to);
  const found = await wayBackOf(link);
  if (found.kind === 'goes-on') return moveWrites(context, move);
  if (found.kind === 'lost') {
    if (accepted) return leaveWithLoss(context, move, found.problem);
    throw lost(move, found.problem);
  }
  const { unfit } = found;
  if (unfit.length > 0 && !accepted && !endedByWayBack(context.journal.entries())) throw unheld(move, unfit);
  if (unfit.length > 0) context.note(`left out on the way back, and kept aside: ${describeUnfit(unfit)}`, 'warning');
  return moveWrites(context, { ...move, rest: 'apply' });
}

/** Whether the bake time ended because the way back was found broken: what is left out then is what the definition decided. */
const endedByWayBack = (entries: readonly JournalEntry[]): boolean =>
  allOf(entries, 'gate.judged').findLast(({ gate }) => gate.id === 'way-back')?.gate.verdict === 'fail';

/** Also where a loss is accepted: what is there is no whole copy. */
export const beingMade = (gap: WayBackGap): OperationError =>
  new OperationError(
    `going back to ${gap.colour}`,
    `the way back: ${describeGap(gap)}`,
    `the new version is live as before. ${greenlight('resume')} makes it anew; then: ${greenlight('rollback')}`,
  );

const unheld = ({ to, from }: Move, unfit: readonly Unfit[]): OperationError =>
  new OperationError(
    `going back to ${to}`,
    `the old schema cannot hold ${unfit.length} ${unfit.length === 1 ? 'row' : 'rows'} that ${from} has: ${describeUnfit(unfit)}`,
    `${from} is live as before. Change these rows so that they fit, then: ${greenlight('rollback')}. Or go back without them: ${greenlight('rollback', '--accept-loss')}`,
  );

const lost = ({ to, from }: Move, problem: string): OperationError =>
  new OperationError(
    `going back to ${to}`,
    `the replication from ${from} is broken: ${problem}`,
    `nothing was changed. Mend that, then: ${greenlight('rollback')}. Or go back without what is missing: ${greenlight('rollback', '--accept-loss')} says what that is`,
  );
