import { firstOf, lastOf } from './entries.ts';
import type { JournalEntry } from './events.ts';
import { formatDuration } from './format.ts';
import { greenlight } from '../../infra/lib/command.ts';

/** The read-only window of a release, before it begins: the longest that it may last, and what the rehearsal expects, ms. */
export interface PlannedWindow {
  longestMs: number;
  /** Absent before the rehearsal. */
  expectedMs?: number;
}

/** The window that a release began with; undefined where its writes move without one. */
export function plannedWindow(entries: readonly JournalEntry[]): PlannedWindow | undefined {
  const longestMs = firstOf(entries, 'release.started')?.readOnlyWindow?.longestMs;
  if (longestMs === undefined) return undefined;
  const expectedMs = lastOf(entries, 'window.rehearsed')?.expectedMs;
  return { longestMs, ...(expectedMs === undefined ? {} : { expectedMs }) };
}

/** Whether the writes were moved in a read-only window, and nobody has begun to go back since: nothing goes back by itself then. */
export function movedInWindow(entries: readonly JournalEntry[]): boolean {
  const last = entries.findLast(
    (entry) => entry.type === 'rollback.started' || (entry.type === 'cutover.done' && entry.direction === 'forward'),
  );
  return last?.type === 'cutover.done' && last.window !== undefined;
}

/** Whether writes were refused in a window that did not move them: what replicated to the new colour may have ended then. */
export const undoneWindow = (entries: readonly JournalEntry[]): boolean =>
  entries.some(({ type }) => type === 'writes.refused') &&
  !entries.some((entry) => entry.type === 'cutover.done' && entry.direction === 'forward');

/** For operators, before they approve: the end of a sentence. */
export const describePlanned = (window: PlannedWindow): string =>
  `users can read, and writes are answered 503 ${howLong(window)}; from then on there is no way back without the loss of the writes made since`;

/** For users: a sentence. */
export const windowForUsers = ({ longestMs, expectedMs }: PlannedWindow): string =>
  `${expectedMs === undefined ? `For at most ${formatDuration(longestMs)}` : `For about ${formatDuration(expectedMs)}`} nothing can be saved; everything can be read.`;

const howLong = ({ longestMs, expectedMs }: PlannedWindow): string =>
  expectedMs === undefined
    ? `for at most ${formatDuration(longestMs)}`
    : `for about ${formatDuration(expectedMs)} (at most ${formatDuration(longestMs)})`;

/** Once the writes have moved, as a sentence's end. */
export const noWayBackArmed =
  'the writes moved in a read-only window, so nothing replicates back: the old database is as it was then';

/** The two things that can be done then. */
export const twoWays = {
  keep: `${greenlight('resume')}, which watches it again`,
  back: `${greenlight('rollback', '--accept-loss')}, which names first what would be lost`,
} as const;
