import { formatCount, formatDuration, formatHold, formatPercent, formatRefused, plural } from '../journal/format.ts';
import { describeLoss } from '../journal/loss.ts';
import { refusedAsAnnounced } from '../journal/refused.ts';
import type { ReportModel } from '../report/model/model.ts';
import { pad, type Paint, type Tone } from './text.ts';

const verdictLines: Record<ReportModel['verdict'], { tone: Tone; text: string }> = {
  go: { tone: 'good', text: '✓ GO' },
  'no-go': { tone: 'bad', text: '✕ NO-GO' },
  'rolled-back': { tone: 'bad', text: '↩ ROLLED BACK' },
  failed: { tone: 'bad', text: '! FAILED' },
  aborted: { tone: 'warn', text: '■ ABORTED' },
  'in-progress': { tone: 'warn', text: '▸ NOT FINISHED' },
};

/** The last lines of a release: verdict, reason, key figures and path of the report. */
export function renderSummary(model: ReportModel, reportPath: string, paint: Paint): string[] {
  const { requests, writes, hold, window, overhead, rollback, gates } = model;
  const { tone, text } = verdictLines[model.verdict];
  const moved = model.cutovers.some(({ done }) => done !== null);
  const passed = gates.filter((gate) => gate.verdict === 'pass' || gate.verdict === 'waived').length;
  const waived = gates.filter((gate) => gate.verdict === 'waived').length;
  const notRun = gates.filter((gate) => gate.verdict === 'not-run').length;
  const rows: [string, string, Tone?][] = [
    ['gates', `${passed} of ${gates.length} passed${waived > 0 ? `, ${waived} of them waived` : ''}${notRun > 0 ? `, ${notRun} not run` : ''}`],
    ['failed requests', counted(requests.failed, requests.total), toneOf(requests.failed)],
    ...(requests.refused === undefined
      ? []
      : [['refused writes', refusedAsAnnounced(requests.refused)] satisfies [string, string]]),
    ['lost writes', counted(writes.lost, writes.acknowledged), toneOf(writes.lost)],
    window === null
      ? ['longest hold', formatHold(hold)]
      : [
          'read-only',
          `${formatRefused(window.refusedMs, moved)}, in a window of at most ${formatDuration(window.longestMs)}`,
        ],
    ...(rollback
      ? [
          [
            'rollback',
            rollback.ms === null || rollback.loss === null
              ? 'not finished'
              : `${formatDuration(rollback.ms)}, ${describeLoss(rollback.loss)}`,
            rollback.lossless === false ? 'bad' : 'plain',
          ] as [string, string, Tone],
        ]
      : []),
    ['time', `${formatDuration(overhead.wallMs)}, ${formatPercent(overhead.percent)} of it not observation`],
    ['report', reportPath],
  ];
  return [
    '',
    `${paint(tone, text)}  ${model.application} ${model.to.version} in ${model.environment}`,
    ...(model.emulatedBy === undefined
      ? []
      : [paint('warn', `  emulated: the control plane of ${model.platform} was emulated by ${model.emulatedBy}`)]),
    model.reason,
    '',
    ...rows.map(([name, value, tone]) => `  ${paint('soft', pad(name, 16))}${paint(tone ?? 'plain', value)}`),
    ...(model.unfinished.length > 0
      ? [`  ${paint('warn', `${plural(model.unfinished.length, 'action')} without an end in the journal`)}`]
      : []),
  ];
}

const toneOf = (n: number | null): Tone => (n === null ? 'plain' : n === 0 ? 'good' : 'bad');
const counted = (n: number | null, of: number | null): string =>
  n === null ? 'not measured' : `${formatCount(n)}${of === null ? '' : ` of ${formatCount(of)}`}`;
