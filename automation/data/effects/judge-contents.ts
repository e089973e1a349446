import { breaksReplication, changesRows, type Finding } from '../migrations/findings.ts';
import { isAnew, type TableContent } from './content.ts';
import type { Effect } from './effect.ts';
import type { Look } from './look.ts';

const keepInStep =
  'fill only columns that are new in this version, and let a trigger that is enabled ALWAYS fill them in rows that arrive later; what the application adds of its own, let it add after the cutover';

/**
 * Tables of the live side whose rows are others. `firing`: tables with a trigger of this version that fills replicated rows, so that
 * columns of this version may be filled. Pure.
 */
export function judgeContents(before: Look, after: Look, firing: ReadonlySet<string>): Effect[] {
  return [...before.tables].flatMap(([table, { id, sql, columns }]): Effect[] => {
    const [then, now] = [before.contents.get(sql), after.contents.get(sql)];
    const other = after.tables.get(table);
    if (other?.id !== id || then === undefined || now === undefined) return [];
    const ids = new Map(columns.map((column) => [column.plain, column.id]));
    const isSame = other.columns.filter((column) => ids.get(column.plain) === column.id).map(({ plain }) => plain);
    const kept = { ...then, columns: then.columns.filter(({ name }) => isSame.includes(name)) };
    if (now.rows === 0 && then.rows > 0 && isAnew(then, now)) return [{ object: table, ...emptied(table, then.rows) }];
    const what = changeOf(table, kept, now, firing.has(table));
    return what === undefined ? [] : [{ object: table, ...changesRows(what, keepInStep) }];
  });
}

const emptied = (table: string, rows: number): Finding =>
  breaksReplication(
    `TRUNCATE empties ${table} of its ${rowsOf(rows)}, to which rows of the live side are replicated: both differ from then on`,
    'leave the rows, or empty it in the contract step',
  );

function changeOf(table: string, then: TableContent, now: TableContent, fires: boolean): string | undefined {
  const anew = isAnew(then, now);
  const others = changedColumns(then, now);
  if (then.rows !== now.rows || others.length > 0) {
    const columns = others.length === 0 || then.rows !== now.rows ? '' : ` (${others.join(', ')})`;
    return `${countsOf(table, then, now, anew)}${columns}: the live side has this table, and changes it, too`;
  }
  const isNew = ({ name }: { name: string }): boolean => !then.columns.some((column) => column.name === name);
  const filled = now.columns.filter(isNew).map(({ name }) => name);
  // A table that was written anew has only rows that were written: whether an UPDATE was among it, they do not tell.
  if (anew || now.written === 0 || filled.length === 0 || fires) return undefined;
  return `new columns of ${table} (${filled.join(', ')}) are filled in ${rowsOf(now.written)}, and rows that the live side adds or changes afterwards are not`;
}

/** Columns of both sides and of one type with other values. With another key nothing can be compared. */
function changedColumns(then: TableContent, now: TableContent): string[] {
  if (then.key.join() !== now.key.join()) return [];
  return then.columns.flatMap(({ name, type, sum }) => {
    const other = now.columns.find((column) => column.name === name && column.type === type);
    return other === undefined || other.sum === sum ? [] : [name];
  });
}

function countsOf(table: string, then: TableContent, now: TableContent, anew: boolean): string {
  if (anew) return `rows of ${table} are others (${then.rows} before, ${now.rows} after)`;
  const gone = then.rows - (now.rows - now.written);
  return `${rowsOf(now.written)} of ${table} ${now.written === 1 ? 'is' : 'are'} new or changed, and ${rowsOf(gone)} of before ${gone === 1 ? 'is' : 'are'} changed or gone`;
}

const rowsOf = (count: number): string => `${count} ${count === 1 ? 'row' : 'rows'}`;
