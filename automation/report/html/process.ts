import { colours } from '../../../infra/model.ts';
import { describeFrame, renderFrame } from './diagram.ts';
import { formatClock, formatDuration, formatPercent } from '../../journal/format.ts';
import type { ReportModel, StageRow } from '../model/model.ts';
import { html, type Html } from './html.ts';
import { section, stateCell, table, toneOf } from './parts.ts';

/** The states of the traffic, one diagram each. */
export function renderDiagram({ frames }: ReportModel): Html {
  const items = frames.map((frame, i) => {
    const seen = frame.observed;
    const observed = seen && `observed: ${colours.map((c) => `${c} ${formatPercent(seen[c])}`).join(', ')} of requests`;
    return html`<li>
      <h3>${frame.title}</h3>
      <p class="soft">${formatClock(frame.at)} UTC${observed && `; ${observed}`}</p>
      ${renderFrame(frame, `frame-${i + 1}`)}
    </li> `;
  });
  return section(
    'deployment',
    'Deployment',
    html`<p>
        Every state of the traffic in this release, in order. Solid lines are reads, and their width is the share of
        reads. Dashed lines are writes.
      </p>
      <ol class="frames" aria-label="${frames.map(describeFrame).join(' Then: ')}">
        ${items}
      </ol> `,
  );
}

/** The stages over time, as a table whose last column is a Gantt chart. */
export function renderTimeline(model: ReportModel): Html {
  const start = Date.parse(model.startedAt);
  const whole = Math.max(1, Date.parse(model.endedAt) - start);
  const rows = model.stages.map((stage) => {
    const ms = stage.ms ?? (stage.startedAt ? Date.parse(model.endedAt) - Date.parse(stage.startedAt) : null);
    const left = stage.startedAt ? (100 * (Date.parse(stage.startedAt) - start)) / whole : 0;
    const bar =
      ms !== null &&
      html`<span class="track tone-${toneOf(stage.verdict)}"
        ><i style="left:${left.toFixed(2)}%;width:${Math.min(100 - left, (100 * ms) / whole).toFixed(2)}%"></i
      ></span>`;
    return html`<tr>
        <th scope="row">${stage.title}</th>
        ${stateCell(stage.verdict)}
        <td data-label="Started">${stage.startedAt && formatClock(stage.startedAt)}</td>
        <td class="number" data-label="Took">${ms !== null && formatDuration(ms)}</td>
        <td class="number" data-label="Expected">${stage.expectedMs > 0 && formatDuration(stage.expectedMs)}</td>
        <td class="bar" aria-hidden="true">${bar}</td>
      </tr>
      ${remarks(stage)}`;
  });
  const columns = [
    { title: 'Stage' },
    { title: 'Verdict' },
    { title: 'Started' },
    { title: 'Took', number: true },
    { title: 'Expected', number: true },
    { title: `0 to ${formatDuration(whole)}` },
  ];
  const { wallMs, observationMs, percent } = model.overhead;
  return section(
    'timeline',
    'Timeline',
    html`<p>
        ${formatDuration(wallMs)} in all; ${formatDuration(observationMs)} of it was configured observation, load and
        scan time, and ${formatPercent(percent)} was not.
      </p>
      <div class="gantt">
        ${table(
          'Stages in their order, times in UTC',
          columns,
          html`<tbody>
            ${rows}
          </tbody>`,
          true,
        )}
      </div>`,
  );
}

function remarks(stage: StageRow): Html | '' {
  const texts = [
    ...(stage.reason && stage.verdict !== 'pass' ? [stage.reason] : []),
    ...stage.undone.map((u) => `Undone at ${formatClock(u.at)}: ${u.what} (${formatDuration(u.ms)})`),
  ];
  return texts.length === 0
    ? ''
    : html`<tr>
        <td colspan="6" class="small soft">${texts.map((text) => html`<div>${text}</div>`)}</td>
      </tr> `;
}
