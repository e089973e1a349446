import type pg from 'pg';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { openWriters } from '../blockers.ts';
import { close, connect, row, withClient } from '../connect.ts';
import { dropSlot, slotNotCreated } from '../link.ts';

/** A logical slot, and the rows as of the moment at which it begins. */
export interface SlotSnapshot {
  /** Name of the exported snapshot, for as long as this is open. */
  snapshot: string;
  /** Ends the snapshot; the slot stays. */
  close(): Promise<void>;
}

/**
 * Creates a logical slot, replaces one of the same name, and exports the snapshot of the moment at which the slot begins: what the
 * snapshot has the slot does not send, and the other way round. PostgreSQL waits for every open writing transaction of the cluster.
 * Rejects with an OperationError if that takes longer than `timeoutMs`, or when `signal` aborts. The slot is gone then.
 */
export async function createSlotWithSnapshot(
  access: DatabaseAccess,
  name: string,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<SlotSnapshot> {
  await withClient(access, 'admin', (client) => dropSlot(client, name));
  const client: pg.Client = await connect(access, 'admin', { replication: true, statementMs: timeoutMs });
  const timeout = AbortSignal.timeout(timeoutMs);
  // No timeout of the server's applies to this command, and it does not see that the client is gone.
  const stop = (): void => void withClient(access, 'admin', (other) => dropSlot(other, name)).catch(() => undefined);
  const ends = AbortSignal.any([timeout, ...(signal === undefined ? [] : [signal])]);
  ends.addEventListener('abort', stop);
  try {
    const sql = `CREATE_REPLICATION_SLOT ${sqlIdentifier(name)} LOGICAL pgoutput (SNAPSHOT 'export')`;
    const { snapshot_name: snapshot } = await row<{ snapshot_name: string }>(client, sql);
    return { snapshot, close: () => close(client) };
  } catch (error) {
    await close(client);
    signal?.throwIfAborted();
    const open = timeout.aborted ? await withClient(access, 'admin', openWriters).catch(() => []) : [];
    throw slotNotCreated(name, error, timeout.aborted ? { ms: timeoutMs, open } : undefined);
  } finally {
    ends.removeEventListener('abort', stop);
  }
}
