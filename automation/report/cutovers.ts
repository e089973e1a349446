import type { JournalEntry } from '../release/events.ts';
import type { Cutover } from './model.ts';

/** Groups the steps of each change of the live colour; what is left open was begun and not finished. */
export function buildCutovers(entries: readonly JournalEntry[]): Cutover[] {
  const all: Cutover[] = [];
  let open: Cutover | undefined;
  let rollingBack = false;
  for (const entry of entries) {
    if (entry.type === 'rollback.started') {
      rollingBack = true;
      open = undefined;
    }
    if (entry.type === 'cutover.step') {
      if (!open) all.push((open = { direction: rollingBack ? 'rollback' : 'forward', steps: [], done: null }));
      open.steps.push({ step: entry.step, ms: entry.ms, detail: entry.detail ?? null, at: entry.at });
    }
    if (entry.type === 'cutover.done') {
      const { direction, from, to, holdMs, totalMs, at } = entry;
      const done = { from, to, holdMs, totalMs, at };
      if (open) Object.assign(open, { direction, done });
      else all.push({ direction, steps: [], done });
      open = undefined;
    }
  }
  return all;
}
