import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { dropReplication } from '../../../application/drop-replication.ts';
import { catalogFirst, sessionOptions } from '../../../application/session-settings.ts';
import { greenlight } from '../../../lib/command.ts';
import { messageOf, OperationError } from '../../../lib/errors.ts';
import type { DatabaseAccess } from '../../../platform/databases.ts';
import {
  passwordStatement,
  privilegeStatements,
  readerRole,
  revokeWrites,
  roleStatements,
  writerRole,
} from '../../../application/roles.ts';

const connectMs = 10_000;
/** Key of `pg_advisory_xact_lock`, so that two machines do not create the roles of a new database at once. */
const lockKey = 0x6772_6c31;

/** PostgreSQL's error codes of a refused login: wrong password, or no such role. */
const refusedLogin = new Set(['28P01', '28000']);

export const isRefusedLogin = (error: unknown): boolean =>
  error instanceof OperationError
    ? isRefusedLogin(error.cause)
    : error instanceof pg.DatabaseError && refusedLogin.has(error.code ?? '');

/** Runs `work` in a session. If it cannot connect, rejects with an OperationError that says what to do (`whatToDo`). */
export async function inSession<T>(
  access: DatabaseAccess,
  role: 'admin' | 'owner' | 'app',
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const { host, port, database } = access;
  const { user, password } = access[role];
  const ssl = { ca: await readFile(access.caFile, 'utf8'), host };
  const client = new pg.Client({
    host,
    port,
    database,
    user,
    password,
    ssl,
    options: sessionOptions,
    connectionTimeoutMillis: connectMs,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(catalogFirst);
  } catch (error) {
    void client.end().catch(() => undefined);
    const doing = `connecting to the database ${database} on ${host}:${port} as ${user}`;
    throw new OperationError(doing, messageOf(error) || String(error), whatToDo(error), { cause: error });
  }
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/**
 * What to do about a failed connection. The databases have no public address: Greenlight has to run in the VPC, or
 * reach it by VPN or tunnel.
 */
export function whatToDo(error: unknown): string {
  const text = `${(error as { code?: string }).code ?? ''} ${messageOf(error)}`;
  if (/certificate|self.signed|unable to (get|verify)/i.test(text))
    return 'the authorities file does not fit this server: delete .greenlight/aws/rds-global-bundle.pem, or correct authorities.databases (aws)';
  if (/ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|timeout/i.test(text))
    return "databases are in the network's isolated subnets: run Greenlight in the VPC (security group of the tasks), or by a VPN or tunnel into it; see docs/aws.md";
  return `see the message from PostgreSQL; ${greenlight('status')} shows whether the database runs`;
}

/**
 * Creates missing roles and privileges, and sets the logins' passwords if they are refused. `owner` may replicate.
 * Idempotent, and safe on several machines at once.
 */
export async function ensureRoles(access: DatabaseAccess): Promise<void> {
  const { complete, replicates } = await inSession(access, 'admin', stateOf);
  if (complete && replicates && (await logsIn(access, 'owner')) && (await logsIn(access, 'app'))) return;
  const passwords = { owner: access.owner.password, app: access.app.password };
  const admin = access.admin.user;
  await inSession(access, 'admin', async (client) => {
    const roles = [...roleStatements(passwords, admin), ownerReplicates];
    // A complete database already has its privileges, for later tables by default privileges. Only its roles are
    // touched.
    await inOneTransaction(client, complete ? roles : [...roles, ...privilegeStatements(admin)]);
  });
}

/** The RDS role that allows members other than its superuser to replicate. */
const replicators = 'rds_replication';
const notReplicator = `EXISTS (SELECT FROM pg_roles WHERE rolname = '${replicators}') AND NOT EXISTS (
  SELECT FROM pg_auth_members m WHERE m.roleid = to_regrole('${replicators}') AND m.member = to_regrole('owner'))`;
/** For a plain PostgreSQL: RDS's master user lacks REPLICATION and so cannot grant it. */
const withoutAttribute = `EXISTS (SELECT FROM pg_roles WHERE rolname = current_user
    AND (rolsuper OR rolreplication AND current_setting('server_version_num')::int >= 160000))
  AND NOT (SELECT rolreplication FROM pg_roles WHERE rolname = 'owner')`;

const ownerReplicates = `DO $do$ BEGIN
  IF ${notReplicator} THEN GRANT ${replicators} TO owner; END IF;
  IF ${withoutAttribute} THEN ALTER ROLE owner REPLICATION; END IF;
END $do$`;

/** The schema is created last, so its existence means that the roles are complete. */
async function stateOf(client: pg.Client): Promise<{ complete: boolean; replicates: boolean }> {
  const [found] = (
    await client.query<{ complete: boolean }>(
      `SELECT (SELECT count(*) FROM pg_roles WHERE rolname IN ('owner', 'app', '${readerRole}', '${writerRole}')) = 4
       AND EXISTS (SELECT FROM pg_namespace WHERE nspname = 'greenlight') AS complete`,
    )
  ).rows;
  if (found?.complete !== true) return { complete: false, replicates: false };
  const { rows } = await client.query<{ lacks: boolean }>(
    `SELECT (${notReplicator}) OR (${withoutAttribute}) AS lacks`,
  );
  return { complete: true, replicates: rows[0]?.lacks === false };
}

async function logsIn(access: DatabaseAccess, role: 'owner' | 'app'): Promise<boolean> {
  try {
    await inSession(access, role, () => Promise.resolve());
    return true;
  } catch (error) {
    if (isRefusedLogin(error)) return false;
    throw error;
  }
}

async function inOneTransaction(client: pg.Client, statements: string[]): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query('SELECT pg_advisory_xact_lock($1)', [lockKey]);
    for (const statement of statements) await client.query(statement);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw new OperationError(
      'creating the roles of the database',
      messageOf(error),
      'check that its master user is greenlight_admin, created by RDS',
      { cause: error },
    );
  }
}

/** Detaches a restored copy: sets its own passwords, revokes writes, and drops subscriptions and slots. */
export const detachCopy = (access: DatabaseAccess): Promise<void> =>
  inSession(access, 'admin', async (client) => {
    // Subscriptions first, each outside a transaction: PostgreSQL refuses to drop one with a slot inside a transaction.
    for (const statement of dropReplication) await client.query(statement);
    await inOneTransaction(client, [
      revokeWrites,
      passwordStatement('owner', access.owner.password),
      passwordStatement('app', access.app.password),
    ]);
  });
