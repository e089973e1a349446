import { OperationError } from '../../../infra/lib/errors.ts';
import type { TableComparison } from '../../journal/events.ts';
import { fromTable, tablesOf, type Table } from '../catalog.ts';
import { row, rows } from '../connect.ts';
import { ownRecords } from '../own-records.ts';
import { differences, type Names } from './differences.ts';
import { inParallel, together } from './in-parallel.ts';
import { sameSum, sumOf } from './multiset.ts';
import { reading, Unreadable, type Source } from './reading.ts';
import { rowHash, sharedColumns, type Texts } from './row-hash.ts';
import { Snapshot, type Look } from './snapshot.ts';
import { compareUnreplicated } from './unreplicated.ts';

export { openSnapshot } from './snapshot.ts';

export interface CompareOptions {
  /**
   * `left`: right must have everything that left has, as with a restored backup or an expanded schema. `common`: only what
   * both have is compared, as after going back to an older schema; a table of one side is reported and counts as equal.
   * `both`: neither may have what the other has not.
   */
  columns: 'left' | 'common' | 'both';
  /** Names of the sides in messages; default `left` and `right`. */
  names?: Names;
}

/** What limits a comparison, and whom it tells. */
export interface Scope {
  /** Whether a table (`public.lessons`) is compared; default: all. */
  wanted?: ((table: string) => boolean) | undefined;
  /** Also materialised views, and tables that belong to extensions. */
  everything?: boolean;
  /** Called for a table that a side may not read, in place of rejecting. */
  onUnreadable?: (table: string, side: 'left' | 'right', reason: string) => void;
  onProgress?: (compared: number, tables: number) => void;
}

/**
 * Compares all rows and large objects of two databases, those of extensions included, by checksum, as of the snapshots that both
 * sides have opened (`openSnapshot`).
 */
export async function compareDatabases(left: Look, right: Look, options: CompareOptions): Promise<TableComparison[]> {
  const names = options.names ?? { left: 'left', right: 'right' };
  const sides = [Snapshot.of(left), Snapshot.of(right)] as const;
  const tables = await compareTables(...sides, { ...options, names }, (l, r) => compareRows(l, r, names));
  return [...tables, ...(await compareUnreplicated(...sides, names))];
}

/** The result of comparing the rows of one table. */
export type RowsCompared = Pick<TableComparison, 'rows' | 'equal' | 'detail'>;

/** Compares one table in one pass, and says what differs. */
export async function compareRows(left: Source, right: Source, names: Names): Promise<RowsCompared> {
  const [mine, theirs] = await together([sumOf(left), sumOf(right)]);
  const figures = { rows: { left: mine.rows, right: theirs.rows } };
  if (sameSum(mine, theirs)) return { ...figures, equal: true };
  return { ...figures, equal: false, detail: await differences(left, right, names) };
}

/**
 * Compares two databases table by table, as many at a time as there are sessions. For a table that both have, `compare` compares
 * the rows in the shared columns.
 */
export async function compareTables(
  left: Snapshot,
  right: Snapshot,
  { columns, names, wanted, everything, onUnreadable, onProgress }: CompareOptions & { names: Names } & Scope,
  compare: (left: Source, right: Source) => Promise<RowsCompared>,
): Promise<TableComparison[]> {
  const which = everything === true ? 'everything' : 'own';
  const chosen = async (snapshot: Snapshot): Promise<Table[]> =>
    (await snapshot.run((client) => tablesOf(client, which))).filter(({ name }) => wanted?.(name) ?? true);
  const [noted, other] = await together([left.run(ownRecords), right.run(ownRecords)]);
  // Where one side's migration command has run since, its record is another one.
  const isComparable = ({ name }: Table): boolean => noted.get(name) === other.get(name);
  const [mine, theirs] = (await together([chosen(left), chosen(right)])).map((tables) =>
    tables.filter(isComparable),
  ) as [Table[], Table[]];
  const texts = await textsOf(left, right);
  const ofName = new Map(theirs.map((table) => [table.sql, table]));
  const one = async (table: Table): Promise<TableComparison> => {
    const other = ofName.get(table.sql);
    if (other === undefined) {
      const figures = { rows: { left: await count(left, table), right: 0 }, equal: columns === 'common' };
      return { table: table.name, ...figures, only: 'left', detail: `only on ${names.left}` };
    }
    const unfilled = compareUnfilled(table, other, names);
    if (unfilled !== undefined) return { table: table.name, ...unfilled };
    const found = await compare(source(left, table, other, texts), source(right, other, table, texts));
    const missing = lacking(table, other);
    const unlike = unlikeColumns(table, other, columns, names);
    return {
      table: table.name,
      ...found,
      ...(missing.length === 0 ? {} : { leftColumns: missing }),
      ...(unlike === undefined ? {} : { equal: false, detail: unlike }),
    };
  };
  const onlyRight = async (table: Table): Promise<TableComparison> => {
    const figures = { rows: { left: 0, right: await count(right, table) }, equal: columns !== 'both' };
    return { table: table.name, ...figures, only: 'right', detail: `only on ${names.right}` };
  };
  const known = new Set(mine.map(({ sql }) => sql));
  const work = [
    ...mine.map((table) => ({ table, compare: () => one(table) })),
    ...theirs.filter(({ sql }) => !known.has(sql)).map((table) => ({ table, compare: () => onlyRight(table) })),
  ];
  // One table more than there are sessions: a side that is faster goes on meanwhile.
  const most = Math.max(left.size, right.size);
  let done = 0;
  const found = await inParallel(work, most === 1 ? 1 : most + 1, async ({ table, compare: look }) => {
    const result = await look().catch((error: unknown) => {
      if (!(error instanceof Unreadable) || onUnreadable === undefined) throw error;
      onUnreadable(table.name, error.snapshot === left ? 'left' : 'right', error.reason);
      return undefined;
    });
    onProgress?.((done += 1), work.length);
    return result;
  });
  return found.filter((result) => result !== undefined);
}

const lacking = (table: Table, other: Table): string[] =>
  table.columns.map(({ name }) => name).filter((name) => !other.columns.some((o) => o.name === name));

/** Materialised views of which one or both have no content, as `WITH NO DATA` leaves them. */
function compareUnfilled(table: Table, other: Table, names: Names): RowsCompared | undefined {
  const [mine, theirs] = [table.unfilled === true, other.unfilled === true];
  if (!mine && !theirs) return undefined;
  const rows = { left: 0, right: 0 };
  if (mine && theirs) return { rows, equal: true };
  return { rows, equal: false, detail: `without content on ${mine ? names.left : names.right} alone (WITH NO DATA)` };
}

/** Why equal rows would prove nothing: columns are missing, or no column is shared and only the counts can be equal. */
function unlikeColumns(
  table: Table,
  other: Table,
  wanted: CompareOptions['columns'],
  names: Names,
): string | undefined {
  const missing = lacking(table, other);
  if (wanted !== 'common' && missing.length > 0) return `${names.right} lacks the columns ${missing.join(', ')}`;
  const extra = lacking(other, table);
  if (wanted === 'both' && extra.length > 0) return `${names.left} lacks the columns ${extra.join(', ')}`;
  if (sharedColumns(table.columns, other.columns).length === 0 && table.columns.length > 0)
    return 'no column is on both sides';
  return undefined;
}

/** A table of one side, with its rows hashed in the same way as those of the other side. */
export const source = (look: Look, table: Table, other: Table, texts: Texts = 'bytes'): Source => ({
  snapshot: Snapshot.of(look),
  table,
  hash: rowHash(table.columns, other.columns, texts),
});

/** Least version that has `hash_record_extended`. */
const leastVersion = 140_000;

/** How texts can be compared. Rejects if a server is too old to hash rows. */
async function textsOf(left: Snapshot, right: Snapshot): Promise<Texts> {
  const ask = `SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS name,
    current_setting('server_encoding') AS encoding`;
  const of = (snapshot: Snapshot) =>
    snapshot.run((client) => row<{ version: number; name: string; encoding: string }>(client, ask));
  const [l, r] = await together([of(left), of(right)]);
  const old = [l, r].find(({ version }) => version < leastVersion);
  if (old !== undefined)
    throw new OperationError(
      'comparing rows',
      `a server is PostgreSQL ${old.name}`,
      'compare servers of version 14 or newer',
    );
  return l.encoding === r.encoding ? 'bytes' : 'utf8';
}

async function count(snapshot: Snapshot, table: Table): Promise<number> {
  if (table.unfilled === true) return 0;
  const sql = `SELECT count(*) AS n FROM ${fromTable(table)}`;
  const [found] = await reading({ snapshot, table, hash: '' }, (client) => rows<{ n: string }>(client, sql));
  return Number(found?.n ?? 0);
}
