import type { Colour } from '../../infra/model.ts';
import type { JournalEntry } from './events.ts';
import { formatTime } from './format.ts';

/** A time in which nothing could go back, as the database of the old colour was lost. */
export interface WayBackGap {
  colour: Colour;
  because: string;
  /** ISO 8601. */
  since: string;
  /** When the way back existed again; absent while it does not. */
  until?: string;
}

/** The latest gap of a release; undefined where it had none. One that was interrupted and begun anew is one gap. */
export function wayBackGap(entries: readonly JournalEntry[]): WayBackGap | undefined {
  let gap: WayBackGap | undefined;
  for (const entry of entries) {
    if (entry.type === 'way-back.remaking' && (gap === undefined || gap.until !== undefined))
      gap = { colour: entry.colour, because: entry.because, since: entry.since };
    if (entry.type === 'way-back.remade' && gap !== undefined) gap = { ...gap, until: entry.at };
  }
  return gap;
}

/** The gap that is open now: nothing can go back. */
export function openGap(entries: readonly JournalEntry[]): WayBackGap | undefined {
  const gap = wayBackGap(entries);
  return gap?.until === undefined ? gap : undefined;
}

/** For a person. */
export function describeGap({ colour, because, since, until }: WayBackGap): string {
  if (until === undefined)
    return `none since ${formatTime(since)}: the database of ${colour} is lost (${because}). It is made anew, as a copy of the live one; a rollback is not possible before`;
  return `exists again since ${formatTime(until)}; there was none from ${formatTime(since)} on, as the database of ${colour} was lost (${because}). It was made anew as a copy of the live one: after a rollback the old version runs on the new schema, on which its tests have passed`;
}
