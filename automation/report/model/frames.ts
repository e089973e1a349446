import { colours, other, type Colour, type Split } from '../../../infra/model.ts';
import type { JournalEntry } from '../../journal/events.ts';
import { allOf, type EntryOf } from '../../journal/entries.ts';
import type { Frame } from './model.ts';

/**
 * One frame for each state of the traffic, in order, from the journalled settings and observations, not from the plan.
 */
export function buildFrames(entries: readonly JournalEntry[], start: EntryOf<'release.started'>): Frame[] {
  const versions: Record<Colour, string | null> = { blue: null, green: null };
  if (start.from) versions[start.from.colour] = start.from.version;
  const frames: Frame[] = [];
  const windows = allOf(entries, 'traffic.observed');
  let split: Split | undefined = start.from && { live: start.from.colour, percent: 0 };
  let rollingBack = false;

  const add = (title: string, at: string, holding = false, refusing = false): void => {
    const picture = (colour: Colour): Frame['colours'][Colour] => ({
      version: versions[colour],
      readsPercent: !split ? 0 : colour === split.live ? 100 - split.percent : split.percent,
      writes: split?.live === colour,
    });
    const how = refusing ? { refusing: true as const } : {};
    frames.push({
      title,
      at,
      holding,
      ...how,
      colours: { blue: picture('blue'), green: picture('green') },
      observed: null,
    });
  };

  add(start.from ? 'Before the release' : 'Before the first go-live', start.at);
  for (const entry of entries) {
    if (entry.type === 'rollback.started') rollingBack = true;
    if (entry.type === 'stage.ended' && entry.stage === 'prepare') {
      versions[start.to.colour] = start.to.version;
      add(`${capital(start.to.colour)} is ready, without traffic`, entry.at);
    }
    if (entry.type === 'cutover.step' && entry.step === 'hold' && !frames.at(-1)?.holding)
      add('Writes are held', entry.at, true);
    if (entry.type === 'writes.refused' && entry.to === undefined) add('Writes are refused', entry.at, true, true);
    // A cutover that failed released the writes that it held.
    if (entry.type === 'cutover.step' && entry.step === 'undo' && split)
      add(titleOf(split, start.to.colour, rollingBack), entry.at);
    // A cutover that `resume` finished has no `traffic.set`.
    if (entry.type === 'traffic.set' || entry.type === 'cutover.done') {
      const set: Split = entry.type === 'traffic.set' ? entry.split : { live: entry.to, percent: 0 };
      const same = split?.live === set.live && split.percent === set.percent;
      if (same && !frames.at(-1)?.holding) continue;
      versions[start.to.colour] = start.to.version;
      split = set;
      add(titleOf(split, start.to.colour, rollingBack), entry.at);
    }
    // A first go-live has no `traffic.set` entry: its cutover opens the entry point.
    if (
      entry.type === 'stage.ended' &&
      entry.stage === 'cutover' &&
      entry.verdict === 'pass' &&
      split?.live !== start.to.colour
    ) {
      split = { live: start.to.colour, percent: 0 };
      add(titleOf(split, start.to.colour, false), entry.at);
    }
    if (entry.type === 'stage.ended' && entry.stage === 'cleanup' && entry.verdict === 'pass' && start.from) {
      versions[other(start.to.colour)] = null;
      add('After the clean-up', entry.at);
    }
  }
  return frames.map((frame, i) => ({ ...frame, observed: observed(windows, frame.at, frames[i + 1]?.at) }));
}

function titleOf(split: Split, to: Colour, rollingBack: boolean): string {
  if (split.live === to)
    return split.percent === 0
      ? `${capital(to)} is live`
      : `${capital(to)} is live, ${split.percent} % of reads elsewhere`;
  if (split.percent > 0) return `Canary: ${split.percent} % of reads`;
  return rollingBack ? 'Rolled back' : `${capital(split.live)} has all traffic`;
}

/** Percent of the requests that each colour answered, from the windows that lie wholly within the frame. */
function observed(windows: EntryOf<'traffic.observed'>[], from: string, to: string | undefined): Frame['observed'] {
  const end = to === undefined ? Infinity : Date.parse(to);
  const mine = windows.filter((w) => w.from >= Date.parse(from) && w.to <= end);
  const requests = (colour: Colour): number => mine.reduce((sum, w) => sum + w.colours[colour].requests, 0);
  const total = colours.reduce((sum, colour) => sum + requests(colour), 0);
  if (total === 0) return null;
  return { blue: (100 * requests('blue')) / total, green: (100 * requests('green')) / total };
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
