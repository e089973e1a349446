import pg from 'pg';
import { databaseUrl } from '../../application/database-url.ts';
import { catalogFirst, sessionOptions } from '../../application/session-settings.ts';
import type { DatabaseAccess } from '../../platform/databases.ts';

/** Runs `work` in a session as admin, on which no setting of the owner acts. */
export async function asAdmin<T>(access: DatabaseAccess, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: databaseUrl(access, 'admin'), options: sessionOptions });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(catalogFirst);
    return await work(client);
  } finally {
    await client.end();
  }
}
