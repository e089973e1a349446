import { formatTime } from '../../journal/format.ts';
import type { ReportModel } from '../model/model.ts';
import { renderCutovers, renderRollback } from './cutover.ts';
import { renderData } from './data.ts';
import { renderChecklist, renderSignatures } from './decision.ts';
import { renderGates } from './gates.ts';
import { html } from './html.ts';
import { headline } from './parts.ts';
import { renderDiagram, renderTimeline } from './process.ts';
import { renderNotRun, renderProvenance } from './provenance.ts';
import { renderRisks } from './risks.ts';
import { style } from './style.ts';
import { renderSummary } from './summary.ts';
import { renderTraffic } from './traffic.ts';

const contents = {
  checklist: 'Checklist',
  signatures: 'Signatures',
  deployment: 'Deployment',
  timeline: 'Timeline',
  traffic: 'Traffic',
  data: 'Data',
  cutover: 'Cutover',
  gates: 'Gates',
  risks: 'Risks',
  rollback: 'Rollback',
  'not-run': 'Not run',
  provenance: 'Versions',
};

/**
 * `report.html`: one file that needs neither network nor scripts. Its Content-Security-Policy forbids both, so that a
 * measured text with markup in it could do nothing.
 */
export function renderHtml(model: ReportModel): string {
  const title = `${headline[model.verdict].text}: ${model.application} ${model.to.version}, ${model.environment}`;
  return `${
    html`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta
            http-equiv="Content-Security-Policy"
            content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
          />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <meta name="referrer" content="no-referrer" />
          <title>${title}</title>
          <style>
            ${style}
          </style>
        </head>
        <body>
          <a class="skip" href="#checklist">Skip to the checklist</a>
          <main class="page">
            ${renderSummary(model)}
            <nav aria-label="Sections">
              <ul>
                ${Object.entries(contents).map(([id, name]) => html`<li><a href="#${id}">${name}</a></li>`)}
              </ul>
            </nav>
            ${renderChecklist(model)} ${renderSignatures(model)} ${renderDiagram(model)} ${renderTimeline(model)}
            ${renderTraffic(model)} ${renderData(model)} ${renderCutovers(model)} ${renderGates(model)}
            ${renderRisks(model)} ${renderRollback(model)} ${renderNotRun(model)} ${renderProvenance(model)}
            <footer class="soft small">
              Made from the release's journal as of ${formatTime(model.endedAt)}, and from nothing else.
            </footer>
          </main>
        </body>
      </html> `.text
  }`;
}
