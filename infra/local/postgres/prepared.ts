import pg from 'pg';
import { databaseUrl } from '../../application/database-url.ts';
import { sqlLiteral } from '../../application/roles.ts';
import { catalogFirst, sessionOptions } from '../../application/session-settings.ts';
import type { DatabaseAccess } from '../../platform/databases.ts';

/**
 * Ends the prepared transactions of a copy. Whoever would commit them knows the original alone, and their locks would stay for ever. What
 * the original commits later a replication sends as a whole.
 */
export async function endPrepared(access: DatabaseAccess): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl(access, 'admin'), options: sessionOptions });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(catalogFirst);
    const { rows } = await client.query<{ gid: string }>(
      'SELECT gid FROM pg_prepared_xacts WHERE database = current_database()',
    );
    for (const { gid } of rows) await client.query(`ROLLBACK PREPARED ${sqlLiteral(gid)}`);
  } finally {
    await client.end();
  }
}
