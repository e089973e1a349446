import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, OperationError } from '../../infra/lib/errors.ts';
import { isFree } from '../../infra/lib/free-ports.ts';
import type { Artefact } from '../../infra/model.ts';
import type { DatabaseAccess } from '../../infra/platform/databases.ts';
import { grantWrites, revokeWrites } from '../../infra/application/roles.ts';
import { withClient } from '../data/connect.ts';
import { openJournal } from '../journal/journal.ts';
import { withJobEnvironment } from '../release/context/job-environment.ts';
import { readSource, sourcesOf } from '../release/context/secret-sources.ts';
import { buildVersion } from '../release/steps/build-version.ts';
import { migrateAtOnce, type MigrationContext } from '../release/steps/data/migrate.ts';
import type { Check } from './findings.ts';
import { checkMigrationFiles } from './migrations.ts';
import { checkTables } from './tables.ts';
import { tryReadOnly, tryVersion } from './trial.ts';

/**
 * Tries a version on a workbench: build, migrations on an empty database, every service, ten requests, the stop, and a start without
 * the right to write. Each step that cannot be done is an error, and the steps that need it are left out. Rejects only if it is aborted.
 */
export async function check(of: Check): Promise<void> {
  await checkPorts(of);
  await step(of, 'application.secrets', 'reading the secrets', () => readSecrets(of));
  const artefact = await step(of, 'application.build', 'building', () => build(of));
  if (artefact === undefined) return;
  await step(of, 'application.migrations', 'judging the migrations', () =>
    checkMigrationFiles(artefact, of.definition, of.found),
  );
  const database = await step(of, 'the database', 'starting a database', () => of.bench.databases.scratch('check'));
  if (database === undefined) return;
  try {
    const { access } = database;
    if ((await step(of, 'application.migrations', 'migrating', () => migrate(of, artefact, access))) === undefined)
      return;
    await step(of, 'the database', 'looking at the tables', () => checkTables(access, of.definition, of.found));
    await withClient(access, 'admin', (client) => client.query(grantWrites));
    const paths = await step(of, 'application.services', 'starting the services', () =>
      tryVersion(of, artefact, access),
    );
    if (paths === undefined || !of.definition.application.services.some((one) => one.database)) return;
    await withClient(access, 'admin', (client) => client.query(revokeWrites));
    await step(of, 'application.services', 'starting the services without the right to write', () =>
      tryReadOnly(of, artefact, access, paths),
    );
  } finally {
    await database.dispose();
  }
}

/** Does a step. One that rejects is an error about `about`, and undefined. */
async function step<T>(of: Check, about: string, what: string, run: () => Promise<T>): Promise<T | undefined> {
  of.signal.throwIfAborted();
  of.waiting(what);
  try {
    return await run();
  } catch (error) {
    of.signal.throwIfAborted();
    if (error instanceof OperationError) of.found.error(about, `${error.doing}: ${error.found}`, error.todo);
    else of.found.error(about, messageOf(error));
    return undefined;
  }
}

/** Builds the version of the definition. */
export async function build({ definition, bench, found, signal }: Check): Promise<Artefact> {
  const { version } = definition.application;
  const logs = join(bench.directory, 'builds');
  const { artefact, files, bytes, notes } = await buildVersion(definition, bench, version, signal, logs);
  for (const note of notes) found.warning('application.services', note);
  found.ok('application.build', `${version}: ${files} files, ${(bytes / 1e6).toFixed(1)} MB`);
  return artefact;
}

/** Migrates an empty database as a release does. */
export async function migrate(
  { definition, bench, found, signal }: Check,
  artefact: Artefact,
  access: DatabaseAccess,
): Promise<true> {
  if (definition.application.migrations === undefined) return true;
  const { directory } = bench;
  const { jobs } = withJobEnvironment(bench, { platform: bench, definition, name: 'staging' });
  const context: MigrationContext = {
    definition,
    signal,
    journal: openJournal(join(directory, 'journal')),
    act: (_id, _what, run) => run(),
    evidence(...path) {
      const folder = join(directory, 'evidence', ...path);
      mkdirSync(folder, { recursive: true });
      return folder;
    },
  };
  try {
    const began = performance.now();
    await migrateAtOnce(context, { access, artefact, where: 'scratch', jobs });
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    found.ok('application.migrations', `they run on an empty database, in ${seconds} s`);
    return true;
  } finally {
    context.journal.close();
  }
}

/**
 * Reads the secrets as a release does. One that is missing is an error, and gets a value that was made up, so that the rest can be tried.
 */
export async function readSecrets({ definition, bench, found }: Check): Promise<void> {
  const values: Record<string, string> = {};
  const sources = Object.entries(sourcesOf(definition, 'staging'));
  for (const [name, source] of sources) {
    const read = await readSource(source);
    if ('value' in read) values[name] = read.value;
    else {
      const [says = '', cure] = read.problem.split('; ');
      found.error(`application.secrets.${name}`, says, cure);
      values[name] = randomBytes(24).toString('hex');
    }
  }
  await bench.secrets.keep('staging', values);
  if (
    sources.length > 0 &&
    sources.length === Object.keys(values).length &&
    !found.lines.some(({ about }) => about.startsWith('application.secrets'))
  )
    found.ok('application.secrets', `${sources.length} can be read`);
}

/** Ports that the definition fixes and that somebody else listens on. */
async function checkPorts({ definition, found }: Check): Promise<void> {
  for (const name of ['staging', 'production'] as const) {
    const { port } = definition.environments[name];
    if (port === undefined || (await isFree(port))) continue;
    const about = `environments.${name}.port`;
    found.warning(about, `${port} is in use`, `if that is not ${name} itself, name another one`);
  }
}
