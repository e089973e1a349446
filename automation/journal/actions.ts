import type { JournalEntry } from './events.ts';
import type { Journal } from './journal.ts';

/**
 * Records the intent of an action, runs it, and records its end. Rethrows its error. A crash leaves an intent without an end: see
 * `unfinishedActions`.
 */
export async function action<T>(
  journal: Pick<Journal, 'append'>,
  id: string,
  what: string,
  run: () => T | Promise<T>,
  describe?: (value: T) => string,
): Promise<T> {
  journal.append({ type: 'action.intent', id, what });
  const started = performance.now();
  const ms = (): number => Math.round(performance.now() - started);
  let value: T;
  try {
    value = await run();
  } catch (error) {
    journal.append({
      type: 'action.failed',
      id,
      ms: ms(),
      error: error instanceof Error ? error.message : String(error),
    });
    throw error;
  }
  journal.append({ type: 'action.done', id, ms: ms(), ...(describe && { result: describe(value) }) });
  return value;
}

/** Actions that were announced and have no end: the world may or may not have changed. Oldest first. */
export function unfinishedActions(entries: readonly JournalEntry[]): { id: string; what: string }[] {
  const open = new Map<string, string>();
  for (const entry of entries) {
    if (entry.type === 'action.intent') open.set(entry.id, entry.what);
    else if (entry.type === 'action.done' || entry.type === 'action.failed') open.delete(entry.id);
  }
  return [...open].map(([id, what]) => ({ id, what }));
}
