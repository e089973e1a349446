import { withClient } from '../../automation/data/connect.ts';
import { linkBetween } from '../../automation/data/link.ts';
import { followSync, startSync, stopSync, waitForSync } from '../../automation/data/replication/sync.ts';
import { copySchema } from '../../automation/data/copying/schema.ts';
import { resetDatabase } from '../../automation/data/schema.ts';
import { createRig, schemaV1 } from '../integration/automation/data/rig.ts';
import { MemoryRouter, Workload } from '../integration/automation/data/traffic.ts';
import { makeContent } from './content.ts';
import { timed, type Benchmark } from './frame.ts';
import { endInitialCopy, initialCopy } from './initial-copy.ts';
import { absent, as, shell } from './programs.ts';

const patience = { timeoutMs: 3_600_000 };
/** Writes per second on the source while it is copied. */
const writes = 50;

export const seed: Benchmark = {
  name: 'seed',
  title:
    'Seed of 1 GB with 50 writes a second: from the start until everything written is applied; for copies without a stream, until their end',
  wanted: 2.5,
  async prepare(scale) {
    const rig = await createRig();
    const { blue, green } = rig;
    const link = linkBetween(blue, green);
    try {
      await rig.fresh(schemaV1.replaceAll('mood', 'temper'));
      const size = await makeContent(blue.access, 1000 * scale);
      // Without a key nothing of it could be updated; the log gets none.
      await rig.run(blue, 'ALTER TABLE log REPLICA IDENTITY FULL');
      // Clusters of tests do not flush, but a seed has to.
      for (const { access } of [blue, green])
        for (const sql of ['ALTER SYSTEM SET fsync = on', 'SELECT pg_reload_conf()'])
          await withClient(access, 'admin', (client) => client.query(sql));
      const load = new Workload(rig, new MemoryRouter(), writes, 4);
      await load.more(10);
      const empty = async (): Promise<void> => {
        await stopSync(link);
        await resetDatabase(green.access, 'green');
      };
      // Dumps have the schema, too.
      const bare = async (): Promise<void> => {
        await withClient(green.access, 'admin', (client) => client.query('DROP SCHEMA IF EXISTS greenlight CASCADE'));
      };
      const dsnOf = (variables: Record<string, string>, name: string): string =>
        `export ${name}="host=${variables['PGHOST']} port=${variables['PGPORT']} dbname=${variables['PGDATABASE']} user=${variables['PGUSER']}"`;
      const target = Object.fromEntries(Object.entries(as(green.access)).map(([name, value]) => [`TO_${name}`, value]));
      return {
        about: `${size} in 7 tables`,
        contenders: [
          {
            name: 'greenlight: physical copy, streaming',
            async run() {
              const took = await timed(async () => {
                await rig.seed();
                await followSync(link);
                await waitForSync(link, patience);
              });
              return { ...took, 'failed writes': load.failures.length };
            },
            after: empty,
          },
          {
            name: 'greenlight: copy of rows, streaming',
            own: true,
            run: () =>
              timed(async () => {
                await copySchema(blue.access, green.access);
                await startSync(blue, green);
                await waitForSync(link, patience);
              }),
            after: empty,
          },
          {
            name: 'logical initial copy, streaming',
            absent: absent('pg_dump', 'psql'),
            before: bare,
            run: () => timed(() => initialCopy(blue.access, green.access)),
            async after() {
              await endInitialCopy(blue.access, green.access);
              await empty();
            },
          },
          {
            name: 'pg_dump into psql',
            absent: absent('pg_dump', 'psql'),
            before: bare,
            run: () =>
              timed(() =>
                shell(
                  'pg_dump --no-owner --no-privileges | env PGPORT="$TO_PGPORT" PGPASSWORD="$TO_PGPASSWORD" psql -Xq -v ON_ERROR_STOP=1 >/dev/null',
                  { ...as(blue.access), ...target },
                ),
              ),
            after: empty,
          },
          {
            name: 'pgcopydb clone',
            absent: absent('pgcopydb'),
            before: bare,
            run: () =>
              timed(() =>
                shell(
                  `${dsnOf(as(blue.access), 'PGCOPYDB_SOURCE_PGURI')} PASSFILE="$(mktemp)"; ${dsnOf(as(green.access), 'PGCOPYDB_TARGET_PGURI')}
                   trap 'rm -rf "$PASSFILE" "$PASSFILE.d"' EXIT
                   printf '%s\\n' "*:$PGPORT:*:*:$FROM" "*:$TO_PGPORT:*:*:$TO" > "$PASSFILE"; chmod 600 "$PASSFILE"; unset PGPASSWORD PGHOST PGPORT PGDATABASE PGUSER
                   PGPASSFILE="$PASSFILE" pgcopydb clone --dir "$PASSFILE.d" --no-owner --no-acl --table-jobs 2 --index-jobs 2 >&2`,
                  {
                    ...as(blue.access),
                    ...target,
                    FROM: escaped(blue.access.admin.password),
                    TO: escaped(green.access.admin.password),
                  },
                ),
              ),
            after: empty,
          },
        ],
        async dispose() {
          await load.stop();
          await rig.dispose();
        },
      };
    } catch (error) {
      await rig.dispose();
      throw error;
    }
  },
};

const escaped = (password: string): string => password.replaceAll(/[\\:]/g, String.raw`\$&`);
