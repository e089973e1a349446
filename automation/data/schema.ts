import type pg from 'pg';
import { greenlight } from '../../infra/lib/command.ts';
import { OperationError, messageOf } from '../../infra/lib/errors.ts';
import type { DatabaseAccess } from '../../infra/platform/databases.ts';
import { identityIn, identityStatement } from '../../infra/application/identity.ts';
import {
  privilegeStatements,
  revokeWrites,
  sqlIdentifier,
  sqlLiteral,
  writerRole,
} from '../../infra/application/roles.ts';
import { viewsInOrder } from './catalog.ts';
import { row, rows, withClient } from './connect.ts';
import { readMark } from './written-by.ts';

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
 * in a replication, has data that only a version knows that was taken back, or may be written by the application, which makes it the
 * live one. `evenIfLive` allows the last two.
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
      `nothing was changed; see who is live: ${greenlight('status')}. Where it serves nobody, and the balancer says so: REVOKE app_writer FROM app there, then repeat`,
    );
  }
  const mark = await readMark(client);
  if (!evenIfLive && mark?.live === true && !mark.kept) {
    throw new OperationError(
      doing,
      `${mark.version} was live there (release ${mark.release}), and what only it knows is not kept aside yet`,
      `nothing was changed; ${greenlight('resume')} keeps it aside, and so does the next release once both databases answer`,
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

/** Encoding and locale of a database. Which columns the catalog has depends on the version. */
const localeSql = `
  SELECT pg_encoding_to_char(encoding) AS encoding, datcollate AS collate, datctype AS ctype, to_jsonb(d) ->> 'datlocprovider' AS provider,
    coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') AS locale
  FROM pg_database d WHERE datname = current_database()`;

interface Locale {
  encoding: string;
  collate: string;
  ctype: string;
  provider: string;
  locale: string | null;
}

const withLocale = ({ encoding, collate, ctype, provider, locale }: Locale): string => {
  const named = sqlLiteral(locale ?? '');
  const by = { i: ` LOCALE_PROVIDER icu ICU_LOCALE ${named}`, b: ` LOCALE_PROVIDER builtin BUILTIN_LOCALE ${named}` }[
    provider
  ];
  return `ENCODING ${sqlLiteral(encoding)} LC_COLLATE ${sqlLiteral(collate)} LC_CTYPE ${sqlLiteral(ctype)}${by ?? ''}`;
};

/**
 * Empties the inactive database: drops it with all its sessions and creates it again, with the roles' rights and as
 * `identity`. It gets the encoding and the locale of the database `like`, or those that it has. Throws as `requireReplaceable` does;
 * `evenIfLive` revokes the application's right to write instead of refusing.
 */
export async function resetDatabase(
  access: DatabaseAccess,
  identity: string,
  { evenIfLive = false, like }: { evenIfLive?: boolean; like?: DatabaseAccess | undefined } = {},
): Promise<void> {
  const doing = `emptying the database ${access.database} on port ${access.port}`;
  const own = await withClient(access, 'admin', async (client) => {
    await requireReplaceable(client, doing, identity, { evenIfLive });
    if (evenIfLive) await client.query(revokeWrites);
    return await row<Locale>(client, localeSql);
  });
  const wanted = like === undefined ? own : await withClient(like, 'admin', (client) => row<Locale>(client, localeSql));
  const name = sqlIdentifier(access.database);
  const create = (locale: Locale): string => `CREATE DATABASE ${name} TEMPLATE template0 ${withLocale(locale)}`;
  const refused = await withClient(
    access,
    'admin',
    async (client) => {
      await client.query(`DROP DATABASE ${name} WITH (FORCE)`);
      return await client.query(create(wanted)).then(
        () => undefined,
        // So that there is a database, whatever is wrong with that locale.
        async (error: unknown) => (await client.query(create(own)), messageOf(error)),
      );
    },
    { database: 'postgres' },
  );
  await withClient(access, 'admin', async (client) => {
    for (const statement of privilegeStatements(access.admin.user)) await client.query(statement);
    await client.query(identityStatement(access.database, identity));
  });
  if (refused === undefined) return;
  throw new OperationError(
    doing,
    `its server does not have the encoding and locale of the other one: ${refused}`,
    'install that locale on its server, or give it the same build of PostgreSQL',
  );
}

/** Fills the materialised views that are still unfilled, as their rows are not replicated. */
export async function refreshMaterialisedViews(client: pg.Client): Promise<void> {
  for (const { name } of await rows<{ name: string }>(client, viewsInOrder('NOT c.relispopulated')))
    await client.query(`REFRESH MATERIALIZED VIEW ${name}`);
}
