import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { greenlight } from '../../../infra/lib/command.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { replicationSettings } from '../../../infra/application/session-settings.ts';
import { sqlIdentifier, sqlLiteral } from '../../../infra/application/roles.ts';
import { row, rows, serverVersion } from '../connect.ts';
import { dropSlot, linkBetween, type Link } from '../link.ts';

/**
 * The subscriber's end of a link. Subscriptions are created, enabled and dropped in this file only, so that none can start
 * while the opposite direction runs.
 */

const pollMs = 5;
/** How long a worker may take to end, ms. */
const workerEndMs = 10_000;

/**
 * Subscribes `link.to` to a slot that exists already. Sessions as admin. Without `enabled` nothing is applied until
 * `enableSubscription`; with it, throws an OperationError while the opposite direction runs.
 */
export async function createSubscription(
  source: pg.Client,
  client: pg.Client,
  link: Link,
  options: { enabled: boolean },
): Promise<void> {
  if (options.enabled) await requireOneDirection(link, source, client);
  for (const [session, login] of [
    [source, link.from.access.replication ?? link.from.access.admin],
    [client, link.to.access.admin],
  ] as const)
    await ownSettings(session, login.user, link.from.access.database);
  // The statement contains the publisher's password, which must not reach the server's log.
  for (const setting of unlogged) await client.query(`SET ${setting}`).catch(() => undefined);
  const flags = [
    'copy_data = false',
    `enabled = ${options.enabled}`,
    'create_slot = false',
    `slot_name = ${sqlLiteral(link.name)}`,
    // A change that cannot be applied stops the worker at once. Without this the worker would retry for ever.
    'disable_on_error = true',
    ...sinceVersion(serverVersion(source) ?? 0, serverVersion(client) ?? 0),
  ];
  await client.query(
    `CREATE SUBSCRIPTION ${sqlIdentifier(link.name)} CONNECTION ${sqlLiteral(connectionInfo(link.from.access))}
     PUBLICATION ${sqlIdentifier(link.name)} WITH (${flags.join(', ')})`,
  );
}

/** Settings under which nothing keeps a statement's text: the log, pg_stat_statements, pgaudit. */
const unlogged = [
  'log_statement = none',
  'log_min_error_statement = panic',
  'log_min_duration_statement = -1',
  'log_min_duration_sample = -1',
  'log_transaction_sample_rate = 0',
  'pg_stat_statements.track_utility = off',
  'pgaudit.log = none',
];

/** Keeps what the owner has set for the application from ending or blocking the replication's own sessions. */
const ownSettings = (client: pg.Client, role: string, database: string): Promise<unknown> =>
  client.query(replicationSettings(role, database, serverVersion(client) ?? 0).join('; '));

/** Options that let a subscription of a newer version do what one of 15 does, and what that cannot. */
function sinceVersion(publisher: number, subscriber: number): string[] {
  if (subscriber < 16) return [];
  return [
    // As the subscription's owner, and not as each table's: that one may not see rows of a table with forced row security.
    'run_as_owner = true',
    // From 18 on large transactions are applied by several workers while they still run. The worker of a conflict would not be known.
    'streaming = off',
    // A second guard against echoes, beside `requireOneDirection`.
    ...(publisher < 16 ? [] : ['origin = none']),
  ];
}

/** Connection string of libpq by which the subscriber's server reaches the publisher. Contains the password. */
export function connectionInfo(access: DatabaseAccess): string {
  const { user, password } = access.replication ?? access.admin;
  const settings: Record<string, string> = {
    host: access.host,
    port: String(access.port),
    dbname: access.database,
    user,
    password,
    sslmode: 'verify-full',
    // A path on the subscriber's host: its server reads the file.
    sslrootcert: access.peerCaFile ?? access.caFile,
    connect_timeout: '5',
    keepalives_idle: '5',
    keepalives_interval: '2',
    keepalives_count: '3',
  };
  const quote = (value: string): string => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  return Object.entries(settings)
    .map(([key, value]) => `${key}=${quote(value)}`)
    .join(' ');
}

/**
 * Makes a disabled subscription begin at `lsn` of its publisher. It advances the replication origin, which survives a crash; an
 * advanced slot is durable only after a checkpoint.
 */
export async function beginAt({ name }: Link, client: pg.Client, lsn: string): Promise<void> {
  // The message makes the commit flush the log, and the progress with it.
  await client.query(
    `SELECT pg_replication_origin_advance('pg_' || oid, $2::pg_lsn), pg_logical_emit_message(true, 'greenlight', 'start')
     FROM pg_subscription WHERE subname = $1`,
    [name, lsn],
  );
}

/** Starts a disabled subscription. Throws an OperationError while the opposite direction runs. */
export async function enableSubscription(link: Link, source: pg.Client, target: pg.Client): Promise<void> {
  await requireOneDirection(link, source, target);
  await target.query(`ALTER SUBSCRIPTION ${sqlIdentifier(link.name)} ENABLE`);
}

/** Whether the subscription exists, enabled or not. One without a slot does not count: its removal has begun. */
export const subscribed = async ({ name }: Link, target: pg.Client): Promise<boolean> =>
  (await rows(target, 'SELECT 1 FROM pg_subscription WHERE subname = $1 AND subslotname IS NOT NULL', [name])).length >
  0;

/** Removes a direction: subscription, slot and publication. Idempotent. */
export async function removeLink({ name }: Link, source: pg.Client, target: pg.Client): Promise<void> {
  await dropSubscription(target, name);
  await dropSlot(source, name);
  await source.query(`DROP PUBLICATION IF EXISTS ${sqlIdentifier(name)}`);
}

/**
 * Drops a subscription without touching the publisher. Waits until its worker has ended, so that nothing is applied
 * afterwards. No-op if the subscription does not exist.
 */
export async function dropSubscription(client: pg.Client, name: string): Promise<void> {
  if ((await rows(client, 'SELECT FROM pg_subscription WHERE subname = $1', [name])).length === 0) return;
  const quoted = sqlIdentifier(name);
  await client.query(`ALTER SUBSCRIPTION ${quoted} DISABLE`);
  await client.query(`ALTER SUBSCRIPTION ${quoted} SET (slot_name = NONE)`);
  const deadline = Date.now() + workerEndMs;
  // A disabled worker ends by itself within a second. Terminating it takes milliseconds.
  const workers = `SELECT count(pg_terminate_backend(pid))::int AS n FROM pg_stat_subscription WHERE subname = $1 AND pid IS NOT NULL`;
  while ((await row<{ n: number }>(client, workers, [name])).n > 0) {
    if (Date.now() > deadline)
      throw new OperationError(
        `ending the replication ${name}`,
        'its worker does not end',
        'restart that database, then repeat',
      );
    await sleep(pollMs);
  }
  await client.query(`DROP SUBSCRIPTION ${quoted}`);
}

/**
 * Throws an OperationError if the opposite direction of a link runs or may start by itself. Only with 16 on both sides PostgreSQL
 * can tell replicated changes from others (`origin`). Else, with both directions enabled each change would return and overwrite newer data. Both
 * databases are asked, as one knows the subscription and the other the slot.
 */
async function requireOneDirection(link: Link, source: pg.Client, target: pg.Client): Promise<void> {
  const opposite = linkBetween(link.to, link.from);
  const [subscription] = await rows<{ enabled: boolean; worker: boolean }>(
    source,
    `SELECT s.subenabled AS enabled,
       EXISTS (SELECT FROM pg_stat_subscription w WHERE w.subid = s.oid AND w.pid IS NOT NULL) AS worker
     FROM pg_subscription s WHERE s.subname = $1`,
    [opposite.name],
  );
  const [slot] = await rows<{ active: boolean }>(
    target,
    'SELECT active FROM pg_replication_slots WHERE slot_name = $1',
    [opposite.name],
  );
  const found = [
    ...(subscription?.enabled === true ? [`the subscription ${opposite.name} on ${link.from.colour} is enabled`] : []),
    ...(subscription?.worker === true ? [`its worker on ${link.from.colour} is running`] : []),
    ...(slot?.active === true ? [`somebody streams from the slot ${opposite.name} on ${link.to.colour}`] : []),
  ];
  if (found.length === 0) return;
  throw new OperationError(
    `starting the replication from ${link.from.colour} to ${link.to.colour}`,
    `the opposite direction still runs: ${found.join('; ')}`,
    `end it first: ${greenlight('resume')} settles what an interrupted cutover has left`,
  );
}
