import type pg from 'pg';
import type { StructureComparison, TableComparison } from '../../journal/events.ts';
import { changedSince, markCatalog } from '../objects/changes.ts';
import { compareTables, type CompareOptions, type RowsCompared, type Scope } from './compare.ts';
import { differences, lookAlike, type Names, namesOf, plural, someHashes } from './differences.ts';
import { together } from './in-parallel.ts';
import { largeObjects, objects, pages } from './large-objects.ts';
import { bucketsFor, estimatedRows, nothing, sameSum, sumOf, sumsOf, type Sum } from './multiset.ts';
import { Unreadable, type Source } from './reading.ts';
import { openSnapshot, Snapshot } from './snapshot.ts';
import { mergeRows, type Looks } from './sorted-rows.ts';
import { compareStructures, readStructure, type Structure } from './structure.ts';
import { writtenMeanwhile } from './written.ts';

/** Snapshots of a database that goes on changing, and of its copy. All must be open (`openSnapshot`). */
export interface Snapshots {
  /** The live database before and after the moment of `copy`. */
  before: pg.Client;
  after: pg.Client;
  copy: pg.Client;
  /** A copy that follows the live database, once it has caught up with `after`. */
  later?: pg.Client;
}

/** The live database at one moment. */
export interface Moment {
  /** Its rows: a session with an open snapshot. */
  session: pg.Client;
  structure: Structure;
}

/** Takes down the moment, in a session as admin without an open transaction. The session belongs to the moment from then on. */
export async function openMoment(session: pg.Client): Promise<Moment> {
  const structure = await readStructure(session);
  await openSnapshot(session);
  return { session, structure };
}

export interface RestoredComparison {
  /** The live database (left) and its copy (right). */
  tables: TableComparison[];
  structure: StructureComparison;
}

/**
 * Compares a restored backup with its original, exactly, although the original goes on changing. `before` and `after` are
 * moments of the original from just before and just after the backup. A table that did not change meanwhile must be equal.
 * Of a table that did, the backup must have every row that nobody touched between the moments. Materialised views, large objects and
 * the tables of extensions are compared, too. `restored` is a session as admin without an open transaction.
 */
export async function compareRestored(before: Moment, after: Moment, restored: pg.Client): Promise<RestoredComparison> {
  const copy = await readStructure(restored);
  const changed = async (): Promise<boolean> => changedSince(after.session, await markCatalog(before.session));
  const structure = await compareStructures([before.structure, after.structure], copy, changed);
  await openSnapshot(restored);
  try {
    // Tables and columns that came meanwhile are not in the copy. Those that should be are in the catalog.
    const names = { left: 'the live database', right: 'its copy' };
    const snapshots = { before: before.session, after: after.session, copy: restored };
    const tables = await compareSnapshots(snapshots, { columns: 'common', names, everything: true });
    const large = await compareRestoredObjects(snapshots, names).catch((error: unknown) => {
      // Only a superuser may read their content.
      if (!(error instanceof Unreadable)) throw error;
      structure.unknown.push(error.message);
      return undefined;
    });
    return { tables: large === undefined ? tables : [...tables, large], structure };
  } finally {
    await restored.query('ROLLBACK').catch(() => undefined);
  }
}

/** Compares the large objects as rows of the catalog's tables that hold them. Undefined if there are none. */
async function compareRestoredObjects(
  snapshots: Record<'before' | 'after' | 'copy', pg.Client>,
  names: Names,
): Promise<TableComparison | undefined> {
  const [before, after, copy] = [snapshots.before, snapshots.after, snapshots.copy].map((look) =>
    Snapshot.of(look),
  ) as [Snapshot, Snapshot, Snapshot];
  const compare = (source: typeof objects): Promise<RowsCompared> =>
    compareRows([source(before), source(after)], [source(copy)], names);
  const listed = await compare(objects);
  if (listed.equal && listed.rows.left === 0 && listed.rows.right === 0 && listed.detail === undefined)
    return undefined;
  const content = await compare(pages);
  return { ...(listed.equal ? { ...content, rows: listed.rows } : listed), table: largeObjects };
}

/**
 * Compares the rows, as `compareRestored` does. With `later` also in the other direction: the live database must have every row that nobody touched
 * between the two looks at the copy.
 */
export function compareSnapshots(
  { before, after, copy, later }: Snapshots,
  options: CompareOptions & { names: Names } & Pick<Scope, 'wanted' | 'everything'>,
): Promise<TableComparison[]> {
  const [first, second, theirs] = [before, after, copy].map((look) => Snapshot.of(look)) as [
    Snapshot,
    Snapshot,
    Snapshot,
  ];
  const last = later === undefined ? undefined : Snapshot.of(later);
  return compareTables(second, theirs, options, async (mine, other) => {
    const unlogged = last === undefined ? mine.table.unlogged : undefined;
    if (unlogged === 'all') return rowsOfUnlogged;
    const only = unlogged === 'some' ? { logged: true as const } : {};
    const live = (snapshot: Snapshot): Source => ({ ...mine, ...only, snapshot });
    const copied = { ...other, ...only };
    const looks: Looks = last === undefined ? [copied] : [copied, { ...copied, snapshot: last }];
    const found = await compareRows([live(first), live(second)], looks, options.names);
    return unlogged === 'some' && found.equal ? { ...found, detail: found.detail ?? someUnlogged } : found;
  });
}

const someUnlogged = 'without unlogged partitions: a backup has none of their rows';
/** What PostgreSQL does not write to its log is in no backup, and is emptied by every recovery. */
const rowsOfUnlogged: RowsCompared = {
  rows: { left: 0, right: 0 },
  equal: true,
  detail: 'unlogged: a backup has none of its rows',
};

const untouched = (one: Sum = nothing, other: Sum = nothing): boolean =>
  sameSum(one, other) && one.written === other.written;

/**
 * If the copy has the same sum as `after`, nothing else is read. Otherwise compares the sums of buckets, and reads the rows of
 * those that differ or were written to.
 */
async function compareRows([before, after]: [Source, Source], looks: Looks, names: Names): Promise<RowsCompared> {
  const [copy, later] = looks;
  const [mine, theirs] = await together([sumOf(after), sumOf(copy)]);
  const rows = { left: mine.rows, right: theirs.rows };
  if (sameSum(mine, theirs)) return { rows, equal: true };

  const buckets = bucketsFor(await estimatedRows(after));
  const [old, now, there] = await together([
    sumsOf(before, buckets, true),
    sumsOf(after, buckets, true),
    sumsOf(copy, buckets, false),
  ]);
  const all = Array.from({ length: buckets }, (_, bucket) => bucket);
  const changed = new Set(all.filter((b) => !untouched(old.get(b), now.get(b))));
  const opened = all.filter((b) => changed.has(b) || !sameSum(now.get(b), there.get(b)));
  const looked = new Set(opened);
  const closed = all.reduce((sum, b) => sum + (looked.has(b) ? 0 : (now.get(b)?.rows ?? 0)), 0);
  const found = await judge([before, after], looks, { buckets, opened, closed }, names);
  if (later !== undefined || changed.size > 0) return found;
  // The live side looks unchanged. But rows that only the copy has may have been written and deleted in between.
  if (found.equal && (await writtenMeanwhile(before, after))) return found;
  return { rows, equal: false, detail: await differences(after, copy, names) };
}

/** Compares the rows themselves. `closed` is the number of rows in the buckets that need no look. */
async function judge(
  live: [Source, Source],
  looks: Looks,
  { closed, ...which }: { buckets: number; opened: number[]; closed: number },
  names: Names,
): Promise<RowsCompared> {
  const [missing, extra] = [someHashes(), someHashes()];
  let stayed = closed;
  await mergeRows([live, looks], which, (hash, mine, theirs) => {
    stayed += mine.stayed;
    missing.add(hash, mine.stayed - theirs.first);
    // With one look at the copy, an extra row proves nothing: it may have been written after `before` and deleted before `after`.
    if (looks.length > 1) extra.add(hash, theirs.stayed - mine.second);
  });
  // Both counts cover the comparable rows only. Rows written meanwhile may be in either state.
  const rows = { left: stayed, right: stayed - missing.count };
  const parts: string[] = [];
  if (missing.count > 0) {
    const which = await namesOf(live[1], missing.hashes);
    parts.push(`${missing.count} of ${stayed} rows that did not change meanwhile are missing or different${which}`);
  }
  if (extra.count > 0) {
    const which = await namesOf(looks[0], extra.hashes);
    const why = lookAlike(live[1].table, missing, extra);
    parts.push(
      `${plural(extra.count)} that did not change meanwhile ${extra.count === 1 ? 'is' : 'are'} not on ${names.left}${which}${why}`,
    );
  }
  const good = `written to meanwhile: all ${stayed} rows that did not change are there`;
  return { rows, equal: parts.length === 0, detail: parts.length === 0 ? good : parts.join(', ') };
}
