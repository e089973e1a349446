import type { Colour } from '../../../../infra/model.ts';
import type { ReleaseContext } from '../../context/context.ts';
import type { Reason } from '../../context/stage.ts';
import type { JournalEntry } from '../../../journal/events.ts';
import { lastOf } from '../../../journal/entries.ts';
import { describeLoss, type Loss } from '../../../journal/loss.ts';

/** Whether traffic was being taken back when the program ended. */
export function wasRollingBack(entries: readonly JournalEntry[]): boolean {
  const last = entries.findLast(({ type }) => type === 'rollback.started' || type === 'rollback.done');
  return last?.type === 'rollback.started';
}

/** Whether traffic was taken back without what the replication had not brought: the database that was left may still have it. */
export const lossAccepted = (entries: readonly JournalEntry[]): boolean =>
  lastOf(entries, 'rollback.done')?.loss?.kind === 'accepted';

/** Records that traffic is taken back, and why. Not again where an interrupted rollback goes on. */
export function beginRollback(
  { journal }: Pick<ReleaseContext, 'journal'>,
  { reason, automatic }: Pick<Reason, 'reason' | 'automatic'>,
): void {
  if (wasRollingBack(journal.entries())) return;
  journal.append({ type: 'rollback.started', reason, automatic });
}

/**
 * What is known of the data where only reads had to go back: no write had moved, or an interrupted cutover back was finished
 * without a comparison.
 */
export function lossOfReads(entries: readonly JournalEntry[]): Loss {
  const moved = entries.some(
    (entry) => entry.type === 'cutover.done' || (entry.type === 'action.intent' && entry.id === 'cutover/rollback'),
  );
  return moved
    ? { kind: 'not-compared', because: 'the program ended before both databases were compared' }
    : { kind: 'none', because: 'no write had moved' };
}

/** Ends a rollback, once the balancer has the traffic back: records it in the stack too. Resolves to one sentence for a person. */
export async function endRollback(
  context: ReleaseContext,
  live: Colour,
  { ms, loss, detail }: { ms: number; loss: Loss; detail: string },
): Promise<string> {
  await context.up(context.environment, { kind: 'traffic', split: { live, percent: 0 } });
  context.journal.append({ type: 'rollback.done', ms, loss, detail });
  return `${detail}; ${describeLoss(loss)}`;
}
