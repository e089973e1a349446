import pg from 'pg';
import { applicationName, rows } from './connect.ts';
import { ownSchemas } from './catalog.ts';

/**
 * Who keeps a release waiting in a database: sessions, autovacuum and prepared transactions, with age and lock. Never a statement's
 * text, which may hold personal data.
 */
export interface Blocker {
  /** For a person: `process 71 of app (psql), idle in transaction for 800 ms, RowExclusiveLock on public.orders`. */
  text: string;
  /** Age of its transaction, ms. */
  ms: number;
  /** How a person ends it. */
  cure: string;
  /** Absent for a prepared transaction. */
  pid?: number;
  /** Whether it is an autovacuum that PostgreSQL cancels for a session that waits for its lock. */
  yields: boolean;
}

/** `backend_type` of an autovacuum that is not urgent. */
const autovacuum = 'autovacuum worker';
/** Names that a message holds. */
const most = 5;

/** Locks of a table that conflict with the fence's, the weakest first. */
const modes = `ARRAY['RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock']`;

/** Of these a request that waits is as bad as a lock: later ones wait behind it. */
const queued = `ARRAY['ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock']`;

/** SQL: the strongest such lock of each transaction. Temporary tables do not count, as no other session can use them. */
const locksSql = `
  SELECT DISTINCT ON (l.virtualtransaction) l.pid, l.virtualtransaction AS vxid, l.mode, n.nspname || '.' || c.relname AS relation
  FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE (l.granted OR l.mode = ANY (${queued})) AND l.locktype = 'relation' AND c.relpersistence <> 't' AND c.relkind IN ('r', 'p') AND ${ownSchemas}
    AND l.mode = ANY (${modes}) AND l.pid IS DISTINCT FROM pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  ORDER BY l.virtualtransaction, array_position(${modes}, l.mode) DESC`;

interface Found {
  pid: number | null;
  name: string | null;
  application: string | null;
  /** Where it is; null: in none, as a part of the server may be. */
  database: string | null;
  elsewhere: boolean;
  does: string;
  ms: number;
  mode: string | null;
  relation: string | null;
}

/** SQL: sessions and prepared transactions with their locks, the oldest first. The conditions are about `a` and `p`. */
const foundSql = (session: string, prepared: string): string => `
  WITH locks AS (${locksSql})
  SELECT a.pid, a.usename AS name, nullif(a.application_name, '') AS application, a.datname AS database, a.datname <> current_database() AS elsewhere,
    CASE WHEN a.backend_type = 'client backend' THEN coalesce(a.state, 'active') || CASE WHEN a.wait_event_type = 'Lock' THEN ', waiting for a lock' ELSE '' END
      WHEN a.query LIKE '%(to prevent wraparound)' THEN 'autovacuum (to prevent wraparound)' ELSE a.backend_type END AS does,
    extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.query_start, a.backend_start))::float8 * 1000 AS ms, l.mode, l.relation
  FROM pg_stat_activity a LEFT JOIN locks l ON l.pid = a.pid WHERE a.pid <> pg_backend_pid() AND (${session})
  UNION ALL
  SELECT NULL, p.owner, p.gid, p.database, p.database <> current_database(), 'prepared transaction', extract(epoch FROM clock_timestamp() - p.prepared)::float8 * 1000, l.mode, l.relation
  FROM pg_prepared_xacts p LEFT JOIN pg_locks t ON t.locktype = 'transactionid' AND t.transactionid = p.transaction AND t.pid IS NULL
    LEFT JOIN locks l ON l.pid IS NULL AND l.vxid = t.virtualtransaction WHERE ${prepared}
  ORDER BY ms DESC`;

const blockers = async (client: pg.Client, session: string, prepared: string, values?: unknown[]): Promise<Blocker[]> =>
  (await rows<Found>(client, foundSql(session, prepared), values)).map((found) => ({
    text: describe(found),
    cure: cureOf(found),
    ms: found.ms,
    yields: found.does === autovacuum,
    ...(found.pid === null ? {} : { pid: found.pid }),
  }));

/** Sessions that hold a lock on a table of the application against writing with it, or against the fence. */
export const lockHolders = (client: pg.Client): Promise<Blocker[]> =>
  blockers(client, 'l.mode IS NOT NULL', `l.mode IS NOT NULL AND p.database = current_database()`);

/** Whoever coordinates transactions commits a prepared one within moments, s. One that is older has most likely lost its coordinator. */
const preparedSeconds = 60;
/** The age from which `openWriters` takes a prepared transaction for one that stays, where sessions may be `seconds` old. */
export const preparedLimit = (seconds: number): number => Math.min(seconds, preparedSeconds);

/**
 * Transactions of the whole cluster that have written and are older than `seconds`: a replication slot begins after all of them. A
 * prepared transaction counts from a minute on, as it does not end with a session.
 */
export const openWriters = (client: pg.Client, seconds = 0): Promise<Blocker[]> =>
  blockers(
    client,
    'a.backend_xid IS NOT NULL AND clock_timestamp() - a.xact_start >= make_interval(secs => $1)',
    `clock_timestamp() - p.prepared >= make_interval(secs => ${preparedLimit(seconds)})`,
    [seconds],
  );

/** Sessions that keep the subscription's workers waiting. */
export const blockingSubscription = (client: pg.Client, subscription: string): Promise<Blocker[]> => {
  const waiting =
    'SELECT unnest(pg_blocking_pids(w.pid)) FROM pg_stat_subscription w WHERE w.subname = $1 AND w.pid IS NOT NULL';
  return blockers(client, `a.pid IN (${waiting})`, `0 IN (${waiting}) AND l.mode IS NOT NULL`, [subscription]);
};

/** Sessions of others that have begun something and not ended it. */
export const busySessions = (client: pg.Client): Promise<Blocker[]> =>
  blockers(
    client,
    `a.backend_type = 'client backend' AND a.datname = current_database() AND a.state <> 'idle' AND a.application_name NOT LIKE '${applicationName}%'`,
    'p.database = current_database()',
  );

function describe({ pid, name, application, database, elsewhere, does, ms, mode, relation }: Found): string {
  const age = ms < 10_000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 1000)} s`;
  const lock = mode === null ? '' : `, ${mode} on ${relation}`;
  const where = elsewhere ? ` in database ${database}` : '';
  if (pid === null) return `prepared transaction "${application}" of ${name}${where} for ${age}${lock}`;
  const who = name === null ? '' : ` of ${name}${application === null ? '' : ` (${application})`}`;
  return `process ${pid}${who}${where}, ${does} for ${age}${lock}`;
}

const cureOf = ({ pid, application, database }: Found): string =>
  pid === null
    ? `in database ${database}: COMMIT PREPARED or ROLLBACK PREPARED ${pg.escapeLiteral(application ?? '')}`
    : `wait for it, or end it: SELECT pg_terminate_backend(${pid})`;

/** The first of them, for a message; undefined if there are none. */
export function nameBlockers(found: Blocker[]): string | undefined {
  if (found.length === 0) return undefined;
  const more = found.length > most ? [`and ${found.length - most} more`] : [];
  return [...found.slice(0, most).map(({ text }) => text), ...more].join('; ');
}

/**
 * Ends sessions that are not Greenlight's, as far as this one's role may. Their clients do not know whether they wrote. Only a
 * superuser may end one of a superuser or an autovacuum, and RDS has none for customers.
 */
export async function endSessions(client: pg.Client, found: Blocker[]): Promise<void> {
  await client.query(
    `SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid
     WHERE a.pid = ANY ($1) AND a.application_name NOT LIKE '${applicationName}%' AND a.backend_type IN ('client backend', 'autovacuum worker')
       AND (r.rolsuper IS FALSE OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))`,
    [found.map(({ pid }) => pid).filter((pid) => pid !== undefined)],
  );
}
