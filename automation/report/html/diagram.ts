import { colours, type Colour } from '../../../infra/model.ts';
import { html, type Html } from './html.ts';
import type { Frame } from '../model/model.ts';

/** Draws one state of the traffic: entry point above, colours below. The width of a line is the share of reads. */
export function renderFrame(frame: Frame, id: string): Html {
  return html`<svg viewBox="0 0 260 164" role="img" aria-labelledby="${id}">
    <title id="${id}">${describeFrame(frame)}</title>
    <g font-size="12" text-anchor="middle" fill="var(--ink)">
      <rect x="70" y="4" width="120" height="30" rx="4" fill="var(--panel)" stroke="var(--soft)" />
      <text x="130" y="23">entry point</text>
      ${branch(frame, 'blue', 62)}${branch(frame, 'green', 198)}
    </g>
  </svg>`;
}

/** The diagram as text, for screen readers. */
export function describeFrame(frame: Frame): string {
  const parts = colours.map((colour) => {
    const { version, readsPercent, writes } = frame.colours[colour];
    if (version === null) return `${colour}: not used`;
    if (readsPercent === 0 && !writes) return `${colour} (${version}): no traffic`;
    return `${colour} (${version}): ${readsPercent} % of reads${writes ? ' and all writes' : ''}`;
  });
  return `${frame.title}. ${parts.join('; ')}.${frame.refusing ? ' Writes are answered 503 at the entry point.' : frame.holding ? ' Writes wait at the entry point.' : ''}`;
}

function branch(frame: Frame, colour: Colour, x: number): Html {
  const { version, readsPercent, writes } = frame.colours[colour];
  const used = version !== null;
  const side = colour === 'blue' ? -1 : 1;
  const reads = 130 + side * 8;
  const [top, bottom] = [130 + side * 38, x + side * 30];
  const width = (1 + readsPercent / 14).toFixed(1);
  const share =
    readsPercent > 0 &&
    html`<path
      d="M${reads} 34 C${reads} 66 ${x} 56 ${x} 92"
      fill="none"
      stroke="var(--${colour})"
      stroke-width="${width}"
    />`;
  // While writes are held, their line ends at a bar below the entry point.
  const held = html`<path d="M${top} 34 V42" class="writes" />
    <path d="M${top - 12} 43 h24" stroke="var(--ink)" stroke-width="3" />
    <text x="${top + side * 32}" y="47">${frame.refusing ? '503' : 'held'}</text>`;
  const flowing = html`<path d="M${top} 34 C${top} 66 ${bottom} 56 ${bottom} 92" class="writes" />`;
  const [fill, edge] = used ? [`var(--${colour}-tint)`, colour] : ['none', 'line'];
  return html`${share}${writes && (frame.holding ? held : flowing)}
    <rect x="${x - 56}" y="92" width="112" height="46" rx="4" fill="${fill}" stroke="var(--${edge})" />
    <text x="${x}" y="111" font-weight="600" fill="var(--${used ? colour : 'soft'})">${colour}</text>
    <text x="${x}" y="128" fill="var(--${used ? 'ink' : 'soft'})">${version ?? 'not used'}</text>
    <text x="${x}" y="157">${used && `${readsPercent} % reads${writes ? ', writes' : ''}`}</text>`;
}
