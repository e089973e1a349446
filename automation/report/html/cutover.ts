import { describeLoss } from '../../journal/loss.ts';
import { formatClock, formatDuration, formatTime } from '../../journal/format.ts';
import type { Cutover, ReportModel } from '../model/model.ts';
import { html, type Html } from './html.ts';
import { colourName, section, table } from './parts.ts';

export function renderCutovers({ cutovers }: ReportModel): Html {
  if (cutovers.length === 0) return section('cutover', 'Cutover', html`<p>The live colour was not changed.</p>`);
  return section('cutover', 'Cutover', cutovers.map(one));
}

/** Titles of the steps of `automation/data/cutover/cutover.ts`. */
const stepTitles: Record<string, string> = {
  prepare: 'Prepare both databases',
  hold: 'Hold new writes',
  drain: 'Drain writes in flight',
  fence: 'Fence the old side read-only',
  replay: 'Wait until the new side has replayed everything',
  'carry-over': 'Set sequences',
  grant: 'Let the new side write',
  flip: 'Flip reads and writes',
  release: 'Release the held writes',
  fenced: 'Check that the old side stays fenced',
  follow: 'End the old replication, start the reverse replication',
  compare: 'Compare both databases',
  undo: 'Undo it, let the held writes go to the old side',
};

/** Those that a read-only window has instead, or in another sense. */
const windowTitles: Record<string, string> = {
  refuse: 'Answer new writes 503',
  compare: 'Compare both databases, row by row',
  end: 'End the replication',
  migrate: 'Run the incompatible migrations',
  start: 'Start the new version',
  check: 'Check the invariants, run the smoke tests',
  release: 'Accept writes again, on the new side',
  undo: 'Undo it, accept writes again on the old side',
};

function one({ direction, steps, holdMs, refusedMs, done, left }: Cutover): Html {
  const titles = refusedMs === undefined ? stepTitles : { ...stepTitles, ...windowTitles };
  const title = direction === 'forward' ? 'Forward' : 'Back';
  const waited =
    refusedMs !== undefined
      ? html`in a read-only window;
        ${refusedMs === null ? 'how long writes were refused was not measured' : html`writes were refused for <b>${formatDuration(refusedMs)}</b>`}`
      : holdMs === null
        ? 'how long writes waited was not measured'
        : html`writes waited for at most <b>${formatDuration(holdMs)}</b>`;
  const inAll =
    done?.totalMs === null
      ? ', as the program was interrupted; it was finished afterwards'
      : done && `; ${formatDuration(done.totalMs)} in all`;
  const outcome = done
    ? html`${title}, from ${colourName(done.from)} to ${colourName(done.to)} at ${formatClock(done.at)} UTC:
      ${waited}${inAll}.`
    : html`${title}: started, not finished; ${waited}.`;
  const rows = steps.map(
    (s) =>
      html`<tr>
        <th scope="row">${titles[s.step] ?? s.step}</th>
        <td class="number" data-label="Took">${formatDuration(s.ms)}</td>
        <td data-label="Detail">${s.detail}</td>
      </tr> `,
  );
  const columns = [{ title: 'Step' }, { title: 'Took', number: true }, { title: 'Detail' }];
  return html`<p>${outcome}</p>
    ${left !== undefined && html`<p>${left}.</p>`}
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
    rollback.ms === null || rollback.loss === null
      ? html`It is not finished.`
      : html`It took ${formatDuration(rollback.ms)}: ${rollback.detail}. Data: ${describeLoss(rollback.loss)}.`;
  return section(
    'rollback',
    'Rollback',
    html`<p>
        ${rollback.automatic ? 'Automatic' : 'Requested by a person'}, ${formatTime(rollback.startedAt)}:
        ${rollback.reason}
      </p>
      <p>${end}</p> `,
  );
}
