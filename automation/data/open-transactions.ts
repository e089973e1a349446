import pg from 'pg';
import { rows } from './connect.ts';

/** A transaction that has written and has not ended. */
export interface OpenTransaction {
  /** What it is, whose, and since when. */
  who: string;
  cure: string;
}

/**
 * Prepared transactions, and those of sessions that are older than `seconds`, in all databases of the cluster: a logical slot waits
 * for each of them. The oldest first.
 */
export async function openTransactions(client: pg.Client, seconds = 0): Promise<OpenTransaction[]> {
  const sql = `
    SELECT gid, NULL::int AS pid, owner::text AS owner, database::text AS database, 'prepared' AS state, extract(epoch FROM clock_timestamp() - prepared)::int AS age
    FROM pg_prepared_xacts
    UNION ALL SELECT NULL, pid, usename, datname, state, extract(epoch FROM clock_timestamp() - xact_start)::int
    FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL
      AND clock_timestamp() - xact_start >= make_interval(secs => $1)
    ORDER BY age DESC`;
  const found = await rows<Found>(client, sql, [seconds]);
  return found.map(({ gid, pid, owner, database, state, age }) =>
    gid === null
      ? {
          who: `${state}, process ${pid} of ${owner} in database ${database}, open for ${age} s`,
          cure: `wait for it, or end it: SELECT pg_terminate_backend(${pid})`,
        }
      : {
          who: `prepared transaction ${gid} of ${owner} in database ${database}, open for ${age} s`,
          cure: `in database ${database}: COMMIT PREPARED or ROLLBACK PREPARED ${pg.escapeLiteral(gid)}`,
        },
  );
}

interface Found {
  gid: string | null;
  pid: number | null;
  owner: string;
  database: string;
  state: string;
  age: number;
}
