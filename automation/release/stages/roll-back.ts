import type { Colour } from '../../../infra/model.ts';
import type { ReleaseContext } from '../context.ts';
import type { JournalEntry } from '../events.ts';

/** Whether traffic was being taken back when the program ended. */
export function wasRollingBack(entries: readonly JournalEntry[]): boolean {
  const last = entries.findLast(({ type }) => type === 'rollback.started' || type === 'rollback.done');
  return last?.type === 'rollback.started';
}

/** Says that traffic is taken back, and why. One that was interrupted goes on: it was said already. */
export function beginRollback({ journal, stopReason, stopAutomatic }: ReleaseContext): void {
  if (wasRollingBack(journal.entries())) return;
  journal.append({ type: 'rollback.started', reason: stopReason, automatic: stopAutomatic });
}

/** Traffic is back at the balancer: the stack's configuration says so too, and then the rollback is done. */
export async function endRollback(
  context: ReleaseContext,
  live: Colour,
  { ms, lossless, detail }: { ms: number; lossless: boolean | undefined; detail: string },
): Promise<void> {
  await context.up(context.environment, { kind: 'traffic', split: { live, percent: 0 } });
  context.journal.append({ type: 'rollback.done', ms, ...(lossless === undefined ? {} : { lossless }), detail });
}
