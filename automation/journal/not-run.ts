import { allOf } from './entries.ts';
import type { JournalEntry } from './events.ts';
import type { GateResult } from './verdict.ts';

/** The gates for which the definition has nothing: judged `not-run`, and not only never reached. One per id. */
export function gatesNotRun(entries: readonly JournalEntry[]): GateResult[] {
  const last = new Map(allOf(entries, 'gate.judged').map(({ gate }) => [gate.id, gate]));
  return [...last.values()].filter(({ verdict }) => verdict === 'not-run');
}

/** For the line that says how a release ended, or what a decision rests on; empty where every gate was run. */
export function describeNotRun(entries: readonly JournalEntry[]): string {
  const titles = gatesNotRun(entries).map(({ title }) => title);
  return titles.length === 0 ? '' : `; not run: ${titles.join(', ')}`;
}
