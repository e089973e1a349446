import type pg from 'pg';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { notOfExtension, ownSchemas } from '../catalog.ts';
import { rows, sqlState } from '../connect.ts';

/**
 * How PostgreSQL identifies rows when it replicates them. Each relation that holds rows counts, so each partition by itself,
 * and only immediate unique indexes qualify. The publisher sends the root's identity.
 */
export interface Relation {
  /** `public.lessons`, for people. */
  name: string;
  /** Quoted, for SQL. */
  sql: string;
  /** `pg_class.relreplident`: default (primary key), nothing, full, index. */
  replident: 'd' | 'n' | 'f' | 'i';
  /** Columns of the primary key; empty if there is none or it is deferrable. */
  key: string[];
  /** Columns of the index that `REPLICA IDENTITY USING INDEX` names; empty if there is no usable one. */
  replicaIndex: string[];
  /** Quoted name of an index that `REPLICA IDENTITY USING INDEX` would accept. */
  candidate: string | null;
  /** Name and columns of a deferrable primary key. */
  deferrable: { name: string; columns: string[] } | null;
  unlogged: boolean;
  /** `column = value` for an UPDATE that changes nothing; null for a table without columns. */
  touch: string | null;
}

export interface Identity extends Relation {
  /** Replicated columns, in order: all except generated ones. */
  columns: string[];
  /** Columns whose type has no equality, with the type: `place (point)`. Determined only if whole rows are compared. */
  incomparable: string[];
  partitioned: boolean;
  /** The relations that hold the rows: the partitions, or the table itself. */
  leaves: Relation[];
}

const undefinedFunction = '42883';
/** A table of another owner, which is a finding of its own. */
const notAllowed = '42501';

/** SQL condition: PostgreSQL accepts the index as an identity (RelationGetIndexList). */
const usable = 'i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL';
const columnsOf = (index: string, of: string): string => `(
  SELECT coalesce(json_agg(a.attname ORDER BY array_position(i.indkey::int2[], a.attnum)), '[]') FROM pg_index i
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) WHERE i.indrelid = ${of} AND ${index})`;

const identitySql = `
  WITH root AS (
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' AND ${ownSchemas} AND ${notOfExtension}),
  member AS (
    SELECT oid AS root, oid FROM root UNION SELECT root.oid, t.relid FROM root, pg_partition_tree(root.oid) t WHERE t.isleaf)
  SELECT m.root::text AS root, m.oid = m.root AS top, c.relkind AS kind,
    format('%s.%s', n.nspname, c.relname) AS name, format('"%s"."%s"', replace(n.nspname, '"', '""'), replace(c.relname, '"', '""')) AS sql,
    c.relreplident AS replident, c.relpersistence = 'u' AS unlogged,
    ${columnsOf(`i.indisprimary AND ${usable}`, 'c.oid')} AS key,
    ${columnsOf(`i.indisreplident AND ${usable}`, 'c.oid')} AS "replicaIndex",
    (SELECT quote_ident(x.relname) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
     WHERE i.indrelid = c.oid AND ${usable} AND i.indexprs IS NULL AND NOT EXISTS (SELECT FROM pg_attribute a
       WHERE a.attrelid = c.oid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) AND (NOT a.attnotnull OR a.attgenerated <> ''))
     ORDER BY i.indnkeyatts, x.relname LIMIT 1) AS candidate,
    (SELECT json_build_object('name', k.conname, 'columns', ${columnsOf('i.indexrelid = k.conindid', 'c.oid')})
     FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p' AND k.condeferrable) AS deferrable,
    (SELECT format(CASE WHEN a.attgenerated = '' AND a.attidentity <> 'a' THEN '%I = %1$I' ELSE '%I = DEFAULT' END, a.attname)
     FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum LIMIT 1) AS touch,
    (SELECT coalesce(json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum), '[]')
     FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns
  FROM member m JOIN pg_class c ON c.oid = m.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind <> 'f' ORDER BY name`;

interface Found extends Relation {
  root: string;
  top: boolean;
  kind: string;
  columns: { name: string; type: string }[];
}

/** The identity of each of the application's tables. */
export async function identitiesOf(client: pg.Client): Promise<Identity[]> {
  const found = await rows<Found>(client, identitySql);
  const identities: Identity[] = [];
  for (const { root, columns, kind, ...relation } of found.filter(({ top }) => top)) {
    const members = found.filter((f) => f.root === root && f.kind !== 'p');
    const whole = members.some(
      (leaf) => foundBy(leaf).length === 0 && (relation.replident === 'f' || leaf.replident === 'f'),
    );
    identities.push({
      ...relation,
      partitioned: kind === 'p',
      columns: columns.map(({ name }) => name),
      incomparable: whole ? await incomparable(client, relation.sql, columns) : [],
      leaves: members,
    });
  }
  return identities;
}

/** Columns of old rows that the log contains: all, those of a key, or none. */
export function loggedBy(relation: Relation, columns: string[]): string[] {
  return { d: relation.key, i: relation.replicaIndex, f: columns, n: [] }[relation.replident];
}

/** Columns by which the subscriber finds a row; empty if it compares whole rows. */
export function foundBy(relation: Relation): string[] {
  return relation.replident === 'i' && relation.replicaIndex.length > 0 ? relation.replicaIndex : relation.key;
}

/** Asks the planner whether a type has an equality. A catalog query would have to handle domains, arrays and composite types. */
async function incomparable(client: pg.Client, sql: string, columns: Found['columns']): Promise<string[]> {
  const without: string[] = [];
  for (const { name, type } of columns) {
    const answer = await client
      .query(`EXPLAIN SELECT DISTINCT ${sqlIdentifier(name)} FROM ${sql} WHERE false`)
      .catch((error: unknown) => error);
    if (sqlState(answer) === undefinedFunction) without.push(`${name} (${type})`);
    else if (answer instanceof Error && sqlState(answer) !== notAllowed) throw answer;
  }
  return without;
}
