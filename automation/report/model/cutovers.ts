import type { JournalEntry } from '../../journal/events.ts';
import { longEnded } from '../../journal/long-ended.ts';
import { plannedWindow } from '../../journal/window.ts';
import type { Cutover, Hold, Window } from './model.ts';

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
    if (entry.type === 'writes.refused') {
      const to = entry.to ?? null;
      (open ?? all.at(-1) ?? begin('forward')).refusedMs = to === null ? null : to - entry.from;
    }
    if (entry.type === 'cutover.step') {
      const { steps } = (open ??= begin(rollingBack ? 'rollback' : 'forward'));
      steps.push({ step: entry.step, ms: entry.ms, detail: entry.detail ?? null, at: entry.at });
      // Writes are held from the end of the preparation on.
      if (entry.step === 'undo' && open.refusedMs === undefined)
        open.holdMs = steps.filter(({ step }) => step !== 'prepare').reduce((sum, { ms }) => sum + ms, 0);
    }
    if (entry.type === 'connections.ended') {
      const of = all.findLast(({ done }) => done?.from === entry.colour);
      if (of !== undefined) of.left = longEnded(entry);
    }
    if (entry.type === 'cutover.done') {
      const { direction, from, to, holdMs = null, totalMs = null, window, at } = entry;
      const refused = window === undefined ? {} : { refusedMs: window.refusedMs ?? null };
      Object.assign(open ?? begin(direction), { direction, holdMs, ...refused, done: { from, to, totalMs, at } });
      open = undefined;
    }
  }
  return all
    .filter(({ failed, steps, done }) => failed !== true || steps.length > 0 || done !== null)
    .map(({ failed: _failed, ...cutover }) => cutover);
}

/** A read-only window holds no write. */
export function buildHold(cutovers: readonly Cutover[]): Hold {
  const holding = cutovers.filter(({ refusedMs }) => refusedMs === undefined);
  const measured = holding.flatMap(({ holdMs }) => holdMs ?? []);
  return {
    maxMs: measured.length > 0 ? Math.max(...measured) : null,
    unmeasured: holding.length - measured.length,
  };
}

export function buildWindow(entries: readonly JournalEntry[], cutovers: readonly Cutover[]): Window | null {
  const planned = plannedWindow(entries);
  if (planned === undefined) return null;
  const refused = cutovers.flatMap(({ refusedMs }) => refusedMs ?? []);
  return {
    longestMs: planned.longestMs,
    expectedMs: planned.expectedMs ?? null,
    refusedMs: refused.length > 0 ? refused.reduce((sum, ms) => sum + ms, 0) : null,
  };
}
