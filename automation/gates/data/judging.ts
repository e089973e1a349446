import type { TableComparison } from '../../journal/events.ts';
import { check, type Gate, type Measurement } from '../../journal/verdict.ts';

/** What the gates of the data share. */

/** Result of one invariant of the release definition. */
export interface InvariantResult {
  name: string;
  /** Rows that break it. */
  rows: number;
  /** Names of the tables that it reads, where none of them has a row. */
  empty?: string[];
}

/** Nothing was found to look at: inconclusive, as a wrong or an empty database may have been asked. */
export const nothingThere = (name: string, wanted: string, note: string): Measurement => ({
  name,
  measured: 'none',
  wanted,
  verdict: 'inconclusive',
  note,
  noTable: true,
});

/** One measurement for all tables, and one for each table that differs. No table, or only empty ones: inconclusive. */
export function judgeComparison(tables: TableComparison[]): Measurement[] {
  const name = 'tables compared';
  const wanted = 'equal, with rows in them';
  if (tables.length === 0) {
    return [nothingThere(name, wanted, 'No table was compared: check the database.')];
  }
  const rows = tables.reduce((sum, table) => sum + table.rows.left, 0);
  if (rows === 0 && tables.every((table) => table.rows.right === 0)) {
    return [
      {
        name,
        measured: `${tables.length}, all empty`,
        wanted,
        verdict: 'inconclusive',
        note: 'Empty tables are always equal: check that this is the right database.',
      },
    ];
  }
  // A table that exists on one side only has `equal: true` and a `detail`. All others must have the same number of
  // rows.
  const different = tables.filter(
    ({ equal, detail, rows: { left, right } }) => !equal || (left !== right && detail === undefined),
  );
  const same = tables.length - different.length;
  return [
    check(
      name,
      wanted,
      `${same} of ${tables.length} equal, ${rows} rows`,
      different.length === 0,
      'The tables that differ are listed below.',
    ),
    ...different.map(({ table, rows: { left, right }, detail }) =>
      check(
        `table ${table}`,
        `${left} equal rows`,
        `${right} rows${detail === undefined ? '' : `: ${detail}`}`,
        false,
        'It differs.',
      ),
    ),
  ];
}

/** One measurement per invariant. A release definition may have none, so none is not inconclusive. */
export function judgeInvariants(invariants: InvariantResult[]): Measurement[] {
  return invariants.map(({ name, rows, empty }) =>
    empty === undefined || rows > 0
      ? check(
          `invariant ${name}`,
          'no row breaks it',
          rows === 0 ? 'holds' : `${rows} rows break it`,
          rows === 0,
          'Look for the rows that break it: the application relies on this invariant.',
        )
      : {
          name: `invariant ${name}`,
          measured: `no row was looked at: ${empty.join(', ')}`,
          wanted: 'no row breaks it',
          verdict: 'inconclusive',
          note: 'An invariant over empty tables always holds: check that it names the right ones.',
        },
  );
}

export function within(name: string, ms: number | undefined, maxMs: number): Measurement {
  const wanted = `<= ${maxMs / 1000} s`;
  if (ms === undefined || !Number.isFinite(ms)) {
    return { name, measured: 'unknown', wanted, verdict: 'inconclusive', note: 'This could not be measured.' };
  }
  return check(name, wanted, ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`, ms <= maxMs);
}

/** A gate that reads facts, writes them to the evidence and judges them. */
export function dataGate<Facts>(
  id: string,
  title: string,
  read: () => Promise<Facts>,
  judge: (facts: Facts) => Measurement[],
): Gate {
  return {
    id,
    title,
    async measure({ evidence }) {
      const facts = await read();
      await evidence.write('facts.json', JSON.stringify(facts, undefined, 2));
      return { measurements: judge(facts) };
    },
  };
}
