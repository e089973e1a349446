import type pg from 'pg';
import { relationExists } from '../catalog.ts';
import { row, rows } from '../connect.ts';
import { compareObjects, type ObjectDifference } from '../objects/compare.ts';
import { readObjects } from '../objects/read.ts';
import { publicationNote, type Link } from '../link.ts';
import { followEmptied } from './emptied.ts';
import { attachStatement, belongs, partitionOf, partitionStatements, type PartitionOf } from './definitions.ts';
import { replay, statementsFor } from './replay-statements.ts';
import { compareSchemas, type SchemaDrift, type SchemaWatch } from './schema-drift.ts';
import { amendRecord, carried, hashOf } from './schema-record.ts';
import { appliedNow } from './sync-state.ts';

/**
 * Changes of a partition are published as changes of its root, and PostgreSQL stops the subscription at the first row for which
 * the subscriber has no partition. A job that adds and drops partitions on the live side runs on the live side alone. Here the side that
 * follows, which serves nobody, gets and loses the same ones.
 */

/** Whether a difference is a partition that the live side has got or lost, and the other side not yet. */
export function isPartitionJob({ kind, on, migrated, left, right }: SchemaDrift, { from }: Link): boolean {
  if (kind !== 'table' || on !== from.colour || migrated) return false;
  if (left === undefined) return right !== undefined && partitionOf(right) !== undefined;
  return partitionOf(left) !== undefined && (right === undefined || partitionOf(right) === undefined);
}

/**
 * Follows the partitions of the live side. One that cannot be followed, because its range overlaps another one's for example, is left out,
 * and stays a difference that has its name. Resolves to what was done, for people. Sessions as admin without an open transaction.
 */
export async function followPartitions(link: Link, source: pg.Client, target: pg.Client): Promise<string[]> {
  const { drifts } = await compareSchemas(link, source, target);
  const done: SchemaDrift[] = [];
  let left = drifts.filter((drift) => isPartitionJob(drift, link));
  // One that belongs to another new one comes after it.
  for (let progress = true; progress && left.length > 0;) {
    const failed: SchemaDrift[] = [];
    for (const drift of left) ((await follow(link, drift, source, target)) ? done : failed).push(drift);
    progress = failed.length < left.length;
    left = failed;
  }
  const made = done.filter(({ left: wanted }) => wanted !== undefined).map(({ name }) => name);
  if (made.length > 0) await complete(link, made, source, target);
  const gone = done.map(({ name }) => name).filter((name) => !made.includes(name));
  return [
    ...(made.length === 0 ? [] : [`the partitions ${made.join(', ')} were created on ${link.to.colour}`]),
    ...(gone.length === 0 ? [] : [`the partitions ${gone.join(', ')} were dropped on ${link.to.colour}`]),
  ];
}

/** Looks at the schemas, follows the partitions of the live side, and resolves to what was done, for people, and to what is still different. */
export async function lookAndFollow(
  schema: SchemaWatch,
  link: Link,
  source: pg.Client,
  target: pg.Client,
): Promise<{ followed: string[]; drifts: SchemaDrift[] }> {
  const drifts = await schema.look(link, source, target);
  const jobs = drifts.some((drift) => isPartitionJob(drift, link));
  const followed = jobs ? await followPartitions(link, source, target) : [];
  const left = followed.length > 0 ? await schema.look(link, source, target) : drifts;
  return { followed: [...followed, ...(await followEmptied(link, source, target))], drifts: left };
}

async function follow(link: Link, drift: SchemaDrift, source: pg.Client, target: pg.Client): Promise<boolean> {
  const { name, left, right } = drift;
  const partition = partitionOf(left ?? right ?? '') as PartitionOf;
  const { owner } = partition;
  const statements = await statementsOf(link, drift, partition, source, target);
  if (statements === undefined) return false;
  const [parent] = await rows<{ owner: string }>(
    target,
    'SELECT relowner::regrole::text AS owner FROM pg_class WHERE oid = to_regclass($1)',
    [partition.parent],
  );
  if (parent === undefined) return false;
  const given = left === undefined || owner === parent.owner ? [] : [`ALTER TABLE ${name} OWNER TO ${owner}`];
  const all = [`SET LOCAL ROLE ${parent.owner}`, ...statements, 'RESET ROLE', ...given];
  // A job may have made it anew. From here on no row of that comes in, and what came before is seen.
  const gone = async (): Promise<boolean> => !(await relationExists(source, name));
  return left === undefined ? replay(target, all, gone) : replay(target, all);
}

async function statementsOf(
  link: Link,
  { name, left, right }: SchemaDrift,
  partition: PartitionOf,
  source: pg.Client,
  target: pg.Client,
): Promise<string[] | undefined> {
  if (left === undefined) return (await mayDrop(link, source)) ? [`DROP TABLE ${name}`] : undefined;
  // A table of its own until now: its rows were replicated.
  if (right !== undefined) return [attachStatement(name, partition)];
  if (await hadRows(source, name)) return undefined;
  return fromDefault(source, target, name, partition.parent, partitionStatements(name, left));
}

/**
 * `making`, and before it rows of its range leave the default partition, into which they were replicated, and come back after it. As in an
 * apply worker no trigger fires: the rows stay what they are.
 */
async function fromDefault(
  source: pg.Client,
  target: pg.Client,
  name: string,
  parent: string,
  making: string[],
): Promise<string[]> {
  const [other] = await rows<{ name: string; owner: string; columns: string }>(
    target,
    `SELECT format('%I.%I', n.nspname, c.relname) AS name, d.relowner::regrole::text AS owner, (SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
       WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '') AS columns
     FROM pg_partitioned_table p JOIN pg_class d ON d.oid = p.partrelid JOIN pg_class c ON c.oid = p.partdefid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE p.partrelid = to_regclass($1)`,
    [parent],
  );
  if (other === undefined) return making;
  const { range } = await row<{ range: string | null }>(
    source,
    'SELECT pg_get_partition_constraintdef(to_regclass($1)) AS range',
    [name],
  );
  if (range === null) return making;
  return [
    'RESET ROLE; SET LOCAL session_replication_role = replica',
    `CREATE TEMP TABLE greenlight_aside ON COMMIT DROP AS SELECT ${other.columns} FROM ${other.name} WHERE ${range}`,
    `DELETE FROM ${other.name} WHERE ${range}`,
    `SET LOCAL ROLE ${other.owner}`,
    ...making,
    'RESET ROLE',
    `INSERT INTO ${name} (${other.columns}) OVERRIDING SYSTEM VALUE SELECT * FROM greenlight_aside`,
  ];
}

/** On a copy, and no sooner than every change of its rows is applied: on the way back nothing is thrown away. */
const mayDrop = async (link: Link, source: pg.Client): Promise<boolean> =>
  (await publicationNote(source, link.name)) !== '' && (await appliedNow(link, source));

/** Whether a partition was attached with rows: these were published by nobody. They are older than its entry in the catalog. */
async function hadRows(source: pg.Client, name: string): Promise<boolean> {
  const sql = `
    SELECT FROM ${name} r, pg_inherits i WHERE i.inhrelid = to_regclass($1)
      AND (age(r.xmin) > age(i.xmin) OR r.xmin = i.xmin AND r.cmin::text::bigint < i.cmin::text::bigint) LIMIT 1`;
  return (await rows(source, sql, [name])).length > 0;
}

/** Whether an index is the part of one of the partitioned table: the other side has its own, or none on purpose. */
const comesAlong = async (source: pg.Client, index: string): Promise<boolean> =>
  (await rows(source, 'SELECT FROM pg_inherits WHERE inhrelid = to_regclass($1)', [index])).length > 0;

/**
 * Gives to new partitions what the live side gave to them: rights, indexes of their own. Records what they have from their table on the
 * side with the expand migrations: another column, a looser rule. What is left is a difference.
 */
async function complete(link: Link, made: string[], source: pg.Client, target: pg.Client): Promise<void> {
  const forward = (await publicationNote(source, link.name)) !== '';
  const own = async (): Promise<ObjectDifference[]> => {
    const [live, follower] = await Promise.all([readObjects(source), readObjects(target)]);
    return compareObjects(carried(live), carried(follower)).filter((difference) =>
      made.some((table) => belongs(difference, table)),
    );
  };
  for (const difference of await own()) {
    const { kind, name, left, right } = difference;
    const drift: SchemaDrift = { ...difference, on: link.from.colour, how: 'changed', migrated: false };
    const own = kind === 'index' && right === undefined && !(await comesAlong(source, name));
    const index = own ? left?.split('\n').slice(0, 1) : undefined;
    const statements = index ?? statementsFor(drift, link);
    if (statements !== undefined) await replay(target, statements);
  }
  // What a table itself is does not come from its parent.
  const inherited = (await own()).filter(({ kind, right }) => kind !== 'table' && (!forward || right !== undefined));
  const hashes = (of: 'left' | 'right') =>
    inherited.map((difference) => ({ kind: difference.kind, name: difference.name, hash: hashOf(difference[of]) }));
  const record = forward ? target : source;
  await amendRecord(record, 'copied', hashes(forward ? 'left' : 'right'));
  await amendRecord(record, 'expanded', hashes(forward ? 'right' : 'left'));
}
