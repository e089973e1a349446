import type { LeftBehind, Loss, TableComparison } from './events.ts';

export type { LeftBehind, Loss } from './events.ts';

/** What was recorded of a way back. Earlier versions recorded no more than whether it had succeeded. */
export const lossIn = ({ loss }: { loss?: Loss }): Loss =>
  loss ?? { kind: 'not-compared', because: 'an earlier version of Greenlight did not record it' };

/** Judges a way back by the comparison of the database that was left (left) with the one that is live again (right). */
export function lossOf(compared: readonly TableComparison[]): Loss {
  if (compared.length === 0) return { kind: 'not-compared', because: 'no table was compared' };
  const tables = compared
    .filter(({ only, rows }) => only === 'left' && rows.left > 0)
    .map(({ table, rows }) => ({ table, rows: rows.left }));
  const columns = compared.flatMap(({ table, leftColumns = [], rows }) =>
    leftColumns.length === 0 || rows.left === 0 ? [] : [{ table, columns: leftColumns, rows: rows.left }],
  );
  const different = compared.filter(({ equal, only }) => !equal && only === undefined).map(({ table }) => table);
  if (different.length > 0) return { kind: 'differs', different, tables, columns };
  if (tables.length + columns.length > 0) return { kind: 'left-behind', tables, columns };
  return { kind: 'none', because: 'compared' };
}

/** Whether nothing was lost; undefined where nobody knows. */
export function lossless(loss: Loss): boolean | undefined {
  switch (loss.kind) {
    case 'none':
      return true;
    case 'left-behind':
    case 'differs':
      return false;
    case 'not-compared':
      return undefined;
  }
}

/** In a few words, for the end of a line. */
export function shortLoss(loss: Loss): string {
  switch (loss.kind) {
    case 'none':
      return 'nothing lost';
    case 'left-behind':
      return 'data of the new version alone left behind';
    case 'differs':
      return 'with loss: contents differ';
    case 'not-compared':
      return 'not compared';
  }
}

/** In whole, for operators. */
export function describeLoss(loss: Loss): string {
  switch (loss.kind) {
    case 'none':
      return loss.because === 'compared'
        ? 'nothing lost: every row and column is equal'
        : 'nothing lost: no write had moved';
    case 'left-behind':
      return `all that both versions know is equal; left behind: ${describeLeft(loss)}`;
    case 'differs': {
      const left = loss.tables.length + loss.columns.length === 0 ? '' : `; left behind: ${describeLeft(loss)}`;
      return `WITH LOSS: the contents differ in ${loss.different.join(', ')}${left}`;
    }
    case 'not-compared':
      return `not compared: ${loss.because}`;
  }
}

/** For users: a sentence's end, without the names of the schema. */
export function lossForUsers(loss: Loss): string {
  const left = 'what was entered in parts that are new in it is not there now';
  switch (loss.kind) {
    case 'none':
      return 'nothing was lost';
    case 'left-behind':
      return `all that the version before knows is there; ${left}`;
    case 'differs':
      return `some of what was entered meanwhile may be missing${loss.tables.length + loss.columns.length === 0 ? '' : `, and ${left}`}`;
    case 'not-compared':
      return 'whether all that was entered meanwhile is there was not checked';
  }
}

/** `table public.streaks (12 rows), column public.progress.points (of 34 rows)`. */
export function describeLeft({ tables, columns }: LeftBehind): string {
  const count = (n: number) => `${n} ${n === 1 ? 'row' : 'rows'}`;
  return [
    ...tables.map(({ table, rows }) => `table ${table} (${count(rows)})`),
    ...columns.map(({ table, columns: names, rows }) => `${columnsOf(table, names)} (of ${count(rows)})`),
  ].join(', ');
}

export const columnsOf = (table: string, names: readonly string[]): string =>
  `${names.length === 1 ? 'column' : 'columns'} ${names.map((name) => `${table}.${name}`).join(', ')}`;
