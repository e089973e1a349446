import type { TableComparison } from '../../journal/events.ts';
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

/** An invariant of the release definition, checked: rows where it is broken. */
export interface InvariantResult {
  name: string;
  rows: number;
}

/** What a restore into a scratch cluster showed. */
export interface RestoreFacts {
  /** The restored tables (right) against the state that was backed up (left). */
  tables: TableComparison[];
  /** From the start of the restore until the database answered: RTO measured. */
  recoveryTimeMs: number;
  /** Age of the restored state when the backup was complete: what would have been lost. RPO measured. */
  recoveryPointMs: number;
  bytes: number;
  /** Whether the configuration came back as it was backed up. */
  configurationEqual: boolean;
}

/** Longest times that are acceptable, milliseconds. */
export interface RecoveryLimits {
  timeMs: number;
  pointMs: number;
}

const defaultLimits: RecoveryLimits = { timeMs: 15 * 60_000, pointMs: 5 * 60_000 };

/** The newest backup is restored and compared: the only proof that there is one. */
export function backupRestoreGate(options: {
  id: string;
  title: string;
  restore: () => Promise<RestoreFacts>;
  limits?: RecoveryLimits;
}): Gate {
  return dataGate(options.id, options.title, options.restore, (facts) =>
    judgeRestore(facts, options.limits ?? defaultLimits),
  );
}

export function judgeRestore(facts: RestoreFacts, limits: RecoveryLimits): Measurement[] {
  return [
    ...judgeComparison(facts.tables),
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

/** What applying the migrations to restored data showed. */
export interface RehearsalFacts {
  /** Names of the migrations that the version brings and the data did not have yet, in order. */
  expected: string[];
  applied: { name: string; ms: number }[];
  /** Relations (tables, views) of the schema afterwards; none means that the wrong database was looked at. */
  relations: number;
  invariants: InvariantResult[];
  /** Why changes could not flow between the old schema and this one, both ways, and what would help. */
  obstacles?: { found: string; cure: string }[];
}

/** The migrations on a copy of the real data, timed, and the invariants after them. */
export function migrationRehearsalGate(options: { rehearse: () => Promise<RehearsalFacts> }): Gate {
  return dataGate('migration-rehearsal', 'Migrations rehearsed on real data', options.rehearse, judgeRehearsal);
}

/**
 * The contract migrations on the same copy, and the new version's acceptance tests on what they leave. Where none is pending there
 * is nothing to try, and that is said.
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
          note: 'Nothing was there to migrate.',
        },
    ...judgeInvariants(facts.invariants),
    ...(facts.obstacles ?? []).map(({ found, cure }) =>
      check('way back', 'changes can flow, both ways', found, false, `Cure: ${cure}`),
    ),
  ];
}
/** The replication to the inactive colour is alive and close. */
export function syncGate(options: { probe: () => Promise<SyncFacts>; maxLagSeconds: number }): Gate {
  return dataGate('sync', 'Replication to the inactive colour', options.probe, (facts) =>
    judgeSync(facts, options.maxLagSeconds * 1000),
  );
}

/**
 * Judges a replication. That every table is ready is not enough: it stays so when the slot is lost or the worker is
 * dead.
 */
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
          note: 'Nothing is published.',
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

/** The side that follows holds what the live one holds, which is written to meanwhile. */
export function followingGate(options: { title: string; compare: () => Promise<TableComparison[]> }): Gate {
  return dataGate('following', options.title, options.compare, judgeComparison);
}

/** Two databases, or a database and what it is copied from, hold the same. */
export function dataComparisonGate(options: {
  compare: () => Promise<{ tables: TableComparison[]; invariants: InvariantResult[] }>;
}): Gate {
  return dataGate('data-comparison', 'Data complete and unchanged', options.compare, ({ tables, invariants }) => [
    ...judgeComparison(tables),
    ...judgeInvariants(invariants),
  ]);
}

/** One measurement for each table that differs, one for all that are equal. Nothing compared is no proof. */
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
  // A table that one side alone has counts as equal and says so in its detail; other counts must be the same.
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
      'See the tables below.',
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

/** One measurement per invariant; none at all is nothing to judge, as a release definition may have none. */
export function judgeInvariants(invariants: InvariantResult[]): Measurement[] {
  return invariants.map(({ name, rows }) =>
    check(
      `invariant ${name}`,
      'no row breaks it',
      rows === 0 ? 'holds' : `${rows} rows break it`,
      rows === 0,
      'The data is not as the application needs it.',
    ),
  );
}

function within(name: string, ms: number | undefined, maxMs: number): Measurement {
  const wanted = `<= ${maxMs / 1000} s`;
  if (ms === undefined || !Number.isFinite(ms)) {
    return { name, measured: 'unknown', wanted, verdict: 'inconclusive', note: 'It could not be measured.' };
  }
  return check(name, wanted, ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`, ms <= maxMs);
}

/** A gate whose facts come from elsewhere: keeps them as evidence, and judges them. */
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
