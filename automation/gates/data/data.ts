import type { TableComparison } from '../../journal/events.ts';
import { check, type Gate, type Measurement } from '../../journal/verdict.ts';
import type { SyncFacts } from '../../data/replication/sync-facts.ts';
import { dataGate, judgeComparison, judgeInvariants, nothingThere, within, type InvariantResult } from './judging.ts';

/** The replication to the inactive colour is running, and its lag is below the limit. */
export function syncGate(options: { probe: () => Promise<SyncFacts>; maxLagSeconds: number }): Gate {
  return dataGate('sync', 'Replication to the inactive colour', options.probe, (facts) =>
    judgeSync(facts, options.maxLagSeconds * 1000),
  );
}

/** Judges a replication. Tables stay `ready` when the slot is lost or the worker is dead, so both are checked too. */
export function judgeSync(facts: SyncFacts, maxLagMs: number): Measurement[] {
  const waiting = facts.tables.filter(({ ready }) => !ready).map(({ table }) => table);
  const slot = facts.slotStatus ?? 'no slot';
  return [
    facts.tables.length === 0
      ? {
          name: 'tables copied',
          measured: 'none is replicated',
          wanted: '>= 1',
          verdict: 'inconclusive',
          note: 'No table is published: check the publication.',
          noTable: true,
        }
      : check(
          'tables copied',
          `${facts.tables.length}`,
          `${facts.tables.length - waiting.length}`,
          waiting.length === 0,
          `Not complete: ${waiting.join(', ')}.`,
        ),
    check(
      'apply worker',
      'alive',
      facts.workerAlive ? 'alive' : 'dead',
      facts.workerAlive,
      'Look at the log of the inactive database.',
    ),
    check(
      'replication slot',
      'reserved or extended',
      slot,
      slot === 'reserved' || slot === 'extended',
      'The copy has missed changes and must be created again.',
    ),
    within('lag', facts.lagMs, maxLagMs),
  ];
}

/** What was compared of the inactive database and the live one. */
export interface FollowingFacts {
  tables: TableComparison[];
  schema: {
    /** Objects of the live catalog that were compared. */
    objects: number;
    /** Those that differ by more than the expand migrations, a text each. */
    different: string[];
  };
}

/** Compares the inactive database with the live one, which is written to meanwhile. */
export function followingGate(options: { title: string; compare: () => Promise<FollowingFacts> }): Gate {
  return dataGate('following', options.title, options.compare, ({ tables, schema }) => [
    ...judgeComparison(tables),
    ...judgeSchema(schema),
  ]);
}

/** No object at all is inconclusive: then a wrong or an empty database was looked at. */
export function judgeSchema({ objects, different }: FollowingFacts['schema']): Measurement[] {
  const name = 'objects compared';
  const wanted = 'equal but for the expand migrations';
  if (objects === 0) return [nothingThere(name, wanted, 'No object was found: check the database.')];
  return [
    check(name, wanted, `${objects}, ${different.length} differ`, different.length === 0, 'They are listed below.'),
    ...different.map((text) =>
      check('schema', wanted, text, false, 'Start the release again: the inactive colour is then copied afresh.'),
    ),
  ];
}

/** Compares two databases, or a database and its copy, and checks the invariants. */
export function dataComparisonGate(options: {
  compare: () => Promise<{ tables: TableComparison[]; invariants: InvariantResult[] }>;
}): Gate {
  return dataGate('data-comparison', 'Data complete and unchanged', options.compare, ({ tables, invariants }) => [
    ...judgeComparison(tables),
    ...judgeInvariants(invariants),
  ]);
}
