import type { JournalEntry, Kept, LeftBehind, Loss, TableComparison } from './events.ts';

export type { Kept, LeftBehind, Loss } from './events.ts';

/** What was recorded of a way back. Earlier versions recorded no more than whether it had succeeded. */
export const lossIn = ({ loss }: { loss?: Loss }): Loss =>
  loss ?? { kind: 'not-compared', because: 'an earlier version of Greenlight did not record it' };

/**
 * Judges a way back by the comparison of the database that was left (left) with the one that is live again (right), and by what was
 * kept aside. Without `kept` nothing was.
 */
export function lossOf(compared: readonly TableComparison[], kept?: Kept): Loss {
  if (compared.length === 0) return { kind: 'not-compared', because: 'no table was compared' };
  const left = kept ?? leftBehind(compared);
  const { tables, columns } = left;
  const different = compared.filter(({ equal, only }) => !equal && only === undefined).map(({ table }) => table);
  const aside = kept === undefined ? {} : { kept: true as const, unfit: kept.unfit };
  if (different.length > 0) return { kind: 'differs', different, tables, columns, ...aside };
  if (tables.length + columns.length > 0)
    return { kind: kept === undefined ? 'left-behind' : 'kept-aside', tables, columns };
  return { kind: 'none', because: 'compared' };
}

function leftBehind(compared: readonly TableComparison[]): LeftBehind {
  const tables = compared
    .filter(({ only, rows }) => only === 'left' && rows.left > 0)
    .map(({ table, rows }) => ({ table, rows: rows.left }));
  const columns = compared.flatMap(({ table, leftColumns = [], rows }) =>
    leftColumns.length === 0 || rows.left === 0 ? [] : [{ table, columns: leftColumns, rows: rows.left }],
  );
  return { tables, columns };
}

/** Whether nothing was lost; undefined where nobody knows. */
export function lossless(loss: Loss): boolean | undefined {
  switch (loss.kind) {
    case 'none':
    case 'kept-aside':
      return true;
    case 'left-behind':
    case 'differs':
    case 'accepted':
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
    case 'kept-aside':
      return 'data of the new version alone kept aside';
    case 'differs':
      return 'with loss: contents differ';
    case 'accepted':
      return 'with loss, as accepted';
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
    case 'kept-aside':
      return `all that both versions know is equal; ${keptWords(loss)}`;
    case 'differs': {
      const unfit = (loss.unfit ?? []).map(({ table, rows }) => `${count(rows)} of ${table}`);
      const aside = unfit.length === 0 ? '' : `; the old schema cannot hold ${unfit.join(', ')}, kept aside`;
      const some = loss.tables.length + loss.columns.length > 0;
      const left = !some ? '' : loss.kept ? `; ${keptWords(loss)}` : `; left behind: ${describeLeft(loss)}`;
      return `WITH LOSS: the contents differ in ${loss.different.join(', ')}${aside}${left}`;
    }
    case 'accepted': {
      const { lost, because } = loss;
      if (lost === undefined) return `WITH LOSS, how much is unknown: ${because}`;
      return lost.length === 0
        ? `no row differs, although the replication is broken: ${because}`
        : `WITH LOSS of ${lost.join('; ')} (${because})`;
    }
    case 'not-compared':
      return `not compared: ${loss.because}`;
  }
}

/** For users: a sentence's end, without the names of the schema. */
export function lossForUsers(loss: Loss): string {
  const left = 'what was entered in parts that are new in it is not there now';
  const kept = 'what was entered in parts that are new in it is kept, and comes back with them';
  switch (loss.kind) {
    case 'none':
      return 'nothing was lost';
    case 'left-behind':
      return `all that the version before knows is there; ${left}`;
    case 'kept-aside':
      return `all that the version before knows is there; ${kept}`;
    case 'differs':
      return `some of what was entered meanwhile may be missing${loss.tables.length + loss.columns.length === 0 ? '' : `, and ${loss.kept ? kept : left}`}`;
    case 'accepted':
      return 'some of what was entered meanwhile is missing';
    case 'not-compared':
      return 'whether all that was entered meanwhile is there was not checked';
  }
}

const count = (n: number): string => `${n} ${n === 1 ? 'row' : 'rows'}`;

/** What is kept, as a sentence's end. */
export const keptWords = (kept: LeftBehind): string =>
  `kept aside, and brought back when the version is tried again: ${describeLeft(kept)}`;

/** `table public.streaks (12 rows), column public.progress.points (of 34 rows)`. */
export function describeLeft({ tables, columns }: LeftBehind): string {
  return [
    ...tables.map(({ table, rows }) => `table ${table} (${count(rows)})`),
    ...columns.map(({ table, columns: names, rows }) => `${columnsOf(table, names)} (of ${count(rows)})`),
  ].join(', ');
}

export const columnsOf = (table: string, names: readonly string[]): string =>
  `${names.length === 1 ? 'column' : 'columns'} ${names.map((name) => `${table}.${name}`).join(', ')}`;

/**
 * The newest release whose rollback has left writes in the database of `colour`, and nobody has discarded them since; undefined where
 * there is none. `past`: newest first.
 */
export function unsalvaged(
  past: readonly { id: string; entries: readonly JournalEntry[]; started: { to: { colour: string } } }[],
  colour: string,
): string | undefined {
  for (const { id, entries, started } of past) {
    if (entries.some(({ type }) => type === 'loss.discarded')) return undefined;
    const accepted = entries.some((entry) => entry.type === 'rollback.done' && entry.loss?.kind === 'accepted');
    if (accepted) return started.to.colour === colour ? id : undefined;
  }
  return undefined;
}
