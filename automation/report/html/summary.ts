import { shortLoss } from '../../journal/loss.ts';
import {
  formatCount,
  formatDuration,
  formatHold,
  formatPercent,
  formatRefused,
  formatTime,
  plural,
} from '../../journal/format.ts';
import { refusedAsAnnounced } from '../../journal/refused.ts';
import type { ReportModel } from '../model/model.ts';
import { html, type Content, type Html } from './html.ts';
import { colourName, headline, type Tone } from './parts.ts';

/** The head of the report: verdict, reason and key figures. */
export function renderSummary(model: ReportModel): Html {
  const { tone, text } = headline[model.verdict];
  const from = model.from
    ? html` from ${model.from.version} (${colourName(model.from.colour)})`
    : html` for the first time`;
  const ended = model.verdict === 'in-progress' ? 'last entry' : 'ended';
  return html`<header>
    <p class="kicker">Go-live readiness report · ${kinds[model.kind]} · ${model.platform}</p>
    <h1>${model.application} ${model.to.version} in ${model.environment}</h1>
    <p class="soft">
      To ${model.to.version} (${colourName(model.to.colour)})${from}. Started ${formatTime(model.startedAt)}, ${ended}
      ${formatTime(model.endedAt)}.
    </p>
    ${
      model.emulatedBy !== undefined &&
      html`<div class="verdict tone-warn">
        <strong>! Emulated</strong>
        <p>
          The control plane of ${model.platform} was emulated by ${model.emulatedBy}, and its resources ran on one
          machine. This report shows how the release works. It proves nothing about a real account.
        </p>
      </div>`
    }
    <div class="verdict tone-${tone}">
      <strong>${text}</strong>
      <p>${model.reason}</p>
    </div>
    ${
      model.journal.damage !== null &&
      html`<div class="verdict tone-bad">
        <strong>! The journal is damaged</strong>
        <p>${model.journal.damage}. This report shows the entries before it.</p>
      </div>`
    }
    <dl class="figures">
      ${figures(model).map(
        ([
          name,
          value,
          detail,
          tone,
        ]) => html`<div><dt>${name}</dt><dd><b${tone && html` class="tone-${tone}"`}>${value}</b><span>${detail}</span></dd></div>
`,
      )}
    </dl>
  </header> `;
}

const kinds: Record<ReportModel['kind'], string> = {
  'go-live': 'first go-live',
  release: 'release',
  rehearsal: 'rehearsal',
};

type Figure = [name: string, value: string, detail: Content, tone?: Tone];

function figures({ requests, writes, hold, window, gates, rollback, overhead, cutovers }: ReportModel): Figure[] {
  const good = gates.filter((gate) => gate.verdict === 'pass' || gate.verdict === 'waived').length;
  const waivedGates = gates.filter((gate) => gate.verdict === 'waived').length;
  const notRun = gates.filter((gate) => gate.verdict === 'not-run').length;
  const isZero = (n: number | null): Tone | undefined => (n === null ? undefined : n === 0 ? 'good' : 'bad');
  const orNone = (n: number | null): string => (n === null ? 'not measured' : formatCount(n));
  const done = cutovers.filter((cutover) => cutover.done).length;
  return [
    [
      'Failed requests',
      orNone(requests.failed),
      requests.total !== null &&
        `of ${formatCount(requests.total)}${requests.refused === undefined ? '' : `; ${refusedAsAnnounced(requests.refused)}`}`,
      isZero(requests.failed),
    ],
    [
      'Lost writes',
      orNone(writes.lost),
      writes.acknowledged !== null && `of ${formatCount(writes.acknowledged)} acknowledged`,
      isZero(writes.lost),
    ],
    window === null
      ? ['Longest write hold', formatHold(hold), done > 0 && plural(done, 'change') + ' of the live colour']
      : [
          'Writes refused',
          formatRefused(window.refusedMs, done > 0),
          `in a read-only window of at most ${formatDuration(window.longestMs)}`,
        ],
    [
      'Gates passed',
      `${good} of ${gates.length}`,
      [waivedGates > 0 && `${waivedGates} of them waived`, notRun > 0 && `${notRun} not run`].filter(Boolean).join(', '),
      good === gates.length ? 'good' : 'warn',
    ],
    rollback
      ? [
          'Rollback',
          rollback.ms === null ? 'not finished' : formatDuration(rollback.ms),
          rollback.loss === null ? '' : shortLoss(rollback.loss),
          rollback.lossless ? 'warn' : 'bad',
        ]
      : ['Rollback', 'none', ''],
    ['Total time', formatDuration(overhead.wallMs), `${formatPercent(overhead.percent)} of it not observation`],
  ];
}
