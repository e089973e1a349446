import { setTimeout as sleep } from 'node:timers/promises';
import { row } from '../connect.ts';
import { relationsOf, type Source } from './reading.ts';

/** How long to wait for statistics, ms. An idle session reports its writes within 10 s (PGSTAT_IDLE_INTERVAL). */
const reportedMs = 12_000;
const pollMs = 500;

/**
 * Whether anything was written to a table since the snapshot `before` was opened. It asks the server's statistics, as a row
 * that was written and deleted leaves no other trace. A table that TRUNCATE emptied, or a materialised view that was refreshed, has
 * another file: its rows are gone from every snapshot. `after` is another session of the same database.
 */
export async function writtenMeanwhile(before: Source, after: Source): Promise<boolean> {
  const then = await writes(before, 'c.relfilenode');
  const deadline = performance.now() + reportedMs;
  for (;;) {
    await after.snapshot.run((client) => client.query('SELECT pg_stat_clear_snapshot()'));
    // The file that the table has now, not that of the snapshot.
    if ((await writes(after, 'coalesce(pg_relation_filenode(relid), 0)')) !== then) return true;
    if (performance.now() > deadline) return false;
    await sleep(pollMs);
  }
}

async function writes({ snapshot, table }: Source, file: string): Promise<string> {
  const all = ['inserted', 'updated', 'deleted'].map((what) => `pg_stat_get_tuples_${what}(relid)`).join(' + ');
  const sql = `SELECT concat_ws(' ', coalesce(sum(${all}), 0), string_agg((${file})::text, ' ' ORDER BY relid)) AS n
    FROM ${relationsOf} LEFT JOIN pg_class c ON c.oid = relid`;
  return (await snapshot.run((client) => row<{ n: string }>(client, sql, [table.sql]))).n;
}
