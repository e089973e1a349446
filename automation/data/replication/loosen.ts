import pg from 'pg';
import { rows, serverVersion } from '../connect.ts';
import { addLoosened, createLoosened, loosenedOn } from '../loosened.ts';
import { compareObjects, keyOf, type DatabaseObject } from '../objects/compare.ts';
import { readObjects } from '../objects/read.ts';
import { belongs } from './definitions.ts';
import { looseningsIn, type Loosening } from './loosening.ts';
import { amendRecord, carried, hashOf, isExpanded, recordedOf } from './schema-record.ts';

/**
 * Lets the old side take the rows that an expand migration has made possible on the new one, so that the first of them does not end the
 * way back. It is done right after the flip and before anything flows back: the old side serves nobody then. Earlier, each prepared
 * statement of the live version that reads a column of another length would fail once ("cached plan must not change result type").
 */

/** Lock timeout, ms. What is left of the old version's sessions may hold a lock for a moment. */
const lockMs = 2_000;

/**
 * What the expand migrations have loosened on the new side. Each says whether it will be repeated on the old one, or why not. Changes
 * nothing. Sessions as admin without an open transaction.
 */
export async function foreseeLoosenings(old: pg.Client, newer: pg.Client): Promise<Loosening[]> {
  const [before, after] = await Promise.all([readObjects(old), readObjects(newer)]);
  return found(old, newer, before, after);
}

async function found(
  old: pg.Client,
  newer: pg.Client,
  before: DatabaseObject[],
  after: DatabaseObject[],
): Promise<Loosening[]> {
  const differences = compareObjects(carried(before), carried(after));
  const recorded = await recordedOf(newer, differences);
  const upgraded = serverVersion(old) !== serverVersion(newer);
  // What somebody else has changed since is not the migrations'.
  const migrated = differences.filter((difference) => {
    const { copied, expanded } = recorded.get(keyOf(difference)) ?? {};
    // Another version of PostgreSQL writes the same rule in another way.
    const reworded = difference.kind === 'constraint' && difference.right !== undefined && upgraded;
    return !reworded && copied === hashOf(difference.left) && expanded === hashOf(difference.right);
  });
  const all: Loosening[] = [];
  for (const loosening of looseningsIn(migrated, before)) all.push(await withDependents(old, loosening));
  return all;
}

/** What PostgreSQL does not carry over to a new type of a column: see ATExecAlterColumnType (tablecmds.c). */
const dependentsSql = `
  SELECT DISTINCT pg_describe_object(d.classid, d.objid, 0) AS what FROM pg_depend d
  JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  WHERE d.refclassid = 'pg_class'::regclass AND a.attrelid = to_regclass($1) AND quote_ident(a.attname) = $2
    AND (d.classid IN ('pg_rewrite'::regclass, 'pg_trigger'::regclass, 'pg_policy'::regclass, 'pg_proc'::regclass, 'pg_publication_rel'::regclass)
      OR EXISTS (SELECT FROM pg_attrdef g JOIN pg_attribute c ON c.attrelid = g.adrelid AND c.attnum = g.adnum
        WHERE d.classid = 'pg_attrdef'::regclass AND g.oid = d.objid AND c.attgenerated <> '' AND c.attnum <> a.attnum))
  ORDER BY 1`;

async function withDependents(old: pg.Client, loosening: Loosening): Promise<Loosening> {
  const { retyped } = loosening;
  if (retyped === undefined) return loosening;
  const there = await rows<{ what: string }>(old, dependentsSql, [retyped.table, retyped.column]);
  if (there.length === 0) return loosening;
  return { ...loosening, statements: [], not: `${there.map(({ what }) => what).join(', ')} depends on it` };
}

/**
 * Repeats on the old side what can be repeated. Call it when the old side serves nobody and nothing flows yet. May be called again. What
 * PostgreSQL refuses stays as it is: a row that needs it stops the way back, and is named then. Resolves to what was repeated, for people.
 */
export async function loosen(old: pg.Client, newer: pg.Client): Promise<string[]> {
  if (!(await isExpanded(newer))) return [];
  const [before, after] = await Promise.all([readObjects(old), readObjects(newer)]);
  const wanted = (await found(old, newer, before, after)).filter(({ not }) => not === undefined);
  if (wanted.length > 0) await createLoosened(old);
  const done: Loosening[] = [];
  let left = wanted;
  // What follows from another one comes after it in one of the rounds: a partition of a partition.
  for (let progress = true; progress && left.length > 0;) {
    const failed: Loosening[] = [];
    for (const loosening of left) ((await repeat(old, loosening)) ? done : failed).push(loosening);
    progress = failed.length < left.length;
    left = failed;
  }
  for (const loosening of left)
    if (loosening.otherwise !== undefined && (await repeat(old, { ...loosening, statements: loosening.otherwise })))
      done.push(loosening);
  await remember(old, newer);
  return done.map(({ says }) => says);
}

async function repeat(old: pg.Client, { kind, name, was, says, owner, statements }: Loosening): Promise<boolean> {
  try {
    const as = statements.length === 0 ? [] : [`SET LOCAL ROLE ${owner}`, ...statements, 'RESET ROLE'];
    await old.query(['BEGIN', `SET LOCAL lock_timeout = ${lockMs}`, ...as].join('; '));
    await addLoosened(old, { kind, name, was: was ?? null, says });
    await old.query('COMMIT');
    return true;
  } catch (error) {
    await old.query('ROLLBACK');
    if (!(error instanceof pg.DatabaseError)) throw error;
    return false;
  }
}

/** From here on the old side should have these objects as they are now. Also after an interruption between the two. */
async function remember(old: pg.Client, newer: pg.Client): Promise<void> {
  const loosened = await loosenedOn(old);
  if (loosened.length === 0) return;
  const now = carried(await readObjects(old));
  const concerned = ({ kind, name, definition: left }: DatabaseObject): boolean =>
    loosened.some(
      (one) =>
        (one.kind === kind && one.name === name) || (one.kind === 'table' && belongs({ kind, name, left }, one.name)),
    );
  const objects = new Map<string, { kind: string; name: string; hash: string | null }>();
  for (const { kind, name } of loosened) objects.set(keyOf({ kind, name }), { kind, name, hash: null });
  for (const object of now.filter(concerned)) {
    const { kind, name, definition } = object;
    objects.set(keyOf(object), { kind, name, hash: hashOf(definition) });
  }
  await amendRecord(newer, 'copied', [...objects.values()]);
}
