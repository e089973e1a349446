import { linkBetween } from '../automation/data/link.ts';
import { withClient } from '../automation/data/connect.ts';
import { beginSchema, copySchema } from '../automation/data/copying/schema.ts';
import { resetDatabase } from '../automation/data/schema.ts';
import { followSync, startSync, stopSync, waitForSync } from '../automation/data/replication/sync.ts';
import { createRig, schemaV1 } from './integration/automation/data/rig.ts';
import { MemoryRouter, Workload } from './integration/automation/data/traffic.ts';

/**
 * How long a seed takes up to streaming, by rows and by a physical copy, of the same database in the same run, with writers.
 * No part of CI: node_modules/.bin/node test/measure-seed.ts [megabytes]
 */
const megabytes = Number(process.argv[2] ?? 1000);
/** Bytes of a row with its index entries, about. */
const rowBytes = 370;

const rig = await createRig();
const link = linkBetween(rig.blue, rig.green);
const timed = async (what: string, work: () => Promise<unknown>): Promise<void> => {
  const started = performance.now();
  await work();
  console.log(`${what}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
};
try {
  await rig.fresh(schemaV1);
  // Clusters of tests do not flush.
  for (const { access } of [rig.blue, rig.green])
    for (const sql of ['ALTER SYSTEM SET fsync = on', 'SELECT pg_reload_conf()'])
      await withClient(access, 'admin', (client) => client.query(sql));
  await rig.run(
    rig.blue,
    'CREATE TABLE events (id bigint PRIMARY KEY, person bigint, at timestamptz, text text); CREATE INDEX ON events (person)',
  );
  const rows = Math.round((megabytes * 1e6) / rowBytes);
  for (let from = 0; from < rows; from += 200_000)
    await rig.run(
      rig.blue,
      `INSERT INTO events SELECT i, i::bigint * 7919 % 1000003, now(), repeat(md5(i::text), 8)
       FROM generate_series(${from}, ${Math.min(rows, from + 200_000) - 1}) i`,
    );
  const size = await withClient(rig.blue.access, 'owner', (client) =>
    client.query<{ size: string }>('SELECT pg_size_pretty(pg_database_size(current_database())) AS size'),
  );
  console.log(`database: ${size.rows[0]?.size}`);
  const load = new Workload(rig, new MemoryRouter(), 50, 4);
  try {
    await load.more(10);
    for (const round of [1, 2]) {
      await timed(`${round}: by rows, keys and indexes first`, async () => {
        await copySchema(rig.blue.access, rig.green.access);
        await startSync(rig.blue, rig.green);
        await waitForSync(link, { timeoutMs: 3_600_000 });
      });
      await stopSync(link);
      await resetDatabase(rig.green.access, 'green');
      await timed(`${round}: by rows, keys and indexes last`, async () => {
        const rest = await beginSchema(rig.blue.access, rig.green.access);
        await startSync(rig.blue, rig.green, { afterRows: rest.finish }).finally(() => rest.dispose());
        await waitForSync(link, { timeoutMs: 3_600_000 });
      });
      await stopSync(link);
      await timed(`${round}: by a physical copy`, async () => {
        let last = '';
        const started = performance.now();
        const at = (what: string): void => {
          last += ` ${what} ${((performance.now() - started) / 1000).toFixed(1)} s`;
        };
        await rig.seed({
          onProgress: ({ bytes, totalBytes }) => {
            if (bytes >= totalBytes && last === '') at('files');
          },
        });
        at('its own server');
        await followSync(link);
        await waitForSync(link, { timeoutMs: 3_600_000 });
        console.log(
          `  ${last}; failures of writers: ${load.failures.length}, slowest write ${Math.round(load.slowestMs)} ms`,
        );
      });
      await stopSync(link);
      await resetDatabase(rig.green.access, 'green');
    }
  } finally {
    await load.stop();
  }
} finally {
  await rig.dispose();
}
