import type pg from 'pg';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { notOfExtension, ownSchemas } from '../catalog.ts';
import { rows } from '../connect.ts';

/**
 * Logical replication does not carry sequences, including those of identity columns. So the cutover sets them. The pairs are
 * worked out before writes are held; during the hold this costs two round trips.
 */

interface Sequence {
  sql: string;
  /** The column that it fills, or else its own name. Identifies its counterpart on the other side. */
  key: string;
  name: string;
  ascending: boolean;
}

export interface SequencePair {
  from: string;
  to: string;
  ascending: boolean;
}

export interface SequencePlan {
  pairs: SequencePair[];
  /** Names of sequences without a counterpart on the other side. */
  unmatched: string[];
}

interface Value {
  value: bigint;
  called: boolean;
}

const sequencesSql = `
  SELECT n.nspname AS schema, c.relname AS name, s.seqincrement > 0 AS ascending,
    (SELECT format('%s.%s.%s', tn.nspname, t.relname, a.attname)
     FROM pg_depend d JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace
     JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
     WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
       AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0 LIMIT 1) AS column
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE ${ownSchemas} AND ${notOfExtension} AND c.relpersistence <> 't' ORDER BY 1, 2`;

/** The application’s sequences. */
export async function sequencesOf(client: pg.Client): Promise<Sequence[]> {
  interface Row {
    schema: string;
    name: string;
    ascending: boolean;
    column: string | null;
  }
  return (await rows<Row>(client, sequencesSql)).map((r) => ({
    sql: `${sqlIdentifier(r.schema)}.${sqlIdentifier(r.name)}`,
    name: `${r.schema}.${r.name}`,
    key: r.column ?? `${r.schema}.${r.name}`,
    ascending: r.ascending,
  }));
}

/** Pairs each sequence of `from` with the one of `to` that fills the same column, or else has the same name. */
export async function planSequences(from: pg.Client, to: pg.Client): Promise<SequencePlan> {
  const [mine, theirs] = await Promise.all([sequencesOf(from), sequencesOf(to)]);
  const plan: SequencePlan = { pairs: [], unmatched: [] };
  for (const sequence of mine) {
    const match = theirs.find((s) => s.key === sequence.key) ?? theirs.find((s) => s.name === sequence.name);
    if (match === undefined) plan.unmatched.push(sequence.name);
    else plan.pairs.push({ from: sequence.sql, to: match.sql, ascending: match.ascending });
  }
  return plan;
}

/** Sets the sequences of `to` to the values of `from`, never backwards. Resolves to how many were set. */
export async function carryOver(plan: SequencePlan, from: pg.Client, to: pg.Client): Promise<number> {
  const { pairs } = plan;
  if (pairs.length === 0) return 0;
  const [mine, theirs] = await Promise.all([
    read(
      from,
      pairs.map((p) => p.from),
    ),
    read(
      to,
      pairs.map((p) => p.to),
    ),
  ]);
  const moved: { sequence: string; value: string; called: boolean }[] = [];
  for (const [index, pair] of pairs.entries()) {
    const [wanted, present] = [mine[index], theirs[index]];
    if (wanted === undefined || present === undefined || !behind(present, wanted, pair.ascending)) continue;
    moved.push({ sequence: pair.to, value: String(wanted.value), called: wanted.called });
  }
  await to.query(
    'SELECT setval(s::regclass, v, c) FROM unnest($1::text[], $2::bigint[], $3::boolean[]) AS x (s, v, c)',
    [moved.map((m) => m.sequence), moved.map((m) => m.value), moved.map((m) => m.called)],
  );
  return moved.length;
}

/** Whether `present` would return a number that `wanted` has returned already. */
export function behind(present: Value, wanted: Value, ascending: boolean): boolean {
  if (present.value === wanted.value) return wanted.called && !present.called;
  return ascending ? present.value < wanted.value : present.value > wanted.value;
}

async function read(client: pg.Client, sequences: string[]): Promise<Value[]> {
  const sql = sequences.map((s, i) => `SELECT ${i} AS i, last_value::text AS value, is_called AS called FROM ${s}`);
  const found = await rows<{ i: number; value: string; called: boolean }>(
    client,
    `${sql.join(' UNION ALL ')} ORDER BY i`,
  );
  return found.map((f) => ({ value: BigInt(f.value), called: f.called }));
}
