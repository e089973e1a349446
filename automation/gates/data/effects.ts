import type { Effect } from '../../data/effects/effect.ts';
import type { LockHeld } from '../../data/effects/locks.ts';
import { migrationEffectsGateId, riskMeasurement, withChoice } from '../../journal/migration-risks.ts';
import { check, type Findings, type Gate, type Measurement } from '../../journal/verdict.ts';

/** What migrations were seen to do on a copy of the real data. */
export interface EffectFacts {
  /** Tables and rows that were read before and after. */
  tables: number;
  rows: number;
  /** What nobody had announced. */
  effects: Effect[];
  /** Findings that the judgement of the files has named already. */
  announced: number;
  locks: LockHeld[];
  /** What a second run of the application's own command changed; absent where files ran, which have a record of their own. */
  again?: string[];
}

/** A finding about an object of the database that the release definition accepts. */
export interface EffectAcceptance {
  object: string;
  rule: string;
  reason: string;
}

export const effectsTitle = 'Migrations: judged by what they did to the copy';

/** The difference of catalog and rows before and after, judged by the rules for SQL files. */
export function migrationEffectsGate(options: { seen: EffectFacts; accept: readonly EffectAcceptance[] }): Gate {
  return {
    id: migrationEffectsGateId,
    title: effectsTitle,
    async measure({ evidence }) {
      await evidence.write('facts.json', JSON.stringify(options.seen, undefined, 2));
      return judgeEffectFacts(options.seen, options.accept);
    },
  };
}

const looked = { name: 'copy', wanted: 'read before and after' };

export function judgeEffectFacts(facts: EffectFacts, accept: readonly EffectAcceptance[]): Findings {
  const { tables, rows, effects, announced, locks, again } = facts;
  const found = withChoice(effects.map((effect) => measurementOf(effect, accept)));
  const [longest] = locks;
  const read: Measurement =
    tables === 0
      ? {
          ...looked,
          measured: 'no table',
          verdict: 'inconclusive',
          note: 'No table was there: check that it is the right database.',
          noTable: true,
        }
      : check(looked.name, looked.wanted, `${tables} tables, ${rows} rows`, true);
  const lock = longest === undefined ? 'none was seen' : `${longest.mode} on ${longest.table}, ${longest.ms} ms`;
  const measurements = [
    ...found,
    ...(again === undefined ? [] : [judgeAgain(again)]),
    check('longest lock', 'measured', lock, true),
    read,
  ];
  const said = announced === 0 ? '' : `; ${announced} that the files announce`;
  return {
    measurements,
    ...(found.length === 0
      ? { summary: { measured: `nothing to name in ${read.measured}${said}`, wanted: looked.wanted } }
      : {}),
  };
}

/** A command that has its own record of what it did does nothing the second time. */
const judgeAgain = (again: readonly string[]): Measurement =>
  check(
    'second run of the command',
    'changes nothing',
    again.length === 0 ? 'nothing' : again.join('; '),
    again.length === 0,
    'The command has to keep a record of what it has done: a release that is resumed runs it again.',
  );

function measurementOf(
  { object, rule, stops, why, instead }: Effect,
  accept: readonly EffectAcceptance[],
): Measurement {
  if (rule === 'unread' || rule === 'not-transactional')
    return {
      name: object,
      measured: why,
      wanted: 'a change that can be judged',
      verdict: 'inconclusive',
      note: `${object}: ${instead}.`,
    };
  const accepted = accept.find((entry) => entry.object === object && entry.rule === rule)?.reason;
  const risk = { rule, place: object, why, ...(accepted === undefined ? {} : { accepted }) };
  return riskMeasurement(risk, { stops, instead });
}
