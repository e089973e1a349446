import { stripVTControlCharacters, styleText } from 'node:util';
import stringWidth from 'string-width';
import wrapAnsi from 'wrap-ansi';

/** Text for terminals: without control sequences from outside, with colour if wanted, and not wider than the window. */

export type Tone = 'good' | 'warn' | 'bad' | 'soft' | 'title' | 'plain';
export type Paint = (tone: Tone, text: string) => string;
export type Environment = Record<string, string | undefined>;

const formats = { good: 'green', warn: 'yellow', bad: 'red', soft: 'dim', title: 'bold' } as const;

/** In this order: FORCE_COLOR, NO_COLOR (no-color.org), whether stdout is a terminal that is not `dumb`. */
export function wantsColour({ isTTY, env }: { isTTY: boolean; env: Environment }): boolean {
  const force = env['FORCE_COLOR'];
  if (force !== undefined) return force !== '0' && force !== 'false';
  if (env['NO_COLOR']) return false;
  return isTTY && env['TERM'] !== 'dumb';
}

export function painter(colour: boolean): Paint {
  return (tone, text) => {
    if (!colour || tone === 'plain' || text === '') return text;
    return styleText(formats[tone], text, { validateStream: false });
  };
}

/** One line without terminal control sequences: measured texts are not trusted. */
export function oneLine(text: string): string {
  return (
    stripVTControlCharacters(text)
      .replace(/\s+/g, ' ')
      // eslint-disable-next-line no-control-regex -- exactly these are to be replaced
      .replace(/[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, '\ufffd')
      .trim()
  );
}

/** Columns of a terminal; undefined if it is none. A pseudo-terminal whose size was never set says 0: 80 then. */
export const columnsOf = ({ columns }: { columns?: number }): number | undefined => (columns === 0 ? 80 : columns);

/** Cuts `text` to `width` columns, with `…` in place of the rest. */
export function fit(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  if (width < 1) return '';
  const [cut = ''] = wrapAnsi(text, Math.max(1, width - 1), { ...asItIs, wordWrap: false }).split('\n');
  // The first line has at least one character, which may be wider than `width`.
  return stringWidth(cut) < width ? `${cut.trimEnd()}…` : '…';
}

/**
 * Breaks `text` into lines of at most `width` columns, between words if possible. Later lines begin with
 * `hangingIndent`.
 */
export function wrap(text: string, width: number, hangingIndent: string): string[] {
  // At least 2: with one column wrap-ansi could not place a character that is two columns wide.
  const columns = Math.max(2, width);
  const indent = columns < 4 ? '' : hangingIndent.slice(0, Math.floor(columns / 2));
  const [first = '', ...others] = wrapAnsi(text, columns, asItIs).split('\n');
  const rest = wrapAnsi(others.join('').trimStart(), Math.max(2, columns - indent.length), asItIs).split('\n');
  const later = rest.map((line) => line.trim()).filter((line) => line !== '');
  return [first.trimEnd(), ...later.map((line) => indent + line)].filter((line) => line !== '');
}

/** Breaks words that are longer than a line and keeps spaces, so that the lines can be joined again. */
const asItIs = { hard: true, trim: false };

/** Pads to `width` columns, on the left for numbers. */
export function pad(text: string, width: number, side: 'left' | 'right' = 'right'): string {
  const space = ' '.repeat(Math.max(0, width - stringWidth(text)));
  return side === 'right' ? text + space : space + text;
}
