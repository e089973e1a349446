import { constants, existsSync } from 'node:fs';
import { cp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { dropReplication } from '../../application/drop-replication.ts';
import { applicationDatabase, passwordStatement, revokeWrites } from '../../application/roles.ts';
import { linkTablespaces, settingsToRecover, tablespacesOf } from './base-backup.ts';
import { layOut, type ClusterSpec } from './create.ts';
import { runSingleUser } from './single-user.ts';
import { serverUser } from './unprivileged.ts';

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
    await writeFile(join(data, 'postgresql.auto.conf'), await settingsToRecover(data));
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
