import type pg from 'pg';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { tablesOf, type Table, describeKey } from '../catalog.ts';
import { row, rows } from '../connect.ts';
import type { Link } from '../link.ts';
import { dangersOf } from './schema-drift.ts';
import { rowChanges, type Change } from './pgoutput.ts';

/** Limits of the search: changes of the stuck transaction, and rows of a table that are compared by key. */
const maxChanges = 10_000;
const maxRows = 10_000;

/** Why a subscription disabled itself. */
export interface Conflict {
  problem: string;
  /** Whether a retry of the same change would fail again. */
  lasting: boolean;
}

/**
 * Finds out why a subscription disabled itself (`disable_on_error`). PostgreSQL 15 writes the reason only to its server log,
 * which is out of reach. So this examines tables whose initial copy failed, then the next change in the slot.
 */
export async function findConflict(link: Link, source: pg.Client, target: pg.Client): Promise<Conflict> {
  const stopped = `${link.to.colour} could not apply a change and stopped`;
  const tables = await tablesOf(target);
  const [failed] = await rows<{ name: string }>(
    target,
    `SELECT format('%s.%s', n.nspname, c.relname) AS name FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid
     JOIN pg_class c ON c.oid = r.srrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE s.subname = $1 AND r.srsubstate = 'd' AND EXISTS (SELECT FROM pg_stat_subscription_stats t WHERE t.subid = s.oid AND t.sync_error_count > 0)
     ORDER BY (SELECT coalesce(pg_relation_size(r.srrelid), 0)) DESC LIMIT 1`,
    [link.name],
  );
  const copied = tables.find((t) => t.name === failed?.name);
  if (copied !== undefined) {
    const key = await presentOnBoth(copied, source, target);
    const problem =
      key === undefined ? `${stopped} while copying table ${copied.name}` : existing(link, copied.name, key);
    return { problem, lasting: true };
  }
  const changes = await nextChanges(link, source, target);
  for (const change of changes) {
    const table = tables.find((t) => t.name === change.table);
    if (table === undefined) {
      const why = (await dangersOf(link, source, target)) ?? `table ${change.table} does not exist there`;
      return { problem: `${stopped}: ${why}`, lasting: true };
    }
    if (change.kind === 'insert' && (await exists(target, table, change)))
      return { problem: existing(link, table.name, keyText(table, change)), lasting: true };
  }
  const referring = await referringTo(link, target, changes);
  if (referring !== undefined) return { problem: `${stopped}: ${referring}`, lasting: true };
  const dangers = await dangersOf(link, source, target);
  if (dangers !== undefined) return { problem: `${stopped}: ${dangers}`, lasting: true };
  const [first] = changes;
  const next = first === undefined ? '' : `: the next one is an ${first.kind} of table ${first.table}`;
  return { problem: `${stopped}${next}`, lasting: false };
}

/** TRUNCATE is applied without CASCADE: PostgreSQL refuses it where another table refers to one that is emptied. */
async function referringTo(link: Link, target: pg.Client, changes: Change[]): Promise<string | undefined> {
  const emptied = changes.filter(({ kind }) => kind === 'truncate').map(({ table }) => table);
  const [found] = await rows<{ table: string; refers: string }>(
    target,
    `SELECT format('%s.%s', tn.nspname, t.relname) AS "table", format('%s.%s', n.nspname, c.relname) AS refers
     FROM pg_constraint k JOIN pg_class t ON t.oid = k.confrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
     JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE k.contype = 'f' AND format('%s.%s', tn.nspname, t.relname) = ANY ($1::text[])
       AND format('%s.%s', n.nspname, c.relname) <> ALL ($1::text[]) LIMIT 1`,
    [emptied],
  );
  if (found === undefined) return undefined;
  return `${link.from.colour} has truncated ${found.table}, and on ${link.to.colour} table ${found.refers} refers to it`;
}

const existing = (link: Link, table: string, key: string): string =>
  `table ${table}: the row with ${key} is already on ${link.to.colour}, where nobody but the replication may write`;

/** Changes of the first transaction that has not been applied. Peeking does not advance the slot. */
async function nextChanges(link: Link, source: pg.Client, target: pg.Client): Promise<Change[]> {
  const applied = await row<{ lsn: string }>(
    target,
    `SELECT coalesce(max(o.remote_lsn), '0/0')::text AS lsn FROM pg_subscription s LEFT JOIN pg_replication_origin_status o ON o.external_id = 'pg_' || s.oid WHERE s.subname = $1`,
    [link.name],
  );
  const found = await rows<{ data: Buffer; later: boolean }>(
    source,
    `SELECT data, lsn >= $2::pg_lsn AS later FROM pg_logical_slot_peek_binary_changes($1, NULL, $3, 'proto_version', '1', 'publication_names', $4)`,
    [link.name, applied.lsn, maxChanges, link.name],
  );
  // `applied` is the end of the last applied commit, at which the next change may begin.
  // PostgreSQL sends a relation message only once, perhaps before a change that is applied already. So all are kept.
  const isRelation = (data: Buffer): boolean => data[0] === 'R'.charCodeAt(0);
  return rowChanges(found.filter((f) => f.later || isRelation(f.data)).map((f) => f.data));
}

async function exists(target: pg.Client, table: Table, change: Change): Promise<boolean> {
  if (table.primaryKey.length === 0) return false;
  const where = table.primaryKey.map((name, i) => `${sqlIdentifier(name)}::text = $${i + 1}`).join(' AND ');
  const values = table.primaryKey.map((name) => change.values[name] ?? null);
  return (await rows(target, `SELECT 1 FROM ${table.sql} WHERE ${where} LIMIT 1`, values)).length > 0;
}

const keyText = (table: Table, change: Change): string =>
  describeKey(
    table,
    table.primaryKey.map((name) => change.values[name] ?? null),
  );

/** A key that exists on both sides, of a table that should be empty on `target`. */
async function presentOnBoth(table: Table, source: pg.Client, target: pg.Client): Promise<string | undefined> {
  if (table.primaryKey.length === 0) return undefined;
  const key = table.primaryKey.map((name) => `${sqlIdentifier(name)}::text`).join(', ');
  const there = await rows<{ k: (string | null)[] }>(
    target,
    `SELECT ARRAY[${key}] AS k FROM ${table.sql} LIMIT ${maxRows}`,
  );
  const [both] = await rows<{ k: (string | null)[] }>(
    source,
    `SELECT ARRAY[${key}] AS k FROM ${table.sql} WHERE to_jsonb(ARRAY[${key}]) = ANY ($1::jsonb[]) LIMIT 1`,
    [there.map((t) => JSON.stringify(t.k))],
  );
  return both === undefined ? undefined : describeKey(table, both.k);
}
