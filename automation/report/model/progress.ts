import type { JournalEntry } from '../../journal/events.ts';
import { allOf, lastOf, type EntryOf } from '../../journal/entries.ts';
import type { GateRow, StageRow } from './model.ts';

type Start = EntryOf<'release.started'>;

/**
 * The last result of every gate per stage, in the order of their first results, followed by the planned gates that have
 * no result.
 */
export function buildGates(entries: readonly JournalEntry[], known: NonNullable<Start['gates']>): GateRow[] {
  const judged = new Map<string, GateRow>();
  for (const entry of allOf(entries, 'gate.judged')) {
    judged.set(`${entry.stage} ${entry.gate.id}`, { ...entry.gate, stage: entry.stage, at: entry.at });
  }
  const missing = known
    .filter((gate) => !judged.has(`${gate.stage} ${gate.id}`))
    .map((gate): GateRow => {
      const nothing = { measured: 'not run', wanted: '', measurements: [], evidence: [], ms: 0, observationMs: 0 };
      return { id: gate.id, title: gate.title, stage: gate.stage, verdict: 'not-run', ...nothing, at: null };
    });
  return [...judged.values(), ...missing];
}

/** All planned stages. A stage without an end is running, or an error if the release is `over`. */
export function buildStages(entries: readonly JournalEntry[], planned: Start['stages'], over: boolean): StageRow[] {
  return planned.map(({ id, title, expectedMs }): StageRow => {
    const mine = entries.filter((entry) => 'stage' in entry && entry.stage === id);
    const started = lastOf(mine, 'stage.started');
    const end = lastOf(mine, 'stage.ended');
    const ended = end && (!started || end.seq > started.seq) ? end : undefined;
    const undone = allOf(mine, 'stage.undone').map(({ what, ms, at }) => ({ what, ms, at }));
    const row = { id, title, expectedMs, undone, startedAt: started?.at ?? null };
    if (ended) {
      const { verdict, reason, ms, observationMs } = ended;
      return { ...row, verdict, reason: reason ?? null, ms, observationMs };
    }
    if (!started) return { ...row, verdict: 'not-run', reason: null, ms: null, observationMs: 0 };
    return over
      ? { ...row, verdict: 'error', reason: 'It began and did not end.', ms: null, observationMs: 0 }
      : { ...row, verdict: 'running', reason: null, ms: null, observationMs: 0 };
  });
}
