import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Artefact } from '../../../../infra/model.ts';
import { passes } from '../../../journal/verdict.ts';
import { migrationsGateId } from '../../../journal/migration-risks.ts';
import { judgeMigrations, type FileToJudge } from '../../../data/migrations/judge.ts';
import { phaseOf, phases as inOrder, type LaterFiles } from '../../../data/migrations/phases.ts';
import { readMigrations, type MigrationFile } from '../../../data/migrations/files.ts';
import type { FileProblem } from '../../../data/migrations/problems.ts';
import { splitStatements } from '../../../data/migrations/statements.ts';
import { migrationsGate, migrationsTitle, type MigrationFacts } from '../../../gates/data/migrations.ts';
import type { ReleaseContext } from '../../context/context.ts';
import type { Release } from '../../context/release.ts';
import { StageStopped, type Step } from '../../context/stage.ts';
import { laterFiles, type FileMigrations } from './migrate.ts';

/**
 * Judges the migrations of the new build, where they are SQL files. Stops the stage if they do not pass: every later step
 * would run them.
 */
export function judging({ definition, from }: Release): Step[] {
  const { migrations } = definition.application;
  if (migrations === undefined || !('directory' in migrations)) return [];
  return [
    {
      says: 'judge every statement of the migrations that the live version does not have',
      gates: { [migrationsGateId]: migrationsTitle },
      async do(context) {
        const read = () => readFacts(context, migrations, from?.artefact);
        const [judged] = await context.gates([migrationsGate({ read, accept: migrations.accept })]);
        if (judged === undefined || passes(judged.verdict)) return;
        throw new StageStopped('no-go', `${judged.title}: ${judged.verdict} (${judged.measured})`);
      },
    },
  ];
}

async function readFacts(
  context: ReleaseContext,
  migrations: FileMigrations,
  old: Artefact | undefined,
): Promise<MigrationFacts> {
  const { artefact, files, problems, before, later, pending, phases, toJudge } = await filesOfRelease(
    context,
    migrations,
    old,
  );
  const isNewest = artefact.version === context.definition.application.version;
  const accepted = isNewest ? migrations.accept.flatMap(({ file }) => file ?? []) : [];
  return {
    pending: phases.flat().map(({ name }) => name),
    problems: [
      ...problems,
      ...pending.flatMap(({ problem }) => problem ?? []),
      ...changed(files, before),
      ...phases.flatMap(outOfOrder),
      ...withoutFile(later, files),
      ...(old === undefined ? [] : outOfWindow(later, before, isNewest)),
    ],
    judgements: judgeMigrations(toJudge),
    unknown: accepted.filter((name) => !files.some((file) => file.name === name)),
  };
}

/** What the version that is live brought is taken to be applied; the migration itself asks the database. */
export async function filesOfRelease(context: ReleaseContext, migrations: FileMigrations, old: Artefact | undefined) {
  const artefact = context.artefact();
  const { files, problems } = await readMigrations(join(artefact.location, migrations.directory));
  const before = old === undefined ? [] : await filesOf(old, migrations);
  const later = laterFiles(context, artefact, migrations);
  const pending = files.filter(({ name }) => !before.some((file) => file.name === name));
  const phases = inOrder.map((phase) => pending.filter(({ name }) => phaseOf(name, later) === phase));
  const toJudge = await Promise.all([
    ...before.map((file) => toStatements(file, 'applied')),
    ...phases.flat().map((file) => toStatements(file, old === undefined ? 'first' : phaseOf(file.name, later))),
  ]);
  return { artefact, files, problems, before, later, pending, phases, toJudge };
}

/** An older version may have had none, or a command in their place. */
async function filesOf({ location }: Artefact, { directory }: FileMigrations): Promise<MigrationFile[]> {
  const path = join(location, directory);
  return existsSync(path) ? (await readMigrations(path)).files : [];
}

const toStatements = async (file: MigrationFile, as: FileToJudge['as']): Promise<FileToJudge> => ({
  name: file.name,
  // A file that cannot be run has its problem, and no statement that could be judged.
  statements: file.problem === undefined || as === 'applied' ? await splitStatements(file.sql) : [],
  as,
});

const changed = (files: readonly MigrationFile[], before: readonly MigrationFile[]): FileProblem[] =>
  files.flatMap(({ name, checksum }) => {
    const old = before.find((file) => file.name === name);
    if (old === undefined || old.checksum === checksum) return [];
    return [
      {
        file: name,
        found: 'the live version has it with another content, so it was applied already',
        todo: 'restore the file, and put the change into a new one',
      },
    ];
  });

const withoutFile = (later: LaterFiles, files: readonly MigrationFile[]): FileProblem[] =>
  (['incompatible', 'contract'] as const).flatMap((list) =>
    later[list]
      .filter((name) => !files.some((file) => file.name === name))
      .map((file) => ({
        file,
        found: `migrations.${list} names it, and there is no such file`,
        todo: 'correct the name',
      })),
  );

/** The read-only window is about one release, and one version: nothing opens it for what is live already, or for another version. */
const outOfWindow = (
  { incompatible }: LaterFiles,
  before: readonly MigrationFile[],
  isNewest: boolean,
): FileProblem[] =>
  incompatible.flatMap((file): FileProblem[] => {
    if (before.some(({ name }) => name === file))
      return isNewest
        ? [
            {
              file,
              found: 'migrations.incompatible names it, and the live version has it already',
              todo: 'take migrations.incompatible out of the definition: its release is done',
            },
          ]
        : [];
    return isNewest
      ? []
      : [
          {
            file,
            found: 'migrations.incompatible names it, and only application.version gets a read-only window',
            todo: 'set application.version to the version that is to be released',
          },
        ];
  });

/** Names are compared as text, in which `10_x.sql` comes before `2_x.sql`. */
function outOfOrder(files: readonly MigrationFile[]): FileProblem[] {
  const numbered = files.flatMap(({ name }) => {
    const digits = /^V?(\d+)/i.exec(name)?.[1];
    return digits === undefined ? [] : [{ name, number: BigInt(digits) }];
  });
  return numbered.flatMap(({ name, number }, index) => {
    const later = numbered.slice(index + 1).find((other) => other.number < number);
    if (later === undefined) return [];
    return [
      {
        file: name,
        found: `it would run before ${later.name}, as names are compared as text`,
        todo: 'give all numbers the same number of digits',
      },
    ];
  });
}
