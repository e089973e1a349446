import type { JournalEntry } from './events.ts';
import { plural } from './format.ts';

/** A time in which writes were refused, as was announced. Milliseconds since the epoch. */
export interface RefusedWindow {
  from: number;
  to: number;
}

/** No read-only window is longer. */
const longestMs = 60 * 60_000;

/**
 * The times in which a release refused writes, in their order. Where the program died in one of them, its end is not known: writes were
 * not refused any more when the release was resumed.
 */
export function refusedWindows(entries: readonly JournalEntry[]): RefusedWindow[] {
  const windows: { from: number; to: number | undefined }[] = [];
  for (const entry of entries) {
    const open = windows.filter(({ to }) => to === undefined);
    if (entry.type === 'release.resumed') for (const window of open) window.to = Date.parse(entry.at);
    if (entry.type !== 'writes.refused') continue;
    const known = windows.find(({ from }) => from === entry.from);
    if (known === undefined) windows.push({ from: entry.from, to: entry.to });
    else known.to = entry.to ?? known.to;
  }
  return windows.map(({ from, to = from + longestMs }) => ({ from, to }));
}

/** For a person: what became of so many requests. */
export const refusedAsAnnounced = (count: number): string =>
  `${plural(count, 'write')} refused in the read-only window, as announced`;
