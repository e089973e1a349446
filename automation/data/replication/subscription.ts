import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { sqlIdentifier, sqlLiteral } from '../../../infra/application/roles.ts';
import { row, rows } from '../connect.ts';
import { dropSlot, linkBetween, type Link } from '../link.ts';

/** The subscriber's end of a link. Every change of a subscription is here, as none may start beside the opposite direction. */

const pollMs = 5;

/**
 * Subscribes `link.to` to a slot that exists already. Sessions as admin. One that is enabled is refused while the opposite
 * direction runs; one that is not lies still until `enableSubscription`.
 */
export async function createSubscription(
  source: pg.Client,
  client: pg.Client,
  link: Link,
  options: { copyData: boolean; enabled: boolean },
): Promise<void> {
  if (options.enabled) await requireOneDirection(link, source, client);
  // The statement holds the publisher's password; pg_subscription shows it to superusers only.
  await client.query('SET log_statement = none; SET log_min_error_statement = panic').catch(() => undefined);
  const flags = `copy_data = ${options.copyData}, enabled = ${options.enabled}, create_slot = false, slot_name = ${sqlLiteral(link.name)}`;
  // disable_on_error: a change that cannot be applied stops the worker at once instead of being tried for ever.
  await client.query(
    `CREATE SUBSCRIPTION ${sqlIdentifier(link.name)} CONNECTION ${sqlLiteral(connectionInfo(link.from.access))}
     PUBLICATION ${sqlIdentifier(link.name)} WITH (${flags}, disable_on_error = true)`,
  );
}

/** Connection string of libpq, for the subscriber's server to reach the publisher. Holds the password. */
export function connectionInfo(access: DatabaseAccess): string {
  const { user, password } = access.replication ?? access.admin;
  const settings: Record<string, string> = {
    host: access.host,
    port: String(access.port),
    dbname: access.database,
    user,
    password,
    sslmode: 'verify-full',
    // Read by the subscriber's server, on its own host.
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

/** Starts a subscription that lies still. Refused while the opposite direction runs. */
export async function enableSubscription(link: Link, source: pg.Client, target: pg.Client): Promise<void> {
  await requireOneDirection(link, source, target);
  await target.query(`ALTER SUBSCRIPTION ${sqlIdentifier(link.name)} ENABLE`);
}

/** Whether the subscriber's end is there, running or not. One without its slot was being dropped, and cannot run any more. */
export const subscribed = async ({ name }: Link, target: pg.Client): Promise<boolean> =>
  (await rows(target, 'SELECT 1 FROM pg_subscription WHERE subname = $1 AND subslotname IS NOT NULL', [name])).length >
  0;

/** Ends a direction for good: subscription, slot and publication. What is not there is no error. */
export async function removeLink({ name }: Link, source: pg.Client, target: pg.Client): Promise<void> {
  await dropSubscription(target, name);
  await dropSlot(source, name);
  await source.query(`DROP PUBLICATION IF EXISTS ${sqlIdentifier(name)}`);
}

/**
 * Drops a subscription without touching the publisher, and waits until its worker has ended: afterwards nothing of
 * it is applied any more. One that is not there is no error. Returns the names of the slots that its initial copies
 * may have left on the publisher, as a LIKE pattern.
 */
export async function dropSubscription(
  client: pg.Client,
  name: string,
  timeoutMs = 10_000,
): Promise<string | undefined> {
  const [found] = await rows<{ oid: number; system: string }>(
    client,
    'SELECT s.oid, c.system_identifier::text AS system FROM pg_subscription s, pg_control_system() c WHERE subname = $1',
    [name],
  );
  if (found === undefined) return undefined;
  const quoted = sqlIdentifier(name);
  await client.query(`ALTER SUBSCRIPTION ${quoted} DISABLE`);
  await client.query(`ALTER SUBSCRIPTION ${quoted} SET (slot_name = NONE)`);
  const deadline = Date.now() + timeoutMs;
  // A worker notices that it is disabled within a second; ended from here it is within milliseconds.
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
  return `pg_${found.oid}_sync_%_${found.system}`;
}

/**
 * Throws where the opposite direction of a link runs or may start by itself. PostgreSQL 15 cannot tell replicated changes
 * from others, so with both directions at once each change comes back as its own echo, and overwrites what was written
 * since. Both databases are asked, as each knows one end: the subscriber its subscription, the publisher its slot.
 */
export async function requireOneDirection(link: Link, source: pg.Client, target: pg.Client): Promise<void> {
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
    'end it first: npm run resume settles what an interrupted cutover has left',
  );
}
