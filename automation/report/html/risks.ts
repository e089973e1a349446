import type { ReportModel } from '../model/model.ts';
import { html, type Html } from './html.ts';
import { section, stateCell, table } from './parts.ts';

export function renderRisks({ risks }: ReportModel): Html {
  const columns = ['Risk and mitigation', 'Status', 'Proof in this release', 'Gates'].map((title) => ({ title }));
  const bodies = risks.map(
    (risk) =>
      html`<tbody class="group">
        <tr>
          <th scope="rowgroup">${risk.title}</th>
          ${stateCell(risk.status)}
          <td></td>
          <td></td>
        </tr>
        ${risk.mitigations.map(
          (m) =>
            html`<tr>
              <th scope="row">${m.text}</th>
              ${stateCell(m.verdict)}
              <td data-label="Proof" class="lines">${m.proof}</td>
              <td class="small">${m.gates.map((id, i) => html`${i > 0 && ', '}<a href="#gate-${id}">${id}</a>`)}</td>
            </tr> `,
        )}
      </tbody> `,
  );
  return section(
    'risks',
    'Risk register',
    table(
      'Risks with their mitigations. Held: all are proven. Occurred: the damage was measured.',
      columns,
      bodies,
      true,
    ),
  );
}
