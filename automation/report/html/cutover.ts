import { formatClock, formatDuration, formatTime } from '../format.ts';
import type { Cutover, ReportModel } from '../model.ts';
import { html, type Html } from './html.ts';
import { colourName, section, table } from './parts.ts';

export function renderCutovers({ cutovers }: ReportModel): Html {
  if (cutovers.length === 0) return section('cutover', 'Cutover', html`<p>The live colour was not changed.</p>`);
  return section('cutover', 'Cutover', cutovers.map(one));
}

function one({ direction, steps, done }: Cutover): Html {
  const title = direction === 'forward' ? 'Forward' : 'Back';
  const outcome = done
    ? html`${title}, from ${colourName(done.from)} to ${colourName(done.to)} at ${formatClock(done.at)} UTC: writes
        waited for at most <b>${formatDuration(done.holdMs)}</b>; ${formatDuration(done.totalMs)} in all.`
    : html`${title}: begun, and not finished.`;
  const rows = steps.map(
    (s) =>
      html`<tr>
        <th scope="row">${s.step}</th>
        <td class="number" data-label="Took">${formatDuration(s.ms)}</td>
        <td data-label="Detail">${s.detail}</td>
      </tr> `,
  );
  const columns = [{ title: 'Step' }, { title: 'Took', number: true }, { title: 'Detail' }];
  return html`<p>${outcome}</p>
    ${
      steps.length > 0 &&
      table(
        `Steps of the cutover ${direction === 'forward' ? 'forward' : 'back'}`,
        columns,
        html`<tbody>
          ${rows}
        </tbody>`,
        true,
      )
    }`;
}

export function renderRollback({ rollback }: ReportModel): Html {
  if (!rollback) return section('rollback', 'Rollback', html`<p>There was none.</p>`);
  const end =
    rollback.ms === null
      ? html`It is not finished.`
      : html`It took ${formatDuration(rollback.ms)}, and
        ${rollback.lossless ? 'nothing was lost' : 'something was lost'}. ${rollback.detail}`;
  return section(
    'rollback',
    'Rollback',
    html`<p>
        ${rollback.automatic ? 'Automatic' : 'Asked for by a person'}, ${formatTime(rollback.startedAt)}:
        ${rollback.reason}
      </p>
      <p>${end}</p> `,
  );
}
