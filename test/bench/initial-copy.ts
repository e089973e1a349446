import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { row, withClient } from '../../automation/data/connect.ts';
import { connectionInfo } from '../../automation/data/replication/subscription.ts';
import { sqlLiteral } from '../../infra/application/roles.ts';
import type { DatabaseAccess } from '../../infra/platform/databases.ts';
import { as, shell } from './programs.ts';

/** PostgreSQL's own logical replication with its initial copy, as its documentation has it. */

const name = 'plain';
const pollMs = 20;
const timeoutMs = 3_600_000;

const long = { statementMs: timeoutMs };

/** Resolves once every table is copied and everything written until then is applied. */
export async function initialCopy(from: DatabaseAccess, to: DatabaseAccess): Promise<void> {
  const target = Object.fromEntries(Object.entries(as(to)).map(([key, value]) => [`TO_${key}`, value]));
  await shell(
    'pg_dump --schema-only --no-owner --no-privileges | env PGPORT="$TO_PGPORT" PGPASSWORD="$TO_PGPASSWORD" psql -Xq -v ON_ERROR_STOP=1 >/dev/null',
    { ...as(from), ...target },
  );
  await withClient(
    from,
    'admin',
    (source) =>
      withClient(
        to,
        'admin',
        async (subscriber) => {
          await source.query(`CREATE PUBLICATION ${name} FOR ALL TABLES`);
          await subscriber.query(
            `CREATE SUBSCRIPTION ${name} CONNECTION ${sqlLiteral(connectionInfo(from))} PUBLICATION ${name} WITH (copy_data = true)`,
          );
          await caughtUp(source, subscriber);
        },
        long,
      ),
    long,
  );
}

async function caughtUp(source: pg.Client, subscriber: pg.Client): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  const until = async (what: string, done: () => Promise<boolean>): Promise<void> => {
    while (!(await done())) {
      if (performance.now() > deadline) throw new Error(`${what} took longer than ${timeoutMs} ms`);
      await sleep(pollMs);
    }
  };
  await until('the initial copy', async () => {
    const sql = `SELECT count(*) FILTER (WHERE srsubstate <> 'r')::int AS open, count(*)::int AS tables FROM pg_subscription_rel`;
    const { open, tables } = await row<{ open: number; tables: number }>(subscriber, sql);
    return tables > 0 && open === 0;
  });
  const { lsn } = await row<{ lsn: string }>(source, 'SELECT pg_current_wal_flush_lsn()::text AS lsn');
  await until('the catch-up', async () => {
    const sql =
      'SELECT coalesce(bool_or(replay_lsn >= $1::pg_lsn), false) AS done FROM pg_stat_replication WHERE application_name = $2';
    return (await row<{ done: boolean }>(source, sql, [lsn, name])).done;
  });
}

/** Removes both ends, so that the databases can be emptied. */
export async function endInitialCopy(from: DatabaseAccess, to: DatabaseAccess): Promise<void> {
  await withClient(to, 'admin', (subscriber) => subscriber.query(`DROP SUBSCRIPTION IF EXISTS ${name}`));
  await withClient(from, 'admin', (source) => source.query(`DROP PUBLICATION IF EXISTS ${name}`));
}
