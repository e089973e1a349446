import { sqlLiteral } from '../../application/roles.ts';
import type { DatabaseAccess } from '../../platform/databases.ts';
import { asAdmin } from './session.ts';

/**
 * Ends the prepared transactions of a copy. Whoever would commit them knows the original alone, and their locks would stay for ever. What
 * the original commits later a replication sends as a whole.
 */
export const endPrepared = (access: DatabaseAccess): Promise<void> =>
  asAdmin(access, async (client) => {
    const { rows } = await client.query<{ gid: string }>(
      'SELECT gid FROM pg_prepared_xacts WHERE database = current_database()',
    );
    for (const { gid } of rows) await client.query(`ROLLBACK PREPARED ${sqlLiteral(gid)}`);
  });
