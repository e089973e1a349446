import { formatDuration } from '../../journal/format.ts';
import type { GateRow, ReportModel } from '../model/model.ts';
import { html, type Html } from './html.ts';
import { links, section, stateCell, table } from './parts.ts';

export function renderGates({ gates }: ReportModel): Html {
  if (gates.length === 0) return section('gates', 'Gates', html`<p>No gate has been judged.</p>`);
  const columns = [
    { title: 'Gate and measurement' },
    { title: 'Verdict' },
    { title: 'Measured' },
    { title: 'Wanted' },
    { title: 'Time', number: true },
  ];
  const seen = new Set<string>();
  const bodies = gates.map((gate) => {
    const first = !seen.has(gate.id);
    seen.add(gate.id);
    return group(gate, first);
  });
  return section(
    'gates',
    'Gates',
    table('Each gate with its worst measurement or a summary, followed by all measurements', columns, bodies, true),
  );
}

function group(gate: GateRow, first: boolean): Html {
  const name = html`${gate.title} <span class="soft small">${gate.stage}</span>`;
  const single = gate.measurements.length === 1 && gate.measurements[0]!.measured === gate.measured;
  const detail = single ? [] : gate.measurements;
  const notes = gate.measurements.flatMap((m) => (m.note ? [m.note] : []));
  return html`<tbody class="group" ${first && html` id="gate-${gate.id}"`}>
    <tr>
      <th scope="rowgroup">${name}</th>
      ${stateCell(gate.verdict)}
      <td data-label="Measured">${gate.measured}</td>
      <td data-label="Wanted">${gate.wanted}</td>
      <td class="number" data-label="Time">${gate.at && formatDuration(gate.ms)}</td>
    </tr>
    ${detail.map(
      (m) =>
        html`<tr>
          <th scope="row">${m.name}</th>
          ${stateCell(m.verdict)}
          <td data-label="Measured">${m.measured}</td>
          <td data-label="Wanted">${m.wanted}</td>
          <td></td>
        </tr> `,
    )}${
      (notes.length > 0 || gate.evidence.length > 0 || gate.waiver) &&
      html`<tr>
        <td colspan="5" class="small">
          ${notes.map((note) => html`<div>${note}</div>`)}${gate.waiver && html`<div>Waived by ${gate.waiver.by} until ${gate.waiver.expires}: ${gate.waiver.reason}</div>`}${gate.evidence.length > 0 && html`<div>Evidence: ${links(gate.evidence)}</div>`}
        </td>
      </tr> `
    }
  </tbody> `;
}
