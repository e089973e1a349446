import { formatClock, formatDuration, formatTime } from '../../journal/format.ts';
import type { ReportModel } from '../model/model.ts';
import { html, type Html } from './html.ts';
import { section, table } from './parts.ts';

/** Everything planned that was not run, and so is not proven. */
export function renderNotRun({ stages, gates, checklist, unfinished }: ReportModel): Html {
  const lines = [
    ...stages.filter((s) => s.verdict === 'not-run').map((s) => html`<li>Stage: ${s.title}</li>`),
    ...gates
      .filter((g) => g.verdict === 'not-run')
      .map(
        (g) =>
          html`<li>
            Gate: ${g.title} <span class="soft">${g.stage}</span>${g.at !== null && html`: ${g.measured}`}
          </li>`,
      ),
    ...checklist.filter((c) => c.verdict === 'not-run').map((c) => html`<li>Requirement: ${c.title}</li>`),
    ...unfinished.map((a) => html`<li>Started, without an end in the journal: ${a.what}</li>`),
  ];
  return section(
    'not-run',
    'What was not run',
    lines.length > 0
      ? html`<ul>
          ${lines}
        </ul>`
      : html`<p>Everything that was planned was run.</p>`,
  );
}

/** Versions, sources, stacks, notes and settings of the release. */
export function renderProvenance(model: ReportModel): Html {
  const { source, artefacts, stacks, announcements, alerts, notes, settings, journal } = model;
  const facts: [string, Html | string][] = [
    ['Release', html`<code>${model.release}</code>`],
    [
      'Source',
      html`<code>${source.commit}</code> on
        <code>${source.branch}</code>${source.dirty && ', with changes that are not committed'}`,
    ],
    ...artefacts.map((a): [string, Html] => [`Artefact ${a.version}`, html`<code>${a.digest}</code>`]),
    ...(model.peakMemoryMb === null
      ? []
      : [['Peak memory', `${Math.round(model.peakMemoryMb)} MB`] as [string, string]]),
    ['Journal', `${journal.entries} entries, ${journal.damage === null ? 'chain intact' : 'damaged'}`],
  ];
  const stackRows = stacks.map(
    (s) =>
      html`<tr>
        <th scope="row"><code>${s.stack}</code></th>
        <td data-label="Changes">${changes(s.changes)}</td>
        <td class="number" data-label="Took">${formatDuration(s.ms)}</td>
      </tr> `,
  );
  return section(
    'provenance',
    'Versions and sources',
    html`<div class="scroll">
      <table class="stack">
        <caption>
          What this report was made from
        </caption>
        <tbody>
          ${facts.map(
            ([name, value]) =>
              html`<tr>
                <th scope="row">${name}</th>
                <td>${value}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>`,
    stacks.length > 0 &&
      table(
        'Stacks applied by the engine',
        [{ title: 'Stack' }, { title: 'Changes' }, { title: 'Took', number: true }],
        html`<tbody>
          ${stackRows}
        </tbody>`,
        true,
      ),
    alerts.length > 0 &&
      html`<h3>Alerts delivered</h3>
        <ul>
          ${alerts.map((a) => html`<li>${a.alert} to ${a.receiver} in ${formatDuration(a.ms)}</li>`)}
        </ul>`,
    announcements.length > 0 &&
      html`<h3>Announcements</h3>
        <ul>
          ${announcements.map((a) => html`<li>${formatTime(a.at)} to ${a.to}${!a.ok && html` <b class="tone-bad">(not delivered)</b>`}: ${a.text}</li>`)}
        </ul>`,
    notes.length > 0 &&
      html`<h3>Notes</h3>
        <ul>
          ${notes.map((n) => html`<li>${formatClock(n.at)} ${n.level === 'warning' && html`<b class="tone-warn">Warning:</b> `}${n.text}</li>`)}
        </ul>`,
    Object.keys(settings).length > 0 &&
      html`<h3>Settings of this release</h3>
        <div class="scroll">
          <table class="stack">
            <caption>
              From the release definition
            </caption>
            <tbody>
              ${Object.entries(settings).map(
                ([key, value]) =>
                  html`<tr>
                    <th scope="row"><code>${key}</code></th>
                    <td><code>${typeof value === 'string' ? value : JSON.stringify(value)}</code></td>
                  </tr>`,
              )}
            </tbody>
          </table>
        </div>`,
  );
}

function changes(counts: Record<string, number>): string {
  const told = Object.entries(counts).filter(([, n]) => n > 0);
  return told.length === 0 ? 'none' : told.map(([kind, n]) => `${n} ${kind}`).join(', ');
}
