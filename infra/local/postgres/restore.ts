import { constants, existsSync } from 'node:fs';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import pg from 'pg';
import { databaseUrl } from '../../application/database-url.ts';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { dropReplication } from '../../application/drop-replication.ts';
import { applicationDatabase, passwordStatement, revokeWrites, sqlLiteral } from '../../application/roles.ts';
import { sessionOptions } from '../../application/session-settings.ts';
import type { DatabaseAccess } from '../../platform/databases.ts';
import { linkTablespaces, tablespacesOf } from './base-backup.ts';
import { layOut, type ClusterSpec } from './create.ts';
import { runSingleUser } from './single-user.ts';
import { serverUser } from './unprivileged.ts';

/** Settings without which PostgreSQL cannot recover the prepared transactions of the original, nor start. */
const neededToRecover = /^max_(?:prepared_transactions|locks_per_transaction) *=.*$/gm;

/**
 * Creates the cluster of `spec` from the data directory of a backup. Before its server first starts, it is recovered to
 * the consistent state and gets the passwords of `spec`; subscriptions and publications are dropped, and `app` may not
 * write.
 */
export async function restoreInto(spec: ClusterSpec, backupData: string): Promise<void> {
  await layOut(spec, async (data) => {
    const copy = { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE };
    await cp(backupData, data, copy);
    if (existsSync(tablespacesOf(backupData))) await cp(tablespacesOf(backupData), tablespacesOf(data), copy);
    await linkTablespaces(data, tablespacesOf(data));
    // Drops settings made by ALTER SYSTEM for the original, such as a synchronous standby that would block commits.
    const own = join(data, 'postgresql.auto.conf');
    const kept = (await readFile(own, 'utf8').catch(() => '')).match(neededToRecover) ?? [];
    await writeFile(own, kept.map((line) => `${line}\n`).join(''));
    await rm(join(data, 'backup_manifest'));
    const user = serverUser();
    if (user !== undefined) await execa('chown', ['-R', `${user.uid}:${user.gid}`, dirname(data)], bareEnvironment());
    await runSingleUser(data, applicationDatabase, [
      ...dropReplication,
      revokeWrites,
      passwordStatement('admin', spec.passwords.admin),
      passwordStatement('owner', spec.passwords.owner),
      passwordStatement('app', spec.passwords.app),
    ]);
  });
}

/** Ends the prepared transactions of a restored copy. Whoever would commit them knows the original alone, and their locks would stay for ever. */
export async function endPrepared(access: DatabaseAccess): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl(access, 'admin'), options: sessionOptions });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<{ gid: string }>(
      'SELECT gid FROM pg_prepared_xacts WHERE database = current_database()',
    );
    for (const { gid } of rows) await client.query(`ROLLBACK PREPARED ${sqlLiteral(gid)}`);
  } finally {
    await client.end();
  }
}
