import type pg from 'pg';
import { ownSchemas } from '../catalog.ts';
import { rows } from '../connect.ts';
import { isRefusal } from './reading.ts';

/** Where a sequence stands. It has no snapshot: it is read as it is at the time. */
export interface SequenceState {
  name: string;
  /** The value that the next call returns, less the step where one was returned already: `1042`, `1 (not used yet)`. */
  state: string;
  /** The last value that was given out, or the one before the first. */
  last: bigint;
  step: bigint;
  /** It only counts on, whatever happens: it does not cycle, and a crash does not empty it (`UNLOGGED`). */
  steady: boolean;
}

/** A sequence that is not the same on both sides. A side that does not have it has no state. */
export interface SequenceDifference {
  name: string;
  left?: string;
  right?: string;
}

/** Sequences per statement. */
const batch = 200;

interface Sequence {
  sql: string;
  name: string;
  step: string;
  steady: boolean;
}

const sequences = `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS sql, n.nspname || '.' || c.relname AS name,
    s.seqincrement::text AS step, NOT s.seqcycle AND c.relpersistence = 'p' AS steady
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence s ON s.seqrelid = c.oid
  WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND ${ownSchemas} ORDER BY 2`;

/**
 * Reads the value of every sequence. What else a sequence has is in the catalog. `onUnreadable` is called for one that the
 * session cannot read.
 */
export async function readSequences(
  client: pg.Client,
  wanted: (name: string) => boolean,
  onUnreadable: (name: string, reason: string) => void,
): Promise<SequenceState[]> {
  const all = (await rows<Sequence>(client, sequences)).filter(({ name }) => wanted(name));
  const found: SequenceState[] = [];
  for (let at = 0; at < all.length; at += batch) {
    const some = all.slice(at, at + batch);
    try {
      found.push(...(await statesOf(client, some)));
    } catch (error) {
      if (!isRefusal(error)) throw error;
      for (const one of some)
        await statesOf(client, [one]).then(
          (states) => found.push(...states),
          (reason: unknown) => {
            if (!isRefusal(reason)) throw reason;
            onUnreadable(one.name, reason.message);
          },
        );
    }
  }
  return found;
}

async function statesOf(client: pg.Client, some: readonly Sequence[]): Promise<SequenceState[]> {
  const sql = some
    .map(({ sql: from }, i) => `SELECT ${i} AS i, last_value::text AS value, is_called AS called FROM ${from}`)
    .join(' UNION ALL ');
  const values = new Map(
    (await rows<{ i: number; value: string; called: boolean }>(client, sql)).map((read) => [read.i, read]),
  );
  return some.flatMap(({ name, step, steady }, i) => {
    const read = values.get(i);
    if (read === undefined) return [];
    const { value, called } = read;
    const last = called ? BigInt(value) : BigInt(value) - BigInt(step);
    return [{ name, state: called ? value : `${value} (not used yet)`, last, step: BigInt(step), steady }];
  });
}

export function compareSequences(
  left: readonly SequenceState[],
  right: readonly SequenceState[],
): SequenceDifference[] {
  const theirs = new Map(right.map(({ name, state }) => [name, state]));
  const mine = new Set(left.map(({ name }) => name));
  return [
    ...left.flatMap(({ name, state }) => {
      const other = theirs.get(name);
      if (other === state) return [];
      return [{ name, left: state, ...(other === undefined ? {} : { right: other }) }];
    }),
    ...right.flatMap(({ name, state }) => (mine.has(name) ? [] : [{ name, right: state }])),
  ];
}
