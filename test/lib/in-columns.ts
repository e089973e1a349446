import { columns } from '../../automation/ui/columns.ts';

/** Rows of texts as a plain table, as wide as their cells are. */
export const inColumns = (rows: readonly (readonly string[])[]): string =>
  columns(
    rows.map((cells) => cells.map((text) => ({ text }))),
    (_, text) => text,
  ).join('\n');
