import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { OperationError, messageOf } from '../../infra/lib/errors.ts';
import type { Colour } from '../../infra/model.ts';
import type { DatabaseAccess } from '../../infra/platform/databases.ts';
import { rows, sqlState } from './connect.ts';

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
