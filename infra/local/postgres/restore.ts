import { constants } from 'node:fs';
import { cp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { applicationDatabase, passwordStatement, revokeWrites } from '../../roles.ts';
import { layOut, type ClusterSpec } from './create.ts';
import { runSingleUser } from './single-user.ts';
import { serverUser } from './unprivileged.ts';

/**
 * What a restored copy must not have: it would connect to the live databases and disturb them. Dropping a
 * subscription may call its publisher, to drop the slots of tables in sync there; so it is first pointed nowhere.
 */
const dropReplication = [
  `DO $do$ DECLARE s name; BEGIN
   FOR s IN SELECT subname FROM pg_subscription JOIN pg_database d ON d.oid = subdbid WHERE datname = current_database() LOOP
     EXECUTE format('ALTER SUBSCRIPTION %I CONNECTION ''host=127.0.0.1 port=1 connect_timeout=2''', s);
     EXECUTE format('ALTER SUBSCRIPTION %I DISABLE', s);
     EXECUTE format('ALTER SUBSCRIPTION %I SET (slot_name = NONE)', s);
     EXECUTE format('DROP SUBSCRIPTION %I', s);
   END LOOP; END $do$`,
  `DO $do$ DECLARE p name; BEGIN
   FOR p IN SELECT pubname FROM pg_publication LOOP EXECUTE format('DROP PUBLICATION %I', p); END LOOP; END $do$`,
].map((statement) => statement.replace(/\s*\n\s*/g, ' '));

/**
 * Makes the cluster of `spec` from the data directory of a backup. It recovers to its consistent state, gets the
 * passwords of `spec`, is fenced, and has lost every tie to other databases before its server first starts.
 */
export async function restoreInto(spec: ClusterSpec, backupData: string): Promise<void> {
  await layOut(spec, async (data) => {
    await cp(backupData, data, { recursive: true, mode: constants.COPYFILE_FICLONE });
    // Settings made by ALTER SYSTEM were meant for the original, a synchronous standby among them.
    await writeFile(join(data, 'postgresql.auto.conf'), '');
    await rm(join(data, 'backup_manifest'));
    const user = serverUser();
    if (user !== undefined) await execa('chown', ['-R', `${user.uid}:${user.gid}`, data]);
    await runSingleUser(data, applicationDatabase, [
      ...dropReplication,
      revokeWrites,
      passwordStatement('admin', spec.passwords.admin),
      passwordStatement('owner', spec.passwords.owner),
      passwordStatement('app', spec.passwords.app),
    ]);
  });
}
