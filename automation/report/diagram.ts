import { colours, type Colour } from '../../infra/model.ts';
import { html, type Html } from './html/html.ts';
import type { Frame } from './model.ts';

/** One state of the traffic: the entry point above, the colours below, lines as thick as the share of reads. */
export function renderFrame(frame: Frame, id: string): Html {
  const parts = colours.map((colour, i) => branch(frame, colour, i === 0 ? 62 : 198));
  return html`<svg viewBox="0 0 260 172" role="img" aria-labelledby="${id}">
    <title id="${id}">${describeFrame(frame)}</title>
    <g font-size="12" text-anchor="middle" fill="var(--ink)">
      <rect x="70" y="4" width="120" height="30" rx="4" fill="var(--panel)" stroke="var(--soft)" />
      <text x="130" y="23">entry point</text>
      ${parts}
    </g>
  </svg>`;
}

/** The picture in words, for those who do not see it. */
export function describeFrame(frame: Frame): string {
  const parts = colours.map((colour) => {
    const { version, readsPercent, writes } = frame.colours[colour];
    if (version === null) return `${colour}: not used`;
    const share =
      readsPercent === 0 && !writes ? 'no traffic' : `${readsPercent} % of reads${writes ? ' and all writes' : ''}`;
    return `${colour} (${version}): ${share}`;
  });
  return `${frame.title}. ${parts.join('; ')}.${frame.holding ? ' Writes wait at the entry point.' : ''}`;
}

function branch(frame: Frame, colour: Colour, x: number): Html {
  const { version, readsPercent, writes } = frame.colours[colour];
  const used = version !== null;
  const share =
    readsPercent > 0 &&
    html`<path
      d="M130 34 C130 66 ${x - 9} 56 ${x - 9} 92"
      fill="none"
      stroke="var(--${colour})"
      stroke-width="${1 + readsPercent / 14}"
    />`;
  // While writes are held, their line stops at a bar.
  const write =
    writes &&
    (frame.holding
      ? html`<path
            d="M136 34 C136 48 ${(136 + x) / 2 + 12} 54 ${(136 + x) / 2 + 12} 60"
            fill="none"
            stroke="var(--ink)"
            stroke-width="1.5"
            stroke-dasharray="4 3"
          /><path d="M${(136 + x) / 2} 62 h24" stroke="var(--ink)" stroke-width="3" />`
      : html`<path
          d="M136 34 C136 66 ${x + 14} 56 ${x + 14} 92"
          fill="none"
          stroke="var(--ink)"
          stroke-width="1.5"
          stroke-dasharray="4 3"
        />`);
  return html`${share}${write}
    <rect
      x="${x - 56}"
      y="92"
      width="112"
      height="46"
      rx="4"
      fill="${used ? `var(--${colour}-tint)` : 'none'}"
      stroke="var(--${used ? colour : 'line'})"
      ${!used && html` stroke-dasharray="4 3"`}
    />
    <text x="${x}" y="111" font-weight="600" fill="var(--${used ? colour : 'soft'})">${colour}</text>
    <text x="${x}" y="128" fill="var(--${used ? 'ink' : 'soft'})">${version ?? 'not used'}</text>
    <text x="${x}" y="157">${used && `${readsPercent} % reads${writes ? ', writes' : ''}`}</text> `;
}
