import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Artefact } from '../../../../infra/model.ts';
import type { DatabaseAccess } from '../../../../infra/platform/databases.ts';
import type { Jobs, Job } from '../../../../infra/platform/jobs.ts';
import type { ReleaseDefinition } from '../../../config/schema.ts';
import { withClient } from '../../../data/connect.ts';
import { standDown, standIn } from '../../../data/migrations/again.ts';
import { noteOwnRecords } from '../../../data/own-records.ts';
import { pendingMigrations, runMigrations } from '../../../data/migrations/migrations.ts';
import type { LaterFiles, Phase } from '../../../data/migrations/phases.ts';
import type { ReleaseContext } from '../../context/context.ts';
import type { Event } from '../../../journal/events.ts';
import { databaseUrl } from '../../../../infra/application/database-url.ts';
import { OperationError } from '../../../../infra/lib/errors.ts';

/** Migrations that are SQL files. */
export type FileMigrations = Extract<
  NonNullable<ReleaseDefinition['application']['migrations']>,
  { directory: string }
>;

type Where = Extract<Event, { type: 'migration.applied' }>['where'];

/** In the read-only window, which ends the command by its signal, as long as the longest window. */
const commandTimeoutMs: Record<Phase, number> = {
  expand: 15 * 60_000,
  incompatible: 60 * 60_000,
  contract: 15 * 60_000,
};

export interface MigrateTarget {
  access: DatabaseAccess;
  artefact: Artefact;
  where: Where;
  jobs: Jobs;
  /** Ends what runs, which is rolled back where files run. Rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** What a migration needs of a release. */
export type MigrationContext = Pick<ReleaseContext, 'definition' | 'journal' | 'act' | 'evidence' | 'signal'>;

/** Brings the schema to what `artefact` needs, by plain SQL files or the application's own command; records each step. */
export async function migrate(
  context: MigrationContext,
  phase: Phase,
  target: MigrateTarget,
): Promise<{ name: string; ms: number }[]> {
  const { access, artefact, where } = target;
  const { migrations } = context.definition.application;
  if (migrations === undefined) return [];
  const applied = (name: string, ms: number) =>
    context.journal.append({ type: 'migration.applied', where, name, phase, ms: Math.round(ms) });
  const what = `${phase} migrations of ${artefact.version} on ${where}`;

  return context.act(`migrate-${phase}-${where}`, what, async () => {
    if ('directory' in migrations) {
      const done = await runMigrations({
        access,
        directory: join(artefact.location, migrations.directory),
        phase,
        ...laterFiles(context, artefact, migrations),
        signal: target.signal,
      });
      for (const { name, ms } of done) applied(name, ms);
      return done;
    }
    const command = commandOf(context, phase, artefact);
    if (command === undefined) return [];
    const again = phase === 'expand' ? await withClient(access, 'admin', standIn) : [];
    const started = performance.now();
    await runCommand(context, what, command, target, { phase, log: phase });
    if (again.length > 0) await withClient(access, 'admin', (client) => standDown(client, again));
    await withClient(access, 'admin', (client) => noteOwnRecords(client, migrations.records));
    const done = { name: command.join(' '), ms: performance.now() - started };
    applied(done.name, done.ms);
    return [done];
  });
}

/** All that a database gets at once on which no older version runs. */
export async function migrateAtOnce(context: MigrationContext, target: MigrateTarget): Promise<void> {
  await migrate(context, 'expand', target);
  if (context.definition.application.migrations?.incompatible !== undefined)
    await migrate(context, 'incompatible', target);
}

/**
 * Names of the migrations of a phase that are still to be applied. The application's own command, where the definition names one,
 * counts as one: whether there is anything left for it to do only it knows.
 */
export async function pendingOf(
  context: ReleaseContext,
  phase: Phase,
  access: DatabaseAccess,
  artefact: Artefact,
): Promise<string[]> {
  const { migrations } = context.definition.application;
  if (migrations === undefined || !('directory' in migrations)) {
    const command = commandOf(context, phase, artefact);
    return command === undefined ? [] : [command.join(' ')];
  }
  const directory = join(artefact.location, migrations.directory);
  return pendingMigrations({
    access,
    directory,
    phase,
    ...laterFiles(context, artefact, migrations),
  });
}

/** Whether the definition has anything that only runs after the bake time. */
export const hasContract = ({ application: { migrations } }: ReleaseDefinition): boolean =>
  migrations !== undefined && 'directory' in migrations
    ? migrations.contract.length > 0
    : migrations?.contract !== undefined;

/**
 * The release definition names the files of a later phase of the version that it is about: there a name without a file is an
 * error, as the file meant would run too early. An older version does not have them yet.
 */
export function laterFiles(
  { definition }: MigrationContext,
  { version, location }: Artefact,
  { directory, contract, incompatible }: FileMigrations,
): LaterFiles {
  const named = { incompatible: incompatible?.files ?? [], contract };
  if (version === definition.application.version) return named;
  const isThere = (name: string): boolean => existsSync(join(location, directory, name));
  return { incompatible: named.incompatible.filter(isThere), contract: contract.filter(isThere) };
}

/** The command of a phase. What is incompatible is of the version that the definition is about: an older build cannot run it. */
function commandOf({ definition }: MigrationContext, phase: Phase, { version }: Artefact): string[] | undefined {
  const { migrations, version: newest } = definition.application;
  if (migrations === undefined || 'directory' in migrations) return undefined;
  if (phase !== 'incompatible') return migrations[phase];
  return version === newest ? migrations.incompatible?.command : undefined;
}

/** Runs the application's own command once more, which should have nothing left to do. */
export async function migrateAgain(context: ReleaseContext, phase: Phase, target: MigrateTarget): Promise<void> {
  const command = commandOf(context, phase, target.artefact);
  if (command === undefined) return;
  const what = `${phase} migrations of ${target.artefact.version} on ${target.where}, a second time`;
  await context.act(`migrate-${phase}-${target.where}-again`, what, () =>
    runCommand(context, what, command, target, { phase, log: `${phase}-again` }),
  );
}

async function runCommand(
  context: MigrationContext,
  what: string,
  command: string[],
  { access, artefact, jobs, where, signal }: MigrateTarget,
  { phase, log }: { phase: Phase; log: string },
): Promise<void> {
  await runAsOwner(jobs, access, what, {
    name: 'migrate',
    artefact,
    command,
    timeoutMs: commandTimeoutMs[phase],
    log: join(context.evidence('migrations'), `${where}-${log}.log`),
    signal: signal === undefined ? context.signal : AbortSignal.any([context.signal, signal]),
  }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw error;
  });
}

/**
 * Runs a command of the application that changes its database: with DATABASE_URL of the role that owns the schema.
 * Rejects with an OperationError about `doing` if it fails or takes too long; the log has the rest.
 */
export async function runAsOwner(
  jobs: Jobs,
  access: DatabaseAccess,
  doing: string,
  job: Omit<Job, 'env' | 'database' | 'results'>,
): Promise<void> {
  const login = { database: { access, role: 'owner' as const }, env: { DATABASE_URL: databaseUrl(access, 'owner') } };
  const result = await jobs.run({ ...job, ...login });
  if (result.exitCode === 0) return;
  const found = result.timedOut ? 'it took too long' : `exit code ${result.exitCode ?? 'none'}`;
  throw new OperationError(doing, `${found}\n  ${result.tail}`, `see ${job.log}`);
}
