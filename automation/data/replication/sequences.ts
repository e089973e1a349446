import type pg from 'pg';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { notOfExtension, ownSchemas } from '../catalog.ts';
import { rows } from '../connect.ts';

/**
 * Logical replication does not carry sequences, including those of identity columns. So the cutover sets them. The pairs are
 * worked out before writes are held. During the hold this costs one statement on each side, however many sequences there are.
 */

interface Sequence {
  /** Quoted, for SQL. */
  sql: string;
  /** For people. */
  name: string;
  /** The column that owns it. */
  column: string | null;
  ascending: boolean;
}

export interface SequencePair {
  from: string;
  to: string;
}

export interface SequencePlan {
  pairs: SequencePair[];
  /** What cannot be carried over, a sentence each. */
  warnings: string[];
  /** The same of sequences that the other side does not have. A way back keeps their values aside. */
  missing: string[];
}

const sequencesSql = `
  SELECT n.nspname AS schema, c.relname AS relation, s.seqincrement > 0 AS ascending,
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
    relation: string;
    ascending: boolean;
    column: string | null;
  }
  return (await rows<Row>(client, sequencesSql)).map(({ schema, relation, ascending, column }) => ({
    sql: `${sqlIdentifier(schema)}.${sqlIdentifier(relation)}`,
    name: `${schema}.${relation}`,
    ascending,
    column,
  }));
}

/**
 * Pairs each sequence of `from` with the one of `to` that the same column owns, or else with the one of the same name. `name`: of
 * the side `to`, for people.
 */
export async function planSequences(from: pg.Client, to: pg.Client, name: string): Promise<SequencePlan> {
  const [mine, theirs] = await Promise.all([sequencesOf(from), sequencesOf(to)]);
  const plan: SequencePlan = { pairs: [], warnings: [], missing: [] };
  const left = new Map(theirs.map((sequence) => [sequence.name, sequence]));
  const owned = new Map(theirs.flatMap((sequence) => (sequence.column === null ? [] : [[sequence.column, sequence]])));
  const pair = (sequence: Sequence, match: Sequence): void => {
    left.delete(match.name);
    if (sequence.ascending === match.ascending) plan.pairs.push({ from: sequence.sql, to: match.sql });
    else plan.warnings.push(`sequence ${sequence.name} counts the other way on ${name}, and was not carried over`);
  };
  const rest = mine.filter((sequence) => {
    const match = sequence.column === null ? undefined : owned.get(sequence.column);
    if (match !== undefined) pair(sequence, match);
    return match === undefined;
  });
  for (const sequence of rest) {
    const match = left.get(sequence.name);
    if (match === undefined) plan.missing.push(`sequence ${sequence.name} is not on ${name}, and was not carried over`);
    else pair(sequence, match);
  }
  // The first time fills the caches of a session, which takes longer than all that is left for the hold.
  await Promise.all([
    readNumbers(plan, from),
    read(
      to,
      plan.pairs.map((pair) => pair.to),
    ),
    set(to, [], { values: [], called: [] }),
  ]);
  return plan;
}

/**
 * The value of a sequence and whether it was given out. `pg_sequence_last_value` has no value for a sequence that was not called, so
 * such a one is read itself. `query_to_xml` is how a statement reads a relation that it gets as a value: 3,000 of them take 60 ms,
 * and 2.5 s by a UNION that names each.
 */
const state = (sequence: string): string => `LATERAL (
  SELECT coalesce(last, substring(raw FROM '<last_value>(-?\\d+)<')::bigint) AS value, last IS NOT NULL OR raw LIKE '%<is_called>true<%' AS called
  FROM (
    SELECT last, CASE WHEN last IS NULL THEN query_to_xml(format('SELECT last_value, is_called FROM %s', ${sequence}), false, false, '')::text END AS raw
    FROM (SELECT pg_sequence_last_value(${sequence}) AS last OFFSET 0) l OFFSET 0) x)`;

const readSql = `
  SELECT coalesce(array_agg(s.value::text ORDER BY n), '{}') AS values, coalesce(array_agg(s.called ORDER BY n), '{}') AS called
  FROM unnest($1::text[]) WITH ORDINALITY AS q (name, n), LATERAL (SELECT q.name::regclass AS id OFFSET 0) r, ${state('r.id')} s`;

/**
 * A sequence is set where it would return a number that the other side has returned, and never backwards: a migration may have taken
 * numbers. One that cycles has no such order, and gets the other side's value. A value beyond the limit of the sequence leaves it
 * used up, as it is on the other side if it had the same limit.
 */
const setSql = `
  SELECT set_config('synchronous_commit', 'off', true), count(setval(id, CASE WHEN value < min THEN min WHEN value > max THEN max ELSE value END, called OR value NOT BETWEEN min AND max))::int AS moved
  FROM (
    SELECT r.id, w.value, w.called, p.seqmin AS min, p.seqmax AS max, p.seqcycle AS cycles, p.seqincrement > 0 AS up, s.value AS mine, s.called AS "mineCalled"
    FROM unnest($1::text[], $2::bigint[], $3::boolean[]) AS w (name, value, called), LATERAL (SELECT w.name::regclass AS id OFFSET 0) r
    JOIN pg_sequence p ON p.seqrelid = r.id, ${state('r.id')} s OFFSET 0) AS x
  WHERE CASE WHEN mine = value THEN called AND NOT "mineCalled" OR cycles AND called <> "mineCalled"
    WHEN cycles THEN true WHEN up THEN mine < value AND value >= min ELSE mine > value AND value <= max END`;

/** The values of sequences, in the order of the pairs, and whether each was given out. */
interface Numbers {
  values: string[];
  called: boolean[];
}

/** Sets the sequences of `to` to the values of `from`, and flushes nothing. Resolves to how many were set. */
export const carryOver = async (plan: SequencePlan, from: pg.Client, to: pg.Client): Promise<number> =>
  setNumbers(plan, to, await readNumbers(plan, from));

/** The first half of `carryOver`. */
export const readNumbers = ({ pairs }: SequencePlan, from: pg.Client): Promise<Numbers> =>
  read(
    from,
    pairs.map((pair) => pair.from),
  );

/** The second half. Not flushed: the next durable commit of that server does it. */
export const setNumbers = ({ pairs }: SequencePlan, to: pg.Client, numbers: Numbers): Promise<number> =>
  set(
    to,
    pairs.map((pair) => pair.to),
    numbers,
  );

// With a name a statement is parsed and planned once in a session.
const read = async (client: pg.Client, sequences: string[]): Promise<Numbers> =>
  (await client.query<Numbers>({ name: 'greenlight read sequences', text: readSql, values: [sequences] }))
    .rows[0] as Numbers;

const set = async (client: pg.Client, sequences: string[], { values, called }: Numbers): Promise<number> => {
  const query = { name: 'greenlight set sequences', text: setSql, values: [sequences, values, called] };
  return (await client.query<{ moved: number }>(query)).rows[0]?.moved ?? 0;
};
