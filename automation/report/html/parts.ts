import type { Colour } from '../../../infra/model.ts';
import type { ReportModel, Risk, StageRow } from '../model/model.ts';
import { fileLink, html, type Content, type Html } from './html.ts';

/** Markup that several sections use. */

export type Tone = 'good' | 'warn' | 'bad' | 'none';
interface Sign {
  tone: Tone;
  sign: string;
  text: string;
}

const signs: Record<StageRow['verdict'] | Risk['status'], Sign> = {
  pass: { tone: 'good', sign: '✓', text: 'Pass' },
  waived: { tone: 'warn', sign: '◇', text: 'Waived' },
  'not-run': { tone: 'none', sign: '○', text: 'Not run' },
  running: { tone: 'warn', sign: '▸', text: 'Running' },
  inconclusive: { tone: 'warn', sign: '?', text: 'Inconclusive' },
  error: { tone: 'bad', sign: '!', text: 'Error' },
  fail: { tone: 'bad', sign: '✕', text: 'Fail' },
  held: { tone: 'good', sign: '✓', text: 'Held' },
  open: { tone: 'warn', sign: '?', text: 'Open' },
  occurred: { tone: 'bad', sign: '✕', text: 'Occurred' },
};

export const headline: Record<ReportModel['verdict'], { tone: Tone; text: string }> = {
  go: { tone: 'good', text: '✓ Go: released' },
  'no-go': { tone: 'bad', text: '✕ No-go: not released' },
  'rolled-back': { tone: 'bad', text: '↩ Rolled back' },
  failed: { tone: 'bad', text: '! Failed' },
  aborted: { tone: 'warn', text: '■ Aborted' },
  'in-progress': { tone: 'warn', text: '▸ Not finished' },
};

/** A table cell with a verdict: sign, word and colour. `word` replaces the default word. */
export function stateCell(state: StageRow['verdict'] | Risk['status'], word?: string): Html {
  const { tone, sign, text } = signs[state];
  return html`<td class="state tone-${tone}" data-sign="${sign}">${word ?? text}</td>`;
}

export const toneOf = (state: StageRow['verdict']): Tone => signs[state].tone;

export const colourName = (colour: Colour): Html => html`<span class="colour ${colour}">${colour}</span>`;

export function section(id: string, title: string, ...content: Content[]): Html {
  return html`<section id="${id}" aria-labelledby="${id}-title">
    <h2 id="${id}-title">${title}</h2>
    ${content}
  </section> `;
}

interface Column {
  title: string;
  number?: boolean;
}

/** A table that scrolls sideways (also by keyboard), or with `stack` becomes blocks on a narrow screen. */
export function table(caption: string, columns: readonly Column[], rows: Content, stack = false): Html {
  const head = columns.map((c) => html`<th scope="col" ${c.number && html` class="number"`}>${c.title}</th>`);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table${stack && html` class="stack"`}>
<caption>${caption}</caption>
<thead><tr>${head}</tr></thead>
${rows}
</table></div>
`;
}

export function links(paths: readonly string[]): Html {
  return html`${paths.map((path, i) => html`${i > 0 && ', '}${fileLink(path)}`)}`;
}
