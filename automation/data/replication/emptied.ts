import type pg from 'pg';
import { writerRole } from '../../../infra/application/roles.ts';
import { row, rows } from '../connect.ts';
import type { Link } from '../link.ts';
import { replay } from './replay-statements.ts';
import { appliedNow } from './sync-state.ts';

/**
 * Changes of a partition are published as changes of its root, and PostgreSQL sends no TRUNCATE of a partition then. Nor does anything say
 * that a job has dropped one and made it anew under its name. So a partition whose file is new and empty on the live side is emptied on the
 * side that follows. One that has always been empty there may have rows of the expand migrations on the other side.
 */

interface Partition {
  name: string;
  /** The rows that it takes: only where that is the same on both sides, a row has the same place. */
  takes: string;
}

/**
 * Partitions that got another file since they were published, which gives new catalog rows to them and to their indexes, and that have no page
 * there: not even a transaction that is open has a row. Locks none of the others. One that is being changed is left for the next look.
 */
const emptySql = `
  WITH RECURSIVE sent (oid, since) AS (
    SELECT r.prrelid, r.xmin FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid WHERE p.pubname = $1
    UNION ALL SELECT i.inhrelid, s.since FROM sent s JOIN pg_inherits i ON i.inhparent = s.oid),
  anew AS MATERIALIZED (
    SELECT c.oid FROM sent s JOIN pg_class c USING (oid) WHERE c.relkind = 'r' AND c.relispartition AND age(c.xmin) < age(s.since)
      AND NOT EXISTS (SELECT FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid AND age(i.xmin) >= age(s.since))),
  empty AS MATERIALIZED (SELECT oid FROM anew WHERE pg_relation_size(oid) = 0)
  SELECT oid::regclass::text AS name, pg_get_partition_constraintdef(oid) AS takes FROM empty`;

const filledSql = `
  SELECT q.name, q.takes FROM unnest($1::text[], $2::text[]) AS q (name, takes), LATERAL (SELECT to_regclass(q.name) AS oid) r
  WHERE pg_relation_size(r.oid) > 0 AND pg_get_partition_constraintdef(r.oid) = q.takes ORDER BY 1`;

/** Between the grant and the end of a cutover the old side is still followed. */
const servesSql = `SELECT pg_has_role('app', '${writerRole}', 'MEMBER') AS yes`;

/** Empties on the side that follows what was emptied on the live side. Resolves to what was done, for people. Sessions as admin without an open transaction. */
export async function followEmptied(link: Link, source: pg.Client, target: pg.Client): Promise<string[]> {
  const emptyNow = (): Promise<Partition[]> => looking<Partition>(source, emptySql, [link.name]);
  const empty = await emptyNow();
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
    // The lock is held by then: no row comes in, and none has since where the live side has none still. Nor does the target serve by then.
    const still = async (): Promise<boolean> =>
      (await emptyNow()).some((one) => one.name === name && one.takes === takes) &&
      !(await row<{ yes: boolean }>(target, servesSql)).yes;
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
