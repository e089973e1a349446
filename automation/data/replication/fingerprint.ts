import { createHash } from 'node:crypto';
import type pg from 'pg';
import { notOfExtension, ownSchemas } from '../catalog.ts';
import { rows } from '../connect.ts';

/**
 * A hash per relation of a schema. Logical replication carries no DDL, so this detects changes to the live side while the
 * inactive one is prepared from it.
 */
export type SchemaFingerprint = Record<string, string>;

/** A line for each column, constraint, index and trigger. Partitions are left out, as their number changes in normal use. */
const linesSql = `
  WITH relation AS (
    SELECT c.oid, format('%s.%s', n.nspname, c.relname) AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT c.relispartition AND c.relpersistence <> 't'
      AND ${ownSchemas} AND ${notOfExtension})
  SELECT r.name, format('column %s %s %s %s %s %s', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
    a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid)) AS line
  FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
  UNION ALL SELECT r.name, format('constraint %s %s', k.conname, pg_get_constraintdef(k.oid))
  FROM relation r JOIN pg_constraint k ON k.conrelid = r.oid
  UNION ALL SELECT r.name, format('index %s', pg_get_indexdef(i.indexrelid)) FROM relation r JOIN pg_index i ON i.indrelid = r.oid
  UNION ALL SELECT r.name, format('trigger %s %s', t.tgenabled, pg_get_triggerdef(t.oid))
  FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
  ORDER BY 1, 2`;

/** A hash per relation of the application. */
export async function schemaFingerprint(client: pg.Client): Promise<SchemaFingerprint> {
  const lines = new Map<string, string[]>();
  for (const { name, line } of await rows<{ name: string; line: string }>(client, linesSql)) {
    lines.set(name, [...(lines.get(name) ?? []), line]);
  }
  const hash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);
  return Object.fromEntries([...lines].map(([name, l]) => [name, hash(l.join('\n'))]));
}

/** The differences, for messages: `public.lessons was changed`. Empty if there are none. */
export function schemaChanges(before: SchemaFingerprint, after: SchemaFingerprint): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names
    .filter((name) => before[name] !== after[name])
    .map(
      (name) =>
        `${name} was ${before[name] === undefined ? 'added' : after[name] === undefined ? 'dropped' : 'changed'}`,
    );
}
