import { withClient } from '../../../data/connect.ts';
import { unmark } from '../../../data/written-by.ts';
import { allOf, lastOf } from '../../../journal/entries.ts';
import type { JournalEntry } from '../../../journal/events.ts';
import { formatDuration } from '../../../journal/format.ts';
import { noWayBackArmed } from '../../../journal/window.ts';
import type { ReleaseContext } from '../../context/context.ts';
import type { Replacement } from '../../context/release.ts';
import { situation } from '../../context/situation.ts';
import type { Reason } from '../../context/stage.ts';
import { endLong } from './end-long.ts';
import { leaveWithLoss } from './leave-with-loss.ts';
import { sideOf } from './link.ts';
import { somebodyDecides } from './move-in-window.ts';
import { beginRollback, endRollback, wasRollingBack } from './record-rollback.ts';

/**
 * Undoes a cutover in a read-only window. One that has moved the writes is taken back only with the loss of those made since, by somebody
 * who has accepted that; else this rejects with the code `no-way-back`.
 */
export async function undoWindow(
  context: ReleaseContext,
  { kind, from, to }: Replacement,
  why: Reason,
): Promise<string | undefined> {
  const entries = context.journal.entries();
  if ((await situation(context)).live !== to.colour) return recordUndone(context, { from, to }, why);
  if (kind === 'rehearsal') {
    context.note(`${to.version} stays live on staging, from which nothing has to go back`);
    return undefined;
  }
  // Only the balancer knew it, as the window could not be settled: from now on nobody takes this database for one without writes.
  if (!movedForward(entries))
    context.journal.append({
      type: 'cutover.done',
      direction: 'forward',
      from: from.colour,
      to: to.colour,
      window: {},
    });
  const agreed = wasRollingBack(entries);
  if (why.acceptLoss !== true && !agreed) throw somebodyDecides(to.colour, why.reason);
  const move = { from: to.colour, to: from.colour };
  const { ms, ...loss } = await leaveWithLoss(context, move, noWayBackArmed, () => beginRollback(context, why));
  await endLong(context, to.colour);
  const detail = `${from.colour} is live again, and ${to.colour} is left as it is`;
  return endRollback(context, from.colour, { ms, loss, detail });
}

/** What the journal has to say where the old colour is live: of a window that undid itself, or of a way back that was interrupted. */
async function recordUndone(context: ReleaseContext, { from, to }: Pick<Replacement, 'from' | 'to'>, why: Reason) {
  const { journal } = context;
  const entries = journal.entries();
  const live = from.colour;
  if (movedForward(entries)) {
    if (!wasRollingBack(entries)) return undefined;
    const because = `${noWayBackArmed}; the program ended before the loss was recorded`;
    const detail = `${live} is live again`;
    return endRollback(context, live, { ms: 0, loss: { kind: 'accepted', because }, detail });
  }
  const refused = lastOf(entries, 'writes.refused');
  if (refused === undefined || lastOf(entries, 'rollback.done') !== undefined) return undefined;
  // It wrote nothing: what looks like its rows is of the migrations.
  const { access } = await sideOf(context, to.colour);
  await withClient(access, 'admin', unmark).catch(() => undefined);
  const forMs = (refused.to ?? Date.now()) - refused.from;
  const detail = `${live} stayed live; writes were refused for ${formatDuration(forMs)}`;
  beginRollback(context, why);
  journal.append({
    type: 'rollback.done',
    ms: Math.round(forMs),
    loss: { kind: 'none', because: 'no write had moved' },
    detail,
  });
  return detail;
}

const movedForward = (entries: readonly JournalEntry[]): boolean =>
  allOf(entries, 'cutover.done').some(({ direction }) => direction === 'forward');
