import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Artefact } from '../../infra/model.ts';
import type { ReleaseDefinition } from '../config/schema.ts';
import { readMigrations } from '../data/migrations/files.ts';
import { judgeMigrations } from '../data/migrations/judge.ts';
import { placeOf } from '../data/migrations/problems.ts';
import { splitStatements } from '../data/migrations/statements.ts';
import type { Findings } from './findings.ts';

/**
 * Judges migrations that are SQL files without running them, as the gate `migrations` does for the first release: what only an older
 * version suffers from does not count.
 */
export async function checkMigrationFiles(
  artefact: Artefact,
  { application: { migrations } }: ReleaseDefinition,
  found: Findings,
): Promise<void> {
  if (migrations === undefined || !('directory' in migrations)) return;
  const about = 'application.migrations.directory';
  const directory = join(artefact.location, migrations.directory);
  if (!existsSync(directory)) {
    const cure = 'let the build write it there, or correct the path';
    found.error(about, `the build has no folder ${migrations.directory}`, cure);
    return;
  }
  const { files, problems } = await readMigrations(directory);
  const all = [...problems, ...files.flatMap(({ problem }) => problem ?? [])];
  for (const problem of all) found.error(placeOf(problem), problem.found, problem.todo);
  const toJudge = await Promise.all(
    files
      .filter(({ problem }) => problem === undefined)
      .map(async ({ name, sql }) => ({ name, statements: await splitStatements(sql), as: 'first' as const })),
  );
  const judged = judgeMigrations(toJudge).filter(({ rule }) => rule !== 'safe');
  for (const { file, line, why, instead, stops } of judged)
    found[stops ? 'error' : 'warning'](`${migrations.directory}/${file}:${line}`, why, instead);
  if (all.length === 0 && judged.length === 0) found.ok(about, `${files.length} SQL files, every statement judged`);
}
