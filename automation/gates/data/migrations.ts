import type { Judgement } from '../../data/migrations/judge.ts';
import { placeOf, type FileProblem } from '../../data/migrations/problems.ts';
import { migrationsGateId, riskMeasurement, withChoice } from '../../journal/migration-risks.ts';
import { check, type Findings, type Gate, type Measurement } from '../../journal/verdict.ts';

/** A finding that the release definition accepts. One without a file is about the copy (`effects.ts`). */
export interface Acceptance {
  file?: string | undefined;
  rule: string;
  reason: string;
}

/** What is known of the migrations that a version brings, before any of them has run. */
export interface MigrationFacts {
  /** Names of the files that are to be applied, in the order in which they run. */
  pending: string[];
  problems: FileProblem[];
  judgements: Judgement[];
  /** Names in `migrations.accept` that no file has. */
  unknown: string[];
}

export const migrationsTitle = 'Migrations: judged statement by statement';

/** Every statement of the migrations, judged by its parse tree: before anything of the release runs anywhere. */
export function migrationsGate(options: { read: () => Promise<MigrationFacts>; accept: readonly Acceptance[] }): Gate {
  return {
    id: migrationsGateId,
    title: migrationsTitle,
    async measure({ evidence }) {
      const facts = await options.read();
      await evidence.write('facts.json', JSON.stringify(facts, undefined, 2));
      return judgeFacts(facts, options.accept);
    },
  };
}

export function judgeFacts(
  { pending, problems, judgements, unknown }: MigrationFacts,
  accept: readonly Acceptance[],
): Findings {
  const found = withChoice(judgements.flatMap((judgement) => measurementOf(judgement, accept) ?? []));
  const measured = [
    ...problems.map((problem): Measurement => ({
      name: placeOf(problem),
      measured: problem.found,
      wanted: 'files that run once, from top to bottom',
      verdict: 'fail',
      note: `${placeOf(problem)}: ${problem.todo}.`,
    })),
    ...unknown.map((file) =>
      check(
        'migrations.accept',
        'names of files',
        `there is no file ${file}`,
        false,
        'Correct the name, or remove the entry.',
      ),
    ),
    ...found,
  ];
  const counted = `${judgements.length} statements of ${pending.length} files`;
  const all = check(
    'statements',
    'each judged, if any is pending',
    pending.length === 0 ? 'none is pending' : counted,
    true,
  );
  if (pending.length > 0 && judgements.length === 0 && measured.length === 0)
    return {
      measurements: [{ ...all, measured: 'none', verdict: 'inconclusive', note: 'The files hold no statement.' }],
    };
  const risks = found.length === 0 ? '' : `; ${found.length} named as ${found.length === 1 ? 'a risk' : 'risks'}`;
  return { measurements: [...measured, all], summary: { measured: `${all.measured}${risks}`, wanted: all.wanted } };
}

function measurementOf(
  { file, line, rule, stops, why, instead }: Judgement,
  accept: readonly Acceptance[],
): Measurement | undefined {
  const place = placeOf({ file, line });
  const note = `${place}: ${instead}.`;
  switch (rule) {
    case 'safe':
      return undefined;
    case 'unread':
      return { name: place, measured: why, wanted: 'SQL that can be judged', verdict: 'inconclusive', note };
    case 'not-transactional':
      return check(`${rule} ${place}`, 'what can run in a transaction', why, false, note);
    default: {
      const accepted = accept.find((entry) => entry.file === file && entry.rule === rule)?.reason;
      const risk = { rule, place, why, ...(accepted === undefined ? {} : { accepted }) };
      return riskMeasurement(risk, { stops, instead });
    }
  }
}
