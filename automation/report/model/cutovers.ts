import type { JournalEntry } from '../../journal/events.ts';
import type { Cutover, Hold } from './model.ts';

type Attempt = Cutover & { failed?: boolean };

/**
 * Groups what the journal has of each cutover, one for each attempt. Left out are attempts that failed in the preparation: they
 * have no step, as steps are recorded from the end of the preparation on, and held no write.
 */
export function buildCutovers(entries: readonly JournalEntry[]): Cutover[] {
  const all: Attempt[] = [];
  let open: Attempt | undefined;
  let rollingBack = false;
  const begin = (direction: Cutover['direction']): Attempt => {
    open = { direction, steps: [], holdMs: null, done: null };
    all.push(open);
    return open;
  };
  for (const entry of entries) {
    if (entry.type === 'rollback.started') {
      rollingBack = true;
      open = undefined;
    }
    if (entry.type === 'action.intent' && entry.id === 'cutover/forward') begin('forward');
    if (entry.type === 'action.intent' && entry.id === 'cutover/rollback') begin('rollback');
    if (entry.type === 'action.failed' && open !== undefined && entry.id === `cutover/${open.direction}`)
      open.failed = true;
    if (entry.type === 'cutover.step') {
      const { steps } = (open ??= begin(rollingBack ? 'rollback' : 'forward'));
      steps.push({ step: entry.step, ms: entry.ms, detail: entry.detail ?? null, at: entry.at });
      // Writes are held from the end of the preparation on.
      if (entry.step === 'undo')
        open.holdMs = steps.filter(({ step }) => step !== 'prepare').reduce((sum, { ms }) => sum + ms, 0);
    }
    if (entry.type === 'cutover.done') {
      const { direction, from, to, holdMs = null, totalMs = null, at } = entry;
      Object.assign(open ?? begin(direction), { direction, holdMs, done: { from, to, totalMs, at } });
      open = undefined;
    }
  }
  return all
    .filter(({ failed, steps, done }) => failed !== true || steps.length > 0 || done !== null)
    .map(({ direction, steps, holdMs, done }) => ({ direction, steps, holdMs, done }));
}

export function buildHold(cutovers: readonly Cutover[]): Hold {
  const measured = cutovers.flatMap(({ holdMs }) => holdMs ?? []);
  return {
    maxMs: measured.length > 0 ? Math.max(...measured) : null,
    unmeasured: cutovers.length - measured.length,
  };
}
