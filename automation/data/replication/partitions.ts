import type pg from 'pg';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { notOfExtension, ownSchemas } from '../catalog.ts';
import { rows } from '../connect.ts';

/**
 * Changes of a partition are published as changes of its root, and PostgreSQL stops the subscription at the first row for which
 * the subscriber has no partition. A job that adds partitions to the live side runs on the live side alone.
 */
interface Partition {
  schema: string;
  name: string;
  parentSchema: string;
  parent: string;
  bound: string;
  /** `RANGE (at)`; null for a partition that holds rows. */
  key: string | null;
}

/** Roots first, so that a partition is created after the one that it belongs to. */
const partitionsSql = `
  WITH RECURSIVE tree AS (
    SELECT c.oid, 0 AS depth FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'p' AND NOT c.relispartition AND ${ownSchemas} AND ${notOfExtension}
    UNION ALL SELECT i.inhrelid, tree.depth + 1 FROM tree JOIN pg_inherits i ON i.inhparent = tree.oid)
  SELECT n.nspname AS schema, c.relname AS name, pn.nspname AS "parentSchema", p.relname AS parent,
    pg_get_expr(c.relpartbound, c.oid) AS bound, CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS key
  FROM tree JOIN pg_class c ON c.oid = tree.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_inherits i ON i.inhrelid = c.oid JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
  WHERE c.relkind IN ('r', 'p') ORDER BY tree.depth, 1, 2`;

/**
 * Creates on `target` the partitions that only `source` has, where both have the table that they belong to. Resolves to their names.
 * One that cannot be created, because its range overlaps another one's for example, is left out.
 */
export async function addPartitions(source: pg.Client, target: pg.Client): Promise<string[]> {
  const there = await rows<Partition>(source, partitionsSql);
  const added: string[] = [];
  for (const { schema, name, parentSchema, parent, bound, key } of there) {
    const [partition, root] = [quoted(schema, name), quoted(parentSchema, parent)];
    const [found] = await rows<{ here: boolean; root: boolean }>(
      target,
      'SELECT to_regclass($1) IS NOT NULL AS here, to_regclass($2) IS NOT NULL AS root',
      [partition, root],
    );
    if (found === undefined || found.here || !found.root) continue;
    const created = await target
      .query(
        `BEGIN; SET LOCAL ROLE owner;
         CREATE TABLE ${partition} PARTITION OF ${root} ${bound}${key === null ? '' : ` PARTITION BY ${key}`}; COMMIT`,
      )
      .then(
        () => true,
        () => target.query('ROLLBACK').then(() => false),
      );
    if (created) added.push(`${schema}.${name}`);
  }
  return added;
}

const quoted = (schema: string, name: string): string => `${sqlIdentifier(schema)}.${sqlIdentifier(name)}`;
