import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { compareRestored, openMoment } from '../../automation/data/comparison/restored.ts';
import { close, connect, withClient } from '../../automation/data/connect.ts';
import { createLocalBackups } from '../../infra/local/postgres/backups.ts';
import { clusterAccess } from '../../infra/local/postgres/cluster.ts';
import { openDatabaseEnvironment } from '../integration/infra/local/postgres/environment.ts';
import { makeContent } from './content.ts';
import { timed, type Benchmark } from './frame.ts';
import { absent, as, shell } from './programs.ts';

const tables = ['people', 'orders', 'log'];

export const restore: Benchmark = {
  name: 'restore',
  title: 'Verified restore of 1 GB: backup, restore into another server, proof that it holds what the original holds',
  wanted: 2,
  async prepare(scale) {
    const environment = await openDatabaseEnvironment('blue', 'green');
    try {
      const [blue, green] = [clusterAccess(environment.cluster.blue), clusterAccess(environment.cluster.green)];
      const size = await makeContent(blue, 1000 * scale);
      const backups = createLocalBackups(environment.layout, environment.spec);
      const dump = join(environment.layout.directory, 'dump');
      const counts = `psql -XAtq -c "${tables.map((table) => `SELECT count(*) FROM ${table};`).join(' ')}"`;

      /** As a release does it: the backup's files are checked, and the copy's rows are compared with those of the original. */
      const ours = async (): Promise<void> => {
        const sessions = [await connect(blue, 'admin'), await connect(blue, 'admin')] as const;
        try {
          const before = await openMoment(sessions[0]);
          const backup = await backups.take('blue', '1.0.0', {});
          const after = await openMoment(sessions[1]);
          await backups.verify(backup);
          const scratch = await backups.restore(backup);
          try {
            const found = await withClient(scratch.access, 'admin', (copy) => compareRestored(before, after, copy));
            const { different, unknown } = found.structure;
            const equal = found.tables.every((table) => table.equal) && different.length + unknown.length === 0;
            if (found.tables.length !== tables.length || !equal) throw new Error('not equal');
          } finally {
            await scratch.dispose();
            await rm(backup.location, { recursive: true });
          }
        } finally {
          await Promise.all(sessions.map(close));
        }
      };
      /** Of the copy only the numbers of rows are checked. */
      const theirs = async (): Promise<void> => {
        await shell('pg_dump -Fc --exclude-schema=greenlight -f "$DUMP"', { ...as(blue), DUMP: dump });
        await shell('pg_restore --no-owner -j 2 -d "$PGDATABASE" "$DUMP"', { ...as(green), DUMP: dump });
        const [one, other] = await Promise.all([blue, green].map((access) => shell(counts, as(access))));
        if (one?.out !== other?.out) throw new Error('not equal');
      };
      const emptied = 'DROP SCHEMA public CASCADE; CREATE SCHEMA public';
      return {
        about: `${size} in ${tables.length} tables`,
        contenders: [
          { name: 'greenlight: copy of the files, checked, rows compared', run: () => timed(ours) },
          {
            name: 'pg_dump -Fc, pg_restore -j 2, counts',
            absent: absent('pg_dump', 'pg_restore', 'psql'),
            run: () => timed(theirs),
            async after() {
              await withClient(green, 'admin', (client) => client.query(emptied));
              await rm(dump);
            },
          },
        ],
        dispose: () => environment.close(),
      };
    } catch (error) {
      await environment.close();
      throw error;
    }
  },
};
