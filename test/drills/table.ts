import { inColumns } from '../lib/in-columns.ts';
import type { IncrementLedger } from './clients.ts';
import type { DrillResult, Figures } from './judge.ts';

/** One line per drill, while they run. */
export const line = (result: DrillResult): string[] => {
  const { ok, name, verdict, caughtBy, caughtAfter, seconds, checks, ledger, figures } = result;
  return [
    `${ok ? 'ok  ' : 'FAIL'} ${name}: ${verdict}, ${outcome(verdict, caughtBy, caughtAfter)} (drill: ${Math.round(seconds)} s)`,
    ...(ledger === undefined ? [] : [`       clients' own books: ${increments(ledger)}`]),
    ...(figures === undefined || figures.rowsCompared < manyRows ? [] : [`       ${cost(figures)}`]),
    ...checks.filter((check) => !check.ok).map(({ what, found }) => `       wanted ${what}; found ${found}`),
  ];
};

/** What is printed only where it is large: thousands of rows cost nothing that anybody would look for. */
const manyRows = 100_000;

function cost({ stageSeconds, stageMegabytes, peakMegabytes, rowsCompared }: Figures): string {
  const stages = Object.entries(stageSeconds).map(([stage, seconds]) => {
    const megabytes = stageMegabytes[stage];
    return `${stage} ${seconds} s${megabytes === undefined ? '' : ` ${megabytes} MB`}`;
  });
  return `${rowsCompared} rows compared; memory of the program ${peakMegabytes ?? 'unknown'} MB at most; ${stages.join(', ')}`;
}

function outcome(verdict: string, caughtBy: string, caughtAfter: number | null): string {
  if (verdict === 'refused') return 'before anything began';
  return caughtAfter === null ? 'went on to its end' : `caught by ${caughtBy} after ${caughtAfter} s`;
}

const columns = ['drill', 'fault', 'verdict', 'exit', 'caught by', 'after', 'in stage', 'users felt', 'as expected'];

/** All of them, as a table for a terminal. */
export function table(results: readonly DrillResult[]): string {
  return inColumns([columns, ...results.map(row)]);
}

const row = (result: DrillResult): string[] => [
  result.name,
  result.fault,
  result.verdict,
  String(result.exitCode),
  result.caughtBy,
  seconds(result.caughtAfter),
  seconds(result.caughtInStageAfter),
  felt(result),
  result.ok ? 'yes' : 'NO',
];

const seconds = (value: number | null): string => (value === null ? '-' : `${value.toFixed(1)} s`);

/** What the drill's own clients counted, and how long it took from the fault until the release was over and writes went on. */
function increments(ledger: IncrementLedger): string {
  const { acknowledged, lost, doubled, unknown, refused, longestGapMs, settledMs } = ledger;
  const time = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  return [
    `${acknowledged} increments acknowledged, ${lost} lost, ${doubled} made twice, ${unknown} without an answer, ${refused} refused`,
    `longest time without one ${time(longestGapMs)}`,
    settledMs === null ? 'never settled' : `settled after ${time(settledMs)}`,
  ].join('; ');
}

/** Failed requests, lost and doubled writes, longest hold. */
function felt({ requests, writes, holdMs, refusedMs, ledger }: DrillResult): string {
  if (requests.total === null && ledger === undefined) return 'nothing: no traffic was moved';
  const parts = requests.total === null ? [] : [`${requests.failed} of ${requests.total} requests failed`];
  if (ledger !== undefined) parts.push(`${ledger.lost} of ${ledger.acknowledged} increments lost`);
  if (ledger?.doubled) parts.push(`${ledger.doubled} increments made twice`);
  if (writes.lost) parts.push(`${writes.lost} of ${writes.acknowledged} writes lost`);
  if (writes.duplicated) parts.push(`${writes.duplicated} writes made twice`);
  if (refusedMs !== undefined) parts.push(`writes refused ${(refusedMs / 1000).toFixed(1)} s`);
  if (holdMs !== null) parts.push(`writes held ${Math.round(holdMs)} ms`);
  return parts.join(', ');
}
