import type pg from 'pg';
import { rows } from '../connect.ts';
import type { Link } from '../link.ts';
import { replay } from './replay-statements.ts';
import { appliedNow } from './sync-state.ts';

/**
 * Changes of a partition are published as changes of its root, and PostgreSQL sends no TRUNCATE of a partition then. Nor does anything say
 * that a job has dropped one and made it anew under its name. So a partition whose file is empty on the live side is emptied on the side that follows.
 */

interface Partition {
  name: string;
  /** The rows that it takes: only where that is the same on both sides, a row has the same place. */
  takes: string;
}

/** Partitions without a page: not even a transaction that is open has a row there. A table that is being changed is left for the next look. */
const emptySql = `
  SELECT t.relid::regclass::text AS name, pg_get_partition_constraintdef(t.relid) AS takes
  FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid JOIN pg_class c ON c.oid = r.prrelid AND c.relkind = 'p',
    LATERAL pg_partition_tree(c.oid) t JOIN pg_class l ON l.oid = t.relid AND l.relkind = 'r'
  WHERE p.pubname = $1 AND pg_relation_size(t.relid) = 0 ORDER BY 1`;

const stillEmptySql = `
  SELECT FROM (SELECT to_regclass($1) AS oid) r WHERE pg_relation_size(r.oid) = 0 AND pg_get_partition_constraintdef(r.oid) = $2`;

const filledSql = `
  SELECT q.name, q.takes FROM unnest($1::text[], $2::text[]) AS q (name, takes), LATERAL (SELECT to_regclass(q.name) AS oid) r
  WHERE pg_relation_size(r.oid) > 0 AND pg_get_partition_constraintdef(r.oid) = q.takes`;

/** Empties on the side that follows what was emptied on the live side. Resolves to what was done, for people. Sessions as admin without an open transaction. */
export async function followEmptied(link: Link, source: pg.Client, target: pg.Client): Promise<string[]> {
  const empty = await looking<Partition>(source, emptySql, [link.name]);
  if (empty.length === 0) return [];
  const names = [empty.map(({ name }) => name), empty.map(({ takes }) => takes)];
  const filled = await looking<Partition>(target, filledSql, names);
  // Rows that were deleted leave pages behind.
  const withRows = async (): Promise<Partition[]> => {
    const found: Partition[] = [];
    for (const one of filled)
      if ((await looking(target, `SELECT FROM ONLY ${one.name} LIMIT 1`, [])).length > 0) found.push(one);
    return found;
  };
  if ((await withRows()).length === 0 || !(await appliedNow(link, source))) return [];
  const done: string[] = [];
  for (const { name, takes } of await withRows()) {
    // The lock is held by then: no row comes in, and none has since where the live side has none still.
    const still = async (): Promise<boolean> => (await looking(source, stillEmptySql, [name, takes])).length > 0;
    const quiet = 'SET LOCAL session_replication_role = replica';
    const emptied =
      (await replay(target, [quiet, `TRUNCATE ONLY ${name}`], still)) ||
      // A table refers to it.
      (await replay(
        target,
        [quiet, `LOCK TABLE ONLY ${name} IN ACCESS EXCLUSIVE MODE`, `DELETE FROM ONLY ${name}`],
        still,
      ));
    if (emptied) done.push(name);
  }
  return done.length === 0 ? [] : [`the partitions ${done.join(', ')} were emptied on ${link.to.colour}`];
}

/** Names are shown with their schemas. What is locked is seen at the next look. */
async function looking<T>(client: pg.Client, sql: string, values: unknown[]): Promise<T[]> {
  await client.query(`BEGIN READ ONLY; SET LOCAL search_path = ''; SET LOCAL lock_timeout = 500`);
  try {
    return await rows<T>(client, sql, values).catch(() => []);
  } finally {
    await client.query('ROLLBACK');
  }
}
