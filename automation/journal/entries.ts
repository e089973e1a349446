import type { Event, JournalEntry } from './events.ts';

/** Questions to a journal, by the type of its events. */

export type EntryOf<T extends Event['type']> = Extract<JournalEntry, { type: T }>;

const isOf =
  <T extends Event['type']>(type: T) =>
  (entry: JournalEntry): entry is EntryOf<T> =>
    entry.type === type;

export function firstOf<T extends Event['type']>(entries: readonly JournalEntry[], type: T): EntryOf<T> | undefined {
  return entries.find(isOf(type));
}

export function lastOf<T extends Event['type']>(entries: readonly JournalEntry[], type: T): EntryOf<T> | undefined {
  return entries.findLast(isOf(type));
}

export function allOf<T extends Event['type']>(entries: readonly JournalEntry[], type: T): EntryOf<T>[] {
  return entries.filter(isOf(type));
}
