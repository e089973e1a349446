import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { OperationError, messageOf } from '../../infra/errors.ts';
import type { Colour } from '../../infra/model.ts';
import type { DatabaseAccess } from '../../infra/platform.ts';
import { sqlIdentifier, sqlLiteral } from '../../infra/roles.ts';
import { row, rows, sqlState } from './connect.ts';

/** One direction of replication: a publication and a slot on `from`, a subscription on `to`, all of the same name. */
export interface Link {
  name: string;
  from: Side;
  to: Side;
}

export interface Side {
  colour: Colour;
  access: DatabaseAccess;
}

const prefix = 'greenlight_to_';
export const linkBetween = (from: Side, to: Side): Link => ({ name: `${prefix}${to.colour}`, from, to });
/** Whether a publication, slot or subscription is Greenlight's own. */
export const isOurs = (name: string): boolean => name.startsWith(prefix);

const objectInUse = '55006';
const pollMs = 5;

/** What was noted with a publication; undefined where there is none. */
export async function publicationNote(client: pg.Client, name: string): Promise<string | undefined> {
  const sql = `SELECT coalesce(obj_description(oid, 'pg_publication'), '') AS note FROM pg_publication WHERE pubname = $1`;
  return (await rows<{ note: string }>(client, sql, [name]))[0]?.note;
}

/**
 * Creates a logical slot; one of that name is replaced. It waits for every writing transaction that is open in the
 * cluster, at most `timeoutMs`, and then rejects.
 */
export async function createSlot(client: pg.Client, name: string, timeoutMs: number): Promise<void> {
  await dropSlot(client, name);
  try {
    await client.query(`SET statement_timeout = ${Math.ceil(timeoutMs)}`);
    await client.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [name]);
  } catch (error) {
    // A slot that was given up half-way is temporary until it is complete, and is gone with the statement.
    throw new OperationError(
      `creating the replication slot ${name}`,
      sqlState(error) === '57014' ? `a transaction stayed open for longer than ${timeoutMs} ms` : messageOf(error),
      'end long transactions (pg_stat_activity says whose they are), then repeat',
      { cause: error },
    );
  } finally {
    await client.query('RESET statement_timeout').catch(() => undefined);
  }
}

/** Drops a slot, ending the session that streams from it. One that is not there is no error. */
export async function dropSlot(client: pg.Client, name: string, timeoutMs = 5_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      await client.query(
        `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL`,
        [name],
      );
      await client.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1', [
        name,
      ]);
      return;
    } catch (error) {
      if (sqlState(error) !== objectInUse || Date.now() > deadline) throw error;
      await sleep(pollMs);
    }
  }
}

/** Subscribes `link.to` (session `client`, as admin) to a slot that exists already. */
export async function createSubscription(
  client: pg.Client,
  link: Link,
  options: { copyData: boolean; enabled: boolean },
): Promise<void> {
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
  return Object.entries(settings).map(([key, value]) => `${key}=${quote(value)}`).join(' '); // prettier-ignore
}

export const enableSubscription = (client: pg.Client, name: string): Promise<unknown> =>
  client.query(`ALTER SUBSCRIPTION ${sqlIdentifier(name)} ENABLE`);

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
