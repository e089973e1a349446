import type { TableComparison } from '../../journal/events.ts';
import { row } from '../connect.ts';
import { differences, type Names } from './differences.ts';
import { together } from './in-parallel.ts';
import { sameSum, sumOf } from './multiset.ts';
import type { Source } from './reading.ts';
import { rowHash } from './row-hash.ts';
import type { Snapshot } from './snapshot.ts';

/** Stands for a table's name in a comparison. */
export const largeObjects = 'large objects';

/** Why the large objects of a copy can differ. */
const notReplicated = ({ left, right }: Names): string =>
  `written or removed since ${right} was copied from ${left}, and not replicated: keep their content in a bytea column`;

/**
 * Compares the large objects of two databases within open snapshots. No replication carries them: those of a physical copy are
 * as of the copy. Undefined if neither side has any, also because only a superuser may read their content. `name`: names the
 * objects that differ, in place of saying why those of a copy can.
 */
export async function compareLargeObjects(
  left: Snapshot,
  right: Snapshot,
  names: Names,
  { name = false } = {},
): Promise<TableComparison | undefined> {
  const [mine, theirs] = await together([count(left), count(right)]);
  if (mine === 0 && theirs === 0) return undefined;
  const figures = { table: largeObjects, rows: { left: mine, right: theirs } };
  for (const source of [pages, objects]) {
    const [one, other] = await together([sumOf(source(left)), sumOf(source(right))]);
    if (sameSum(one, other)) continue;
    const detail = name ? await differences(source(left), source(right), names) : notReplicated(names);
    return { ...figures, equal: false, detail };
  }
  return { ...figures, equal: true };
}

const count = async (snapshot: Snapshot): Promise<number> => {
  const sql = 'SELECT count(*)::float8 AS n FROM pg_largeobject_metadata';
  return (await snapshot.run((client) => row<{ n: number }>(client, sql))).n;
};

/** A table of PostgreSQL's catalog, as one of the application. */
const catalogTable =
  (name: string, columns: [name: string, builtIn: string][], primaryKey: string[]) =>
  (snapshot: Snapshot): Source => {
    const all = columns.map(([column, builtIn]) => ({ name: column, builtIn, type: builtIn, generated: false }));
    const table = { name, sql: `pg_catalog.${name}`, partitioned: false, columns: all, primaryKey, owner: '' };
    return { snapshot, table, hash: rowHash(all, all) };
  };

/** The pages of the objects. An empty object has none: only the list of all objects has it. */
export const pages = catalogTable(
  'pg_largeobject',
  [
    ['loid', 'oid'],
    ['pageno', 'int4'],
    ['data', 'bytea'],
  ],
  ['loid', 'pageno'],
);
export const objects = catalogTable('pg_largeobject_metadata', [['oid', 'oid']], ['oid']);
