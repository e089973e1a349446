import stringWidth from 'string-width';
import { pad, type Paint, type Tone } from './text.ts';

export interface Cell {
  text: string;
  tone?: Tone;
}

/**
 * Not by cli-table3: without borders it takes more settings than this has lines, and it leaves spaces at the ends of
 * lines.
 */
export function columns(rows: readonly Cell[][], paint: Paint): string[] {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => stringWidth(row[i]!.text))));
  return rows.map((row) =>
    row
      .map((cell, i) => paint(cell.tone ?? 'plain', pad(cell.text, widths[i]!)))
      .join('  ')
      .trimEnd(),
  );
}
