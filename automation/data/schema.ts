import { execa } from 'execa';
import type pg from 'pg';
import { bareEnvironment } from '../../infra/lib/child-environment.ts';
import { OperationError, messageOf } from '../../infra/lib/errors.ts';
import type { DatabaseAccess } from '../../infra/platform/databases.ts';
import { databaseEnvironment } from '../../infra/application/database-url.ts';
import { identityIn, identityStatement } from '../../infra/application/identity.ts';
import {
  privilegeStatements,
  revokeWrites,
  sqlIdentifier,
  sqlLiteral,
  writerRole,
} from '../../infra/application/roles.ts';
import { toolPath } from '../../infra/lib/tools.ts';
import { notOfExtension, ownSchemas } from './catalog.ts';
import { row, rows, withClient } from './connect.ts';

/** Timeout of a dump or restore of a schema, ms. */
const schemaMs = 120_000;

/** Whether the application may write to this database. At rest this is true on the live colour only. */
export async function mayWrite(client: pg.Client): Promise<boolean> {
  const sql = `SELECT EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = '${writerRole}'::regrole AND m.member = 'app'::regrole) AS yes`;
  return (await row<{ yes: boolean }>(client, sql)).yes;
}

const identitySql = `SELECT shobj_description(oid, 'pg_database') AS text FROM pg_database WHERE datname = current_database()`;

/** The identity that a database states, such as `production-blue`; undefined before its first set-up. */
export async function databaseIdentity(client: pg.Client): Promise<string | undefined> {
  const { text } = await row<{ text: string | null }>(client, identitySql);
  return identityIn(text);
}

/**
 * Throws an OperationError if the database must not be emptied or replaced: it states another identity than `identity`, takes part
 * in a replication, or may be written by the application, which makes it the live one. `evenIfLive` allows the last.
 */
export async function requireReplaceable(
  client: pg.Client,
  doing: string,
  identity: string,
  { evenIfLive = false }: { evenIfLive?: boolean } = {},
): Promise<void> {
  const said = await databaseIdentity(client);
  if (said !== undefined && said !== identity) {
    throw new OperationError(
      doing,
      `it says that it is ${said}, not ${identity}`,
      'nothing was changed; find out who moved it',
    );
  }
  if (!evenIfLive && (await mayWrite(client))) {
    throw new OperationError(
      doing,
      'the application may write to it, so it is the live one',
      'nothing was changed; see who is live: npm run status. Where it serves nobody, and the balancer says so: REVOKE app_writer FROM app there, then repeat',
    );
  }
  const slots = await rows<{ name: string }>(
    client,
    'SELECT slot_name AS name FROM pg_replication_slots WHERE database = current_database()',
  );
  if (slots.length > 0) {
    const names = slots.map((s) => s.name).join(', ');
    throw new OperationError(
      doing,
      `somebody gets its changes (replication slot ${names})`,
      'end that replication first',
    );
  }
  for (const { name } of await rows<{ name: string }>(
    client,
    'SELECT subname AS name FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE datname = current_database()',
  )) {
    throw new OperationError(
      doing,
      `it gets changes from elsewhere (subscription ${name})`,
      'end that replication first',
    );
  }
}

/**
 * Empties the inactive database: drops it with all its sessions and creates it again, with the roles' rights and as
 * `identity`. Throws as `requireReplaceable` does; `evenIfLive` revokes the application's right to write instead of refusing.
 */
export async function resetDatabase(
  access: DatabaseAccess,
  identity: string,
  { evenIfLive = false }: { evenIfLive?: boolean } = {},
): Promise<void> {
  const doing = `emptying the database ${access.database} on port ${access.port}`;
  const locale = await withClient(access, 'admin', async (client) => {
    await requireReplaceable(client, doing, identity, { evenIfLive });
    if (evenIfLive) await client.query(revokeWrites);
    return await row<{ encoding: string; collate: string; ctype: string }>(
      client,
      'SELECT pg_encoding_to_char(encoding) AS encoding, datcollate AS collate, datctype AS ctype FROM pg_database WHERE datname = current_database()',
    );
  });
  const name = sqlIdentifier(access.database);
  await withClient(
    access,
    'admin',
    async (client) => {
      await client.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await client.query(
        `CREATE DATABASE ${name} TEMPLATE template0 ENCODING ${sqlLiteral(locale.encoding)} LC_COLLATE ${sqlLiteral(locale.collate)} LC_CTYPE ${sqlLiteral(locale.ctype)}`,
      );
    },
    { database: 'postgres' },
  );
  await withClient(access, 'admin', async (client) => {
    for (const statement of privilegeStatements(access.admin.user)) await client.query(statement);
    await client.query(identityStatement(access.database, identity));
  });
}

/**
 * Copies the schema of `from` into the empty database `to`: objects with owners and rights, extensions, and the record of
 * applied migrations, but not that of the objects of another copy. Copies no data of the application. Materialised views stay unfilled until the data has arrived.
 */
export async function copySchema(from: DatabaseAccess, to: DatabaseAccess): Promise<void> {
  const bookkeeping = await withClient(from, 'admin', (client) =>
    rows<{ name: string }>(client, `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'greenlight'`),
  );
  await pipe(from, to, ['--schema-only', '--no-subscriptions', '--no-tablespaces']);
  if (bookkeeping.length > 0)
    await pipe(from, to, ['--data-only', '--schema=greenlight', '--exclude-table=greenlight.objects']);
}

async function pipe(from: DatabaseAccess, to: DatabaseAccess, options: string[]): Promise<void> {
  const settings = { timeout: schemaMs, stripFinalNewline: false } as const;
  try {
    const dump = await execa(toolPath('pg_dump'), ['--format=plain', ...options], {
      ...settings,
      ...bareEnvironment(clientEnvironment(from)),
    });
    // The target already has a `greenlight` schema of its own. Nothing else exists on both sides.
    const sql = dump.stdout.replace(/^CREATE SCHEMA greenlight;$/m, 'CREATE SCHEMA IF NOT EXISTS greenlight;');
    await execa(toolPath('psql'), loadOptions, {
      ...settings,
      ...bareEnvironment(clientEnvironment(to)),
      input: sql,
      stdout: 'ignore',
    });
  } catch (error) {
    const text = (error as { stderr?: string }).stderr?.trim();
    const found = text === undefined || text === '' ? messageOf(error) : text.split('\n').slice(0, 5).join('\n');
    throw new OperationError(
      `copying the schema from port ${from.port} to port ${to.port}`,
      found,
      'see that the target is empty and has the extensions and roles that the schema uses; nothing of it was kept',
      { cause: error },
    );
  }
}

/** Options of `psql` that loads a dump from its input: all of it, or nothing. */
const loadOptions = ['--no-psqlrc', '--quiet', '--single-transaction', '--set=ON_ERROR_STOP=1', '--file=-'];

/** Environment for PostgreSQL's own programs. Every user can read argument lists, so the password is not passed in one. */
const clientEnvironment = (access: DatabaseAccess): Record<string, string> => ({
  LC_ALL: 'C',
  ...databaseEnvironment(access, 'admin'),
  PGCONNECT_TIMEOUT: '10',
  PGAPPNAME: 'greenlight',
});

/** Fills the materialised views that are still unfilled, as their rows are not replicated. */
export async function refreshMaterialisedViews(client: pg.Client): Promise<void> {
  const unfilled = await rows<{ schema: string; name: string }>(
    client,
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'm' AND NOT c.relispopulated AND ${ownSchemas} AND ${notOfExtension} ORDER BY c.oid`,
  );
  // In the order of creation: a view that reads another one was created after it.
  for (const view of unfilled)
    await client.query(`REFRESH MATERIALIZED VIEW ${sqlIdentifier(view.schema)}.${sqlIdentifier(view.name)}`);
}

/** Timeout of a copy of all rows, ms. */
const copyMs = 3_600_000;

/**
 * Copies schema, rows and sequences of `from` into the empty database `to` once; later changes are not followed.
 * Rejects with an OperationError. The schema that was copied until then stays, and the caller has to empty the database.
 */
export async function copyDatabase(from: DatabaseAccess, to: DatabaseAccess): Promise<void> {
  await copySchema(from, to);
  const settings = { timeout: copyMs } as const;
  // The triggers had their effect when the rows were first written, and the foreign keys already hold.
  const options = ['--format=plain', '--data-only', '--disable-triggers', '--exclude-schema=greenlight'];
  try {
    await execa(toolPath('pg_dump'), options, {
      ...settings,
      ...bareEnvironment(clientEnvironment(from)),
      buffer: { stdout: false },
    }).pipe(toolPath('psql'), loadOptions, {
      ...settings,
      ...bareEnvironment(clientEnvironment(to)),
      stdout: 'ignore',
    });
  } catch (error) {
    const text = (error as { stderr?: string }).stderr?.trim().split('\n').slice(0, 5).join('\n');
    throw new OperationError(
      `copying the rows from port ${from.port} to port ${to.port}`,
      text || messageOf(error),
      'see that the target is empty and has room',
      { cause: error },
    );
  }
  await withClient(to, 'admin', refreshMaterialisedViews);
}
