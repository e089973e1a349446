import { inColumns } from '../lib/in-columns.ts';
import type { Outcome } from './journey.ts';

const columns = ['world', 'copy', 'tables', 'rows', 'cured', 'acknowledged', 'unknown', 'lost', 'doubled'];
const times = ['hold forward', 'hold back', 'equal', 'seconds', 'whole'];

/** The outcomes, as a table for a terminal. Holds in ms. */
export function table(outcomes: readonly Outcome[]): string {
  return inColumns([[...columns, ...times], ...outcomes.map(line)]);
}

const line = (of: Outcome): string[] => [
  of.world,
  of.mode,
  ...[of.tables, of.rows, of.cured.length, of.acknowledged, of.unknown, of.lost, of.doubled].map(String),
  list(of.forwardMs),
  list(of.backMs),
  of.equal ? 'yes' : 'NO',
  of.seconds.toFixed(1),
  of.problems.length === 0 ? 'yes' : 'NO',
];

const list = (holds: readonly number[]): string => holds.map((ms) => String(Math.round(ms))).join(' ') || '-';
