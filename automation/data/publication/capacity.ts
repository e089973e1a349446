import type pg from 'pg';
import { notOfExtension, ownSchemas } from '../catalog.ts';
import { row } from '../connect.ts';
import type { Found } from './publishable.ts';

/** What two directions and their initial copies need. PostgreSQL copies two tables at a time, with a worker for each. */
const needed = { slots: 3, senders: 3, workers: 4 };

/** Locks of the cutover beside those of the application's relations: of the catalog, the publication and the subscription. */
const spareLocks = 500;

interface Server {
  level: string;
  slots: number;
  senders: number;
  workers: number;
  /** Locks that the server's table has room for, and those that are held now. */
  locks: number;
  held: number;
  perTransaction: number;
  /** Tables with partitions, and sequences: the fence locks the former, and the carry-over the latter. */
  relations: number;
}

/** The size of the lock table: https://www.postgresql.org/docs/15/runtime-config-locks.html, and `MaxBackends` of the source. */
const serverSql = `
  WITH setting AS (SELECT name, setting FROM pg_settings), n AS (SELECT name, setting::int AS n FROM setting WHERE setting ~ '^[0-9]{1,9}$')
  SELECT (SELECT setting FROM setting WHERE name = 'wal_level') AS level,
    ((SELECT n FROM n WHERE name = 'max_replication_slots') - (SELECT count(*) FROM pg_replication_slots))::int AS slots,
    ((SELECT n FROM n WHERE name = 'max_wal_senders') - (SELECT count(*) FROM pg_stat_replication))::int AS senders,
    (SELECT n FROM n WHERE name = 'max_logical_replication_workers') AS workers,
    (SELECT n FROM n WHERE name = 'max_locks_per_transaction') AS "perTransaction",
    ((SELECT n FROM n WHERE name = 'max_locks_per_transaction') * (SELECT sum(n) + 1 FROM n
      WHERE name IN ('max_connections', 'autovacuum_max_workers', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions')))::int AS locks,
    (SELECT count(*)::int FROM pg_locks WHERE NOT fastpath) AS held,
    (SELECT count(*)::int FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't' AND ${ownSchemas} AND ${notOfExtension}) AS relations`;

/** What the server has too little of for a replication and a cutover. */
export async function capacity(client: pg.Client): Promise<Found[]> {
  const found: Found[] = [];
  const s = await row<Server>(client, serverSql);
  const error = (what: string, cure: string) => found.push({ severity: 'error', found: what, cure });
  const few = (name: string, have: number, want: number) => {
    if (have < want) error(`${have} left of ${name}, ${want} are needed`, `raise ${name} and restart, or free some`);
  };
  if (s.level !== 'logical') error(`wal_level is ${s.level}`, "set wal_level = 'logical' and restart the database");
  few('max_replication_slots', s.slots, needed.slots);
  few('max_wal_senders', s.senders, needed.senders);
  few('max_logical_replication_workers', s.workers, needed.workers);
  const wanted = s.relations + spareLocks;
  const free = s.locks - s.held;
  if (free < wanted) {
    const enough = Math.ceil((s.perTransaction * (wanted + s.held)) / s.locks);
    error(
      `${s.relations} tables, partitions and sequences are locked by the fence and the carry-over, ${wanted} locks are needed, and the server has room for ${free}`,
      `set max_locks_per_transaction = ${enough} (it is ${s.perTransaction}) and restart the database`,
    );
  }
  return found;
}
