import type pg from 'pg';
import type { TableComparison } from '../../journal/events.ts';
import { row } from '../connect.ts';
import type { Names } from './differences.ts';
import { hashOf } from './multiset.ts';

/** Stands for a table's name in a comparison. */
export const largeObjects = 'large objects';

/**
 * Compares the large objects of two databases within open snapshots. No replication carries them: those of a physical copy are
 * as of the copy. Undefined if neither side has any, also because only a superuser may read their content.
 */
export async function compareLargeObjects(
  left: pg.Client,
  right: pg.Client,
  names: Names,
): Promise<TableComparison | undefined> {
  const counts = await Promise.all([left, right].map(count));
  const [mine = 0, theirs = 0] = counts;
  if (mine === 0 && theirs === 0) return undefined;
  const [one, other] = await Promise.all([left, right].map(sum));
  const equal = mine === theirs && one === other;
  const detail = `written or removed since ${names.right} was copied from ${names.left}, and not replicated: keep their content in a bytea column`;
  return { table: largeObjects, rows: { left: mine, right: theirs }, equal, ...(equal ? {} : { detail }) };
}

const count = async (client: pg.Client): Promise<number> =>
  (await row<{ n: number }>(client, 'SELECT count(*)::float8 AS n FROM pg_largeobject_metadata')).n;

/** As tables are compared (`multiset.ts`): the exact sum of a hash of each page. */
const sum = async (client: pg.Client): Promise<string> =>
  (
    await row<{ sum: string }>(
      client,
      `SELECT coalesce(sum(${hashOf(['loid', 'pageno', 'data'])}), 0)::text AS sum FROM pg_largeobject`,
    )
  ).sum;
