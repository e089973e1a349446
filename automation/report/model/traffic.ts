import type { Colour } from '../../../infra/model.ts';
import type { JournalEntry, ObservedTraffic } from '../../journal/events.ts';
import { allOf } from '../../journal/entries.ts';
import type { TrafficPoint } from './model.ts';

/** The charts cannot show more points than this distinctly. */
const maxPoints = 240;

/**
 * Observed traffic over time. In a long release neighbouring windows are merged into one point, with the sum of their
 * requests and their highest latencies, so that peaks stay visible.
 */
export function buildTraffic(entries: readonly JournalEntry[]): TrafficPoint[] {
  const windows = allOf(entries, 'traffic.observed')
    .filter((w) => w.to > w.from)
    .sort((a, b) => a.from - b.from);
  const per = Math.ceil(windows.length / maxPoints);
  const points: TrafficPoint[] = [];
  for (let i = 0; i < windows.length; i += per) {
    const group = windows.slice(i, i + per);
    const seconds = group.reduce((sum, w) => sum + w.to - w.from, 0) / 1000;
    const merge = (colour: Colour): TrafficPoint['colours'][Colour] => {
      const observed = group.map((w) => w.colours[colour]);
      return {
        perSecond: observed.reduce((sum, o) => sum + o.requests, 0) / seconds,
        errors: observed.reduce((sum, o) => sum + o.errors, 0),
        p50Ms: highest(observed, 'p50Ms'),
        p95Ms: highest(observed, 'p95Ms'),
      };
    };
    points.push({
      from: group[0]!.from,
      to: group.at(-1)!.to,
      colours: { blue: merge('blue'), green: merge('green') },
    });
  }
  return points;
}

function highest(observed: ObservedTraffic[], key: 'p50Ms' | 'p95Ms'): number | null {
  const known = observed.flatMap((o) => o[key] ?? []);
  return known.length > 0 ? Math.max(...known) : null;
}

/** Changes of the traffic, as marks for the charts. */
export function buildMarks(entries: readonly JournalEntry[]): { at: number; label: string }[] {
  return entries.flatMap((entry) => {
    const at = Date.parse(entry.at);
    if (entry.type === 'traffic.set' && entry.split.percent > 0) return [{ at, label: `${entry.split.percent} %` }];
    if (entry.type === 'cutover.done' && entry.direction === 'forward') return [{ at, label: 'cutover' }];
    if (entry.type === 'writes.refused' && entry.to === undefined) return [{ at: entry.from, label: 'read only' }];
    if (entry.type === 'rollback.started') return [{ at, label: 'rollback' }];
    return [];
  });
}
