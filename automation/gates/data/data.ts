import type { StructureComparison, TableComparison } from '../../journal/events.ts';
import {
  check,
  passes,
  worst,
  type Findings,
  type Gate,
  type GateRun,
  type Measurement,
} from '../../journal/verdict.ts';
import type { SyncFacts } from '../../data/replication/sync-facts.ts';

/** Result of one invariant of the release definition. */
export interface InvariantResult {
  name: string;
  /** Rows that break it. */
  rows: number;
  /** Names of the tables that it reads, where none of them has a row. */
  empty?: string[];
}

/** Result of restoring a backup into a scratch cluster. */
export interface RestoreFacts {
  /** The restored tables (right) against the state that was backed up (left). */
  tables: TableComparison[];
  /** The restored catalog and sequences against those that were backed up. */
  structure: StructureComparison;
  /** The measured RTO: from the start of the restore until the database answered. */
  recoveryTimeMs: number;
  /** The measured RPO: age of the restored state when the backup was complete. Later writes would have been lost. */
  recoveryPointMs: number;
  bytes: number;
  /** Whether the restored configuration equals the one that was backed up. */
  configurationEqual: boolean;
}

/** Longest acceptable recovery time (RTO) and recovery point (RPO), milliseconds. */
export interface RecoveryLimits {
  timeMs: number;
  pointMs: number;
}

/** Restores a backup and compares it with the state that was backed up. */
export function backupRestoreGate(options: {
  id: string;
  title: string;
  restore: () => Promise<RestoreFacts>;
  limits: RecoveryLimits;
}): Gate {
  return dataGate(options.id, options.title, options.restore, (facts) => judgeRestore(facts, options.limits));
}

export function judgeRestore(facts: RestoreFacts, limits: RecoveryLimits): Measurement[] {
  return [
    ...judgeComparison(facts.tables),
    ...judgeStructure(facts.structure),
    check(
      'backup',
      'not empty',
      `${facts.bytes} bytes`,
      facts.bytes > 0,
      'The backup is empty: restoring it would recover no data.',
    ),
    check(
      'configuration',
      'restored as backed up',
      facts.configurationEqual ? 'equal' : 'differs',
      facts.configurationEqual,
    ),
    within('recovery time', facts.recoveryTimeMs, limits.timeMs),
    within('recovery point', facts.recoveryPointMs, limits.pointMs),
  ];
}

/** How many texts of a kind become measurements. The evidence has all. */
const namedAtMost = 20;

/** No object at all is inconclusive: then a wrong or an empty database was looked at. So is what could not be judged. */
function judgeStructure({
  objects,
  sequences,
  sequencesLeftOut,
  different,
  unknown,
}: StructureComparison): Measurement[] {
  const name = 'objects and sequences compared';
  const wanted = 'as backed up';
  if (objects === 0)
    return [
      { name, measured: 'none', wanted, verdict: 'inconclusive', note: 'No object was found: check the database.' },
    ];
  const leftOut = sequencesLeftOut === 0 ? '' : ` (${sequencesLeftOut} not judged)`;
  const measured = `${objects} objects, ${sequences} sequences${leftOut}, ${different.length} differ`;
  return [
    check(name, wanted, measured, different.length === 0, 'The first of them are listed below, all in the evidence.'),
    ...different
      .slice(0, namedAtMost)
      .map((text) => check('restored', wanted, text, false, 'A database restored from this backup would differ.')),
    ...unknown.slice(0, namedAtMost).map((text): Measurement => ({
      name: 'restored',
      measured: text,
      wanted,
      verdict: 'inconclusive',
      note: 'Start the release again while nobody changes the schema; a sequence that cannot be read needs a GRANT to the administrator.',
    })),
  ];
}

/** Result of applying the migrations to restored data. */
export interface RehearsalFacts {
  /** Names of the version's migrations that were not yet applied to the data, in order. */
  expected: string[];
  applied: { name: string; ms: number }[];
  /** Tables and views of the schema afterwards. 0: an empty or wrong database was examined. */
  relations: number;
  invariants: InvariantResult[];
  /**
   * Why changes could not be replicated between the old schema and this one, in either direction: one per table, each
   * with its cure.
   */
  obstacles?: { found: string; cure: string }[];
}

/** Applies the migrations to a copy of the real data, measures their duration and checks the invariants afterwards. */
export function migrationRehearsalGate(options: { rehearse: () => Promise<RehearsalFacts> }): Gate {
  return dataGate('migration-rehearsal', 'Migrations rehearsed on real data', options.rehearse, judgeRehearsal);
}

/**
 * Applies the contract migrations to the same copy and runs the new version's acceptance tests on the result. Passes if
 * no contract migration is pending.
 */
export function contractRehearsalGate(options: {
  rehearse: () => Promise<RehearsalFacts>;
  acceptance: (run: GateRun) => Promise<Findings>;
}): Gate {
  return {
    id: 'contract-rehearsal',
    title: 'Contract migrations rehearsed on real data',
    async measure(run) {
      const facts = await options.rehearse();
      await run.evidence.write('facts.json', JSON.stringify(facts, undefined, 2));
      if (facts.expected.length === 0)
        return {
          measurements: [check('contract migrations', 'rehearsed, if any is pending', 'none is pending', true)],
        };
      const measurements = judgeRehearsal(facts);
      if (!passes(worst(measurements.map(({ verdict }) => verdict)))) return { measurements };
      const { measurements: tests } = await options.acceptance(run);
      return { measurements: [...measurements, ...tests] };
    },
  };
}

export function judgeRehearsal(facts: RehearsalFacts): Measurement[] {
  const applied = facts.applied.map(({ name }) => name);
  const missing = facts.expected.filter((name) => !applied.includes(name));
  const ms = facts.applied.reduce((sum, migration) => sum + migration.ms, 0);
  return [
    check(
      'migrations applied',
      `${facts.expected.length}`,
      `${applied.length} in ${Math.round(ms)} ms`,
      missing.length === 0,
      `Not applied: ${missing.join(', ')}.`,
    ),
    facts.relations > 0
      ? check('schema afterwards', 'not empty', `${facts.relations} relations`, true)
      : {
          name: 'schema afterwards',
          measured: 'empty',
          wanted: 'not empty',
          verdict: 'inconclusive',
          note: 'The database has no tables or views: check that it is the right one.',
        },
    ...judgeInvariants(facts.invariants),
    ...(facts.obstacles ?? []).map(({ found, cure }) =>
      check('way back', 'changes can flow, both ways', found, false, `Cure: ${cure}`),
    ),
  ];
}

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
  if (objects === 0)
    return [
      { name, measured: 'none', wanted, verdict: 'inconclusive', note: 'No object was found: check the database.' },
    ];
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

/** One measurement for all tables, and one for each table that differs. No table, or only empty ones: inconclusive. */
export function judgeComparison(tables: TableComparison[]): Measurement[] {
  const name = 'tables compared';
  const wanted = 'equal, with rows in them';
  if (tables.length === 0) {
    return [
      { name, measured: 'none', wanted, verdict: 'inconclusive', note: 'No table was compared: check the database.' },
    ];
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

function within(name: string, ms: number | undefined, maxMs: number): Measurement {
  const wanted = `<= ${maxMs / 1000} s`;
  if (ms === undefined || !Number.isFinite(ms)) {
    return { name, measured: 'unknown', wanted, verdict: 'inconclusive', note: 'This could not be measured.' };
  }
  return check(name, wanted, ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`, ms <= maxMs);
}

/** A gate that reads facts, writes them to the evidence and judges them. */
function dataGate<Facts>(
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
