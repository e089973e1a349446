import {
  check,
  passes,
  worst,
  type Findings,
  type Gate,
  type GateRun,
  type Measurement,
} from '../../journal/verdict.ts';
import { judgeEffectFacts, type EffectAcceptance, type EffectFacts } from './effects.ts';
import { dataGate, judgeInvariants, type InvariantResult } from './judging.ts';

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
  rehearse: () => Promise<RehearsalFacts & { seen?: EffectFacts }>;
  accept: readonly EffectAcceptance[];
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
      const effects = facts.seen === undefined ? [] : judgeEffectFacts(facts.seen, options.accept).measurements;
      const measurements = [...judgeRehearsal(facts), ...effects];
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
          noTable: true,
        },
    ...judgeInvariants(facts.invariants),
    ...(facts.obstacles ?? []).map(({ found, cure }) =>
      check('way back', 'changes can flow, both ways', found, false, `Cure: ${cure}`),
    ),
  ];
}
