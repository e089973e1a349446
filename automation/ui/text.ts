import { stripVTControlCharacters, styleText } from 'node:util';
import stringWidth from 'string-width';
import wrapAnsi from 'wrap-ansi';

/** Text for terminals: safe, in colour where wanted, never wider than the window. */

export type Tone = 'good' | 'warn' | 'bad' | 'soft' | 'title' | 'plain';
export type Paint = (tone: Tone, text: string) => string;
export type Environment = Record<string, string | undefined>;

const formats = { good: 'green', warn: 'yellow', bad: 'red', soft: 'dim', title: 'bold' } as const;

/** FORCE_COLOR decides first, then NO_COLOR (no-color.org), then a dumb terminal or none. */
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

/** On one line, without anything that could steer the terminal: measured texts come from anywhere. */
export function oneLine(text: string): string {
  return (
    stripVTControlCharacters(text)
      .replace(/\s+/g, ' ')
      // eslint-disable-next-line no-control-regex -- exactly these are to be replaced
      .replace(/[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, '\ufffd')
      .trim()
  );
}

/** Columns of a window; undefined where it is no terminal. 0 is a pseudo-terminal whose size nobody has set: taken as 80. */
export const columnsOf = ({ columns }: { columns?: number }): number | undefined => (columns === 0 ? 80 : columns);

/** Cuts `text` to `width` columns; `…` stands for the rest. */
export function fit(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  if (width < 1) return '';
  const [cut = ''] = wrapAnsi(text, Math.max(1, width - 1), { ...asItIs, wordWrap: false }).split('\n');
  // The first row holds one character at least, however wide that is.
  return stringWidth(cut) < width ? `${cut.trimEnd()}…` : '…';
}

/** Breaks `text` into lines of at most `width` columns, between words where it can; later lines begin with `hangingIndent`. */
export function wrap(text: string, width: number, hangingIndent: string): string[] {
  // A window of one column cannot show a wide character. Lines of two columns end, and the terminal breaks them.
  const columns = Math.max(2, width);
  const indent = columns < 4 ? '' : hangingIndent.slice(0, Math.floor(columns / 2));
  const [first = '', ...others] = wrapAnsi(text, columns, asItIs).split('\n');
  const rest = wrapAnsi(others.join('').trimStart(), Math.max(2, columns - indent.length), asItIs).split('\n');
  const later = rest.map((line) => line.trim()).filter((line) => line !== '');
  return [first.trimEnd(), ...later.map((line) => indent + line)].filter((line) => line !== '');
}

/** Words longer than a line are broken, and no space is lost: what is broken can be joined again. */
const asItIs = { hard: true, trim: false };

/** Pads to `width` columns, on the left for numbers. */
export function pad(text: string, width: number, side: 'left' | 'right' = 'right'): string {
  const space = ' '.repeat(Math.max(0, width - stringWidth(text)));
  return side === 'right' ? text + space : space + text;
}
