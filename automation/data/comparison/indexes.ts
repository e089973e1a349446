import type pg from 'pg';
import { messageOf } from '../../../infra/lib/errors.ts';
import type { IndexCheck } from '../../journal/events.ts';
import { notOfExtension, ownSchemas } from '../catalog.ts';
import { isLost, row, rows, sqlState } from '../connect.ts';
import { isRefusal, type Limits } from './reading.ts';

/** Time for all indexes together, ms: each is read with its table. Unique ones come first, then small ones. */
const allMs = 120_000;

/** SQLSTATEs of amcheck's findings: data_corrupted, index_corrupted. */
const corrupted = new Set(['XX001', 'XX002']);
const timedOut = '57014';
const tooLate = 'there was no time for all';
/** How much longer than the server the client waits, ms. */
const graceMs = 5_000;

const indexes = `
  SELECT c.oid::text AS oid, format('%I.%I', n.nspname, c.relname) AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam
  WHERE a.amname = 'btree' AND c.relkind = 'i' AND c.relpersistence = 'p' AND i.indisvalid AND i.indisready AND ${ownSchemas} AND ${notOfExtension}
  ORDER BY i.indisunique DESC, pg_relation_size(c.oid) + pg_relation_size(i.indrelid), c.oid`;

/**
 * Reads the B-tree indexes of a restored copy: whether their order is right, and every row of the table is found by them. A physical copy has
 * the damage of its original, such as by another version of the collation; through a damaged unique index a replication loses changes. Needs
 * PostgreSQL's extension amcheck, of which nothing stays. `restored` is a session as admin without an open transaction.
 */
export async function checkIndexes(restored: pg.Client, timeoutMs = allMs): Promise<IndexCheck> {
  const deadline = performance.now() + timeoutMs;
  const found: IndexCheck = { checked: 0, of: 0, damaged: [] };
  await restored.query('BEGIN');
  try {
    const all = await rows<{ oid: string; name: string }>(restored, indexes);
    found.of = all.length;
    const check = await amcheck(restored);
    for (const { oid, name } of all) {
      const left = Math.floor(deadline - performance.now());
      if (left <= 0) return { ...found, reason: tooLate };
      await restored.query(`SAVEPOINT one; SET LOCAL statement_timeout = ${left}`);
      try {
        const limits: Limits = { query_timeout: left + graceMs };
        await restored.query({ text: check, values: [oid], ...limits });
        found.checked += 1;
      } catch (error) {
        if (!isRefusal(error) || error.code === timedOut) throw error;
        if (corrupted.has(error.code ?? '')) {
          found.checked += 1;
          found.damaged.push(
            `index ${name} is damaged, as on the live database: ${error.message}; cure: REINDEX INDEX CONCURRENTLY ${name}`,
          );
        } else found.reason ??= `${name}: ${error.message}`;
      }
      await restored.query('ROLLBACK TO SAVEPOINT one');
    }
    return found;
  } catch (error) {
    // What was found until then counts. A database without the extension, or a role that may not create it, is no worse than before.
    if (isLost(error)) throw error;
    return { ...found, reason: sqlState(error) === timedOut ? tooLate : messageOf(error) };
  } finally {
    await restored.query('ROLLBACK').catch(() => undefined);
  }
}

/** The statement that checks the index `$1`. The extension is made for the transaction where it is not there. */
async function amcheck(client: pg.Client): Promise<string> {
  const schema = 'greenlight_amcheck';
  await client.query(
    `SET LOCAL client_min_messages = warning; CREATE SCHEMA ${schema}; CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA ${schema}`,
  );
  // From PostgreSQL 17 on it also looks for equal rows in a unique index.
  return (
    await row<{ sql: string }>(
      client,
      `SELECT format('SELECT %s($1::oid::regclass, %s)', format('%I.%I', n.nspname, p.proname), repeat('true, ', p.pronargs - 2) || 'true') AS sql
       FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
       WHERE e.extname = 'amcheck' AND p.proname = 'bt_index_check' AND p.pronargs > 1 ORDER BY p.pronargs DESC LIMIT 1`,
    )
  ).sql;
}
