import { colours, type Colour } from '../../../infra/model.ts';
import { latencyChart, renderChart, trafficChart, type Chart } from './charts.ts';
import { formatCount, formatDuration, formatPercent } from '../../journal/format.ts';
import { refusedAsAnnounced } from '../../journal/refused.ts';
import type { ReportModel } from '../model/model.ts';
import { html, type Html } from './html.ts';
import { colourName, section, stateCell, table } from './parts.ts';

/** Requests, errors and response times of each colour, and the canary steps. */
export function renderTraffic(model: ReportModel): Html {
  if (model.traffic.length === 0)
    return section('traffic', 'Traffic', html`<p>No traffic was observed.</p>`, canary(model));
  return section(
    'traffic',
    'Traffic',
    clients(model),
    figure('Requests per second', 'counted at the entry point', trafficChart(model)),
    figure('Response time, median', 'p50 at the entry point', latencyChart(model, 'p50Ms')),
    figure('Response time, slow end', 'p95 at the entry point', latencyChart(model, 'p95Ms')),
    table(
      'Traffic by colour over the whole release',
      [
        { title: 'Colour' },
        ...['Requests', 'Failed', 'Highest p50', 'Highest p95'].map((title) => ({ title, number: true })),
      ],
      html`<tbody>
        ${colours.map((colour) => totals(model, colour))}
      </tbody>`,
    ),
    canary(model),
  );
}

export function figure(title: string, detail: string, chart: Chart): Html {
  return html`<figure>
    <figcaption>${title} <span>${detail}</span></figcaption>
    ${renderChart(chart)}
  </figure> `;
}

function clients({ requests }: ReportModel): Html | '' {
  if (requests.countedBy !== 'synthetic') return '';
  const rate = requests.perSecond === null ? '' : `, ${formatCount(requests.perSecond)} per second`;
  return html`<p>
      Synthetic clients sent ${formatCount(requests.total ?? 0)} requests during the whole release${rate};
      ${formatCount(requests.failed ?? 0)}
      failed${requests.refused === undefined ? '' : `; ${refusedAsAnnounced(requests.refused)}`}.
    </p>
    ${
      requests.failures.length > 0 &&
      html`<ul>
        ${requests.failures.map((failure) => html`<li><code>${failure}</code></li>`)}
      </ul>`
    }`;
}

function totals({ traffic }: ReportModel, colour: Colour): Html {
  const mine = traffic.map((point) => ({ ...point.colours[colour], seconds: (point.to - point.from) / 1000 }));
  const highest = (values: (number | null)[]): string => {
    const known = values.filter((v) => v !== null);
    return known.length > 0 ? formatDuration(Math.max(...known)) : 'none';
  };
  const requests = mine.reduce((sum, p) => sum + p.perSecond * p.seconds, 0);
  const errors = mine.reduce((sum, p) => sum + p.errors, 0);
  return html`<tr>
    <th scope="row">${colourName(colour)}</th>
    <td class="number">${formatCount(requests)}</td>
    <td class="number">${formatCount(errors)}</td>
    <td class="number">${highest(mine.map((p) => p.p50Ms))}</td>
    <td class="number">${highest(mine.map((p) => p.p95Ms))}</td>
  </tr> `;
}

function canary({ canary }: ReportModel): Html | '' {
  if (canary.length === 0) return '';
  const rows = canary.map(
    (step) =>
      html`<tr>
        <th scope="row">${step.percent} % of reads</th>
        ${stateCell(step.verdict)}
        <td data-label="Observed">
          ${step.observedPercent === undefined ? 'not observed' : formatPercent(step.observedPercent)}
        </td>
        <td data-label="Why">${step.reason}</td>
      </tr> `,
  );
  return table(
    'Canary steps: what was set, what was observed, and the judgement',
    ['Step', 'Verdict', 'Observed', 'Why'].map((title) => ({ title })),
    html`<tbody>
      ${rows}
    </tbody>`,
    true,
  );
}
