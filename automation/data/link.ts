import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { OperationError, messageOf } from '../../infra/lib/errors.ts';
import type { Colour } from '../../infra/model.ts';
import type { DatabaseAccess } from '../../infra/platform/databases.ts';
import { nameBlockers, openWriters, type Blocker } from './blockers.ts';
import { row, rows, sqlState } from './connect.ts';

/** One direction of replication: a publication and a slot on `from`, and a subscription on `to`, all of the same name. */
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
/** Whether a publication, slot or subscription belongs to Greenlight. */
export const isOurs = (name: string): boolean => name.startsWith(prefix);

const objectInUse = '55006';
const pollMs = 5;
/** How long a slot may stay in use after the session that streams from it was ended, ms. */
const releaseMs = 5_000;

/** The note of a publication that goes to a copy. That of the way back has none. */
export const forwardNote = 'to the copy';

/** The note stored with a publication; undefined if the publication does not exist. */
export async function publicationNote(client: pg.Client, name: string): Promise<string | undefined> {
  const sql = `SELECT coalesce(obj_description(oid, 'pg_publication'), '') AS note FROM pg_publication WHERE pubname = $1`;
  return (await rows<{ note: string }>(client, sql, [name]))[0]?.note;
}

/**
 * Creates a logical slot, and replaces one of the same name. Resolves to the LSN at which it begins: it has the transactions that
 * commit from there on. PostgreSQL waits for every open writing transaction of the cluster. Rejects with an OperationError if that
 * takes longer than `timeoutMs`.
 */
export async function createSlot(client: pg.Client, name: string, timeoutMs: number): Promise<string> {
  await dropSlot(client, name);
  try {
    await client.query(`SET statement_timeout = ${Math.ceil(timeoutMs)}`);
    const sql = `SELECT lsn::text FROM pg_create_logical_replication_slot($1, 'pgoutput')`;
    return (await row<{ lsn: string }>(client, sql, [name])).lsn;
  } catch (error) {
    // Nothing to clean up: an incomplete slot is temporary and ends with its statement.
    const timedOut = sqlState(error) === '57014';
    const open = timedOut ? await openWriters(client).catch(() => []) : [];
    throw slotNotCreated(name, error, timedOut ? { ms: timeoutMs, open } : undefined);
  } finally {
    await client.query('RESET statement_timeout').catch(() => undefined);
  }
}

/** Why a slot was not created. `waited`: how long for open transactions, and those that were open then. */
export const slotNotCreated = (
  name: string,
  error: unknown,
  waited?: { ms: number; open: Blocker[] },
): OperationError =>
  new OperationError(
    `creating the replication slot ${name}`,
    waited === undefined
      ? messageOf(error)
      : `a transaction stayed open for longer than ${waited.ms} ms (${nameBlockers(waited.open) ?? 'it has ended meanwhile'})`,
    'end long transactions, a prepared one by COMMIT PREPARED or ROLLBACK PREPARED; then repeat',
    { cause: error },
  );

/** Drops a slot and ends the session that streams from it. No-op if the slot does not exist. */
export async function dropSlot(client: pg.Client, name: string): Promise<void> {
  const deadline = Date.now() + releaseMs;
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
