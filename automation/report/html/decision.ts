import { formatTime } from '../../journal/format.ts';
import type { ReportModel } from '../model/model.ts';
import { html, type Html } from './html.ts';
import { links, section, stateCell, table } from './parts.ts';

export function renderChecklist({ checklist }: ReportModel): Html {
  const rows = checklist.map(
    (line) =>
      html`<tr>
        <th scope="row">${line.title}</th>
        ${stateCell(line.verdict)}
        <td data-label="Measured" class="lines">${line.measured}</td>
        <td data-label="Wanted" class="lines">${line.wanted}</td>
        <td data-label="Evidence" class="small">${links(line.evidence)}</td>
      </tr> `,
  );
  const columns = ['Requirement', 'Verdict', 'Measured', 'Wanted', 'Evidence'].map((title) => ({ title }));
  return section(
    'checklist',
    'Go-live checklist',
    html`<div class="checklist">
      ${table(
        'Requirements for going live, judged by the gates and measurements of this release',
        columns,
        html`<tbody>
          ${rows}
        </tbody>`,
        true,
      )}
    </div>`,
  );
}

export function renderSignatures({ approval, waivers }: ReportModel): Html {
  const how: Record<string, string> = {
    terminal: 'at the terminal',
    '--yes': 'beforehand, with --yes',
    auto: 'automatically: every gate passed',
    refused: 'refused',
  };
  const decision = approval
    ? html`<p>
        ${approval.given ? 'Approved' : 'Refused'} by <b>${approval.by}</b>, ${how[approval.how] ?? approval.how}, on
        ${formatTime(approval.at)}.${approval.note && html` “${approval.note}”`}
      </p>`
    : html`<p>Nobody has approved or refused this release.</p>`;
  const rows = waivers.map(
    (w) =>
      html`<tr>
        <th scope="row">${w.gate}</th>
        <td data-label="Accepted by">${w.by}</td>
        <td data-label="Until">${w.expires}</td>
        <td data-label="Reason">${w.reason}</td>
      </tr> `,
  );
  const columns = ['Gate', 'Accepted by', 'Until', 'Reason'].map((title) => ({ title }));
  return section(
    'signatures',
    'Signatures',
    decision,
    waivers.length > 0
      ? table(
          'Gates that were waived',
          columns,
          html`<tbody>
            ${rows}
          </tbody>`,
          true,
        )
      : html`<p>No gate was waived.</p>`,
  );
}
