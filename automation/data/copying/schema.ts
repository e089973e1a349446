import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { bareEnvironment } from '../../../infra/lib/child-environment.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { PostgresTool } from '../../../infra/lib/tools.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { rows, serverVersion, withClient } from '../connect.ts';
import { copyPrograms, programEnvironment, saidBy } from '../dump.ts';
import { refreshMaterialisedViews } from '../schema.ts';
import { carryExtensions, configurationTables } from './extensions.ts';
import { carryDatabaseRights, carryMemberships, carryParameterRights, carryRoles } from './roles.ts';
import { carrySettings } from './settings.ts';

/** Timeout of a dump or restore of a schema without rows and indexes, ms. */
const schemaMs = 120_000;
/** Timeout of a copy of all rows where the caller gives none, ms. */
const copyMs = 3_600_000;
/** Indexes and constraints that are made at a time. */
const jobs = 4;

const ofSchema = ['--schema-only', '--no-subscriptions', '--no-tablespaces'];

export interface CopySchema {
  /** Whether roles of users keep their passwords. Without them nobody can log in as one. */
  passwords?: boolean;
  /** Gets what could not be carried over, a sentence each. */
  onWarning?: ((text: string) => void) | undefined;
}

/**
 * Copies the schema of `from` into the empty database `to`: objects with owners and rights, extensions with what users have
 * configured in them, roles and settings of users, and the record of applied migrations. Copies no data of the application.
 * Materialised views stay unfilled until the data has arrived. Throws an OperationError.
 */
export async function copySchema(from: DatabaseAccess, to: DatabaseAccess, options: CopySchema = {}): Promise<void> {
  const copy = await begin(from, to, options);
  await copy.pipe(ofSchema);
  await copyMigrations(copy, from);
  await copyConfiguration(copy, from);
}

/** What of a schema waits for the rows. */
export interface RestOfSchema {
  /** Makes keys, indexes, constraints and triggers. Rejects with an OperationError, or when `signal` aborts. */
  finish: (signal?: AbortSignal) => Promise<void>;
  dispose: () => Promise<void>;
}

/**
 * As `copySchema`, in two parts. Rows are written several times faster where there is no index yet, and old rows that violate a
 * constraint (NOT VALID) are accepted. The caller disposes of the rest.
 */
export async function beginSchema(
  from: DatabaseAccess,
  to: DatabaseAccess,
  options: CopySchema = {},
): Promise<RestOfSchema> {
  const copy = await begin(from, to, options);
  const directory = await mkdtemp(join(tmpdir(), 'greenlight-schema-'));
  const dispose = (): Promise<void> => rm(directory, { recursive: true, force: true });
  const file = join(directory, 'post-data');
  try {
    await copy.pipe([...ofSchema, '--section=pre-data']);
    await copyMigrations(copy, from);
    await copyConfiguration(copy, from);
    const dump = ['--format=custom', `--file=${file}`, ...ofSchema, '--section=post-data'];
    await execa(copy.program('pg_dump'), dump, {
      timeout: schemaMs,
      ...bareEnvironment(programEnvironment(from)),
    }).catch(copy.failed);
  } catch (error) {
    await dispose();
    throw error;
  }
  const finish = async (signal?: AbortSignal): Promise<void> => {
    const restore = [`--jobs=${jobs}`, '--exit-on-error', '--no-tablespaces', `--dbname=${to.database}`, file];
    await execa(copy.program('pg_restore'), restore, {
      ...bareEnvironment(programEnvironment(to)),
      ...(signal === undefined ? {} : { cancelSignal: signal }),
    }).catch((error: unknown) => {
      signal?.throwIfAborted();
      copy.failed(error);
    });
  };
  return { finish, dispose };
}

interface Copy {
  program: (name: PostgresTool) => string;
  /** Loads what pg_dump writes with these options: all of it, or nothing. */
  pipe: (options: string[]) => Promise<void>;
  failed: (error: unknown) => never;
}

/** Carries over what a dump does not have, and what has to be there before it is loaded. */
async function begin(
  from: DatabaseAccess,
  to: DatabaseAccess,
  { passwords = true, onWarning }: CopySchema,
): Promise<Copy> {
  const program = await copyPrograms(from, to);
  const failed = (error: unknown): never => {
    if (error instanceof OperationError) throw error;
    throw new OperationError(
      `copying the schema from port ${from.port} to port ${to.port}`,
      saidBy(error),
      'put that right on the live database, or on the server of the other one; then repeat',
      { cause: error },
    );
  };
  const made = await withClient(from, 'admin', (source) =>
    withClient(to, 'admin', async (target) => {
      for (const name of await carryRoles(source, target, passwords))
        onWarning?.(`the password of role ${name} cannot be read: set it on the other side by hand`);
      await carryMemberships(source, target, [serverVersion(source) ?? 0, serverVersion(target) ?? 0]);
      await carryDatabaseRights(source, target, to.database);
      await carryParameterRights(source, target);
      await carrySettings(source, target, to.database);
      return await carryExtensions(source, target);
    }),
  ).catch(failed);
  const schemas = [...made, 'greenlight'].map((name) =>
    /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`,
  );
  const pipe = async (options: string[]): Promise<void> => {
    const settings = { timeout: schemaMs, stripFinalNewline: false } as const;
    try {
      const dump = await execa(program('pg_dump'), ['--format=plain', ...options], {
        ...settings,
        ...bareEnvironment(programEnvironment(from)),
      });
      // Nothing else exists on both sides.
      const sql = schemas.reduce(
        (text, name) => text.replace(`\nCREATE SCHEMA ${name};\n`, `\nCREATE SCHEMA IF NOT EXISTS ${name};\n`),
        dump.stdout,
      );
      await execa(program('psql'), loadOptions, {
        ...settings,
        ...bareEnvironment(programEnvironment(to)),
        input: sql,
        stdout: 'ignore',
      });
    } catch (error) {
      failed(error);
    }
  };
  return { program, pipe, failed };
}

/** Options of `psql` that loads a dump from its input: all of it, or nothing. */
const loadOptions = ['--no-psqlrc', '--quiet', '--single-transaction', '--set=ON_ERROR_STOP=1', '--file=-'];

/** The record of applied migrations and what a way back has kept aside, but not the record of the objects of another copy. */
async function copyMigrations({ pipe }: Copy, from: DatabaseAccess, without: string[] = []): Promise<void> {
  const sql = `SELECT FROM pg_tables WHERE schemaname = 'greenlight'`;
  const kept = await withClient(from, 'admin', (client) => rows(client, sql));
  if (kept.length > 0)
    await pipe(['--data-only', '--schema=greenlight', '--exclude-table=greenlight.objects', ...without]);
}

/** What users have configured in extensions. */
async function copyConfiguration({ pipe }: Copy, from: DatabaseAccess): Promise<void> {
  const tables = await withClient(from, 'admin', configurationTables);
  if (tables.length > 0) await pipe(['--data-only', ...tables.map((table) => `--table=${table}`)]);
}

/**
 * Copies schema, rows and sequences of `from` into the empty database `to` once; later changes are not followed. Roles of users come
 * without their passwords. Rejects with an OperationError. The schema that was copied until then stays, and the caller has to empty
 * the database.
 */
export async function copyDatabase(from: DatabaseAccess, to: DatabaseAccess, timeoutMs = copyMs): Promise<void> {
  const copy = await begin(from, to, { passwords: false });
  await copy.pipe([...ofSchema, '--no-publications']);
  // What is kept aside is personal data that no rule of masking knows.
  await copyMigrations(copy, from, ['--exclude-table=greenlight.kept_*']);
  // The triggers had their effect when the rows were first written, and the foreign keys already hold.
  const options = ['--format=plain', '--data-only', '--disable-triggers', '--exclude-schema=greenlight'];
  try {
    await execa(copy.program('pg_dump'), options, {
      timeout: timeoutMs,
      ...bareEnvironment(programEnvironment(from)),
      buffer: { stdout: false },
    }).pipe(copy.program('psql'), loadOptions, {
      timeout: timeoutMs,
      ...bareEnvironment(programEnvironment(to)),
      stdout: 'ignore',
    });
  } catch (error) {
    throw new OperationError(
      `copying the rows from port ${from.port} to port ${to.port}`,
      saidBy(error),
      'see that the target is empty and has room',
      { cause: error },
    );
  }
  await withClient(to, 'admin', refreshMaterialisedViews, { statementMs: timeoutMs });
}
