import { stripVTControlCharacters, styleText } from 'node:util';
import stringWidth from 'string-width';

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

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** Columns of a window; undefined where it is no terminal. 0 is a pseudo-terminal whose size nobody has set: taken as 80. */
export const columnsOf = ({ columns }: { columns?: number }): number | undefined => (columns === 0 ? 80 : columns);

/** Cuts `text` to `width` columns; `…` stands for the rest. */
export function fit(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  let cut = '';
  let used = 0;
  for (const { segment } of segmenter.segment(text)) {
    used += stringWidth(segment);
    if (used > width - 1) break;
    cut += segment;
  }
  return width < 1 ? '' : `${cut.trimEnd()}…`;
}

/** Breaks `text` into lines of at most `width` columns, between words where it can; later lines begin with `hangingIndent`. */
export function wrap(text: string, width: number, hangingIndent: string): string[] {
  const indent = hangingIndent.slice(0, Math.floor(width / 2));
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/(?<=\S) /)) {
    const joined = line === '' || line === indent ? line + word : `${line} ${word}`;
    if (stringWidth(joined) <= width) {
      line = joined;
      continue;
    }
    if (line !== '' && line !== indent) lines.push(line);
    line = lines.length === 0 ? word : indent + word.trimStart();
    while (stringWidth(line) > width) {
      const head = takeColumns(line, width);
      lines.push(head);
      const rest = line.slice(head.length);
      line = rest === '' ? '' : indent + rest;
    }
  }
  return line === '' || line === indent ? lines : [...lines, line];
}

/** At least one character, so that a window of no width at all ends as well. */
function takeColumns(text: string, width: number): string {
  let head = '';
  for (const { segment } of segmenter.segment(text)) {
    if (head.trim() !== '' && stringWidth(head + segment) > width) break;
    head += segment;
  }
  return head;
}

/** Pads to `width` columns, on the left for numbers. */
export function pad(text: string, width: number, side: 'left' | 'right' = 'right'): string {
  const space = ' '.repeat(Math.max(0, width - stringWidth(text)));
  return side === 'right' ? text + space : space + text;
}
