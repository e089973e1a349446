import type pg from 'pg';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { ownSchemas } from '../catalog.ts';
import { row, rows } from '../connect.ts';
import type { Identity } from './identity.ts';
import type { Found } from './publishable.ts';
import { failure, unresolved } from './search-path.ts';

interface Trigger {
  table: string;
  name: string;
  /** For ALTER FUNCTION. */
  function: string;
  /** `pg_trigger.tgenabled`: origin, disabled, replica, always. */
  enabled: 'O' | 'D' | 'R' | 'A';
}

const triggersSql = `
  SELECT format('%s.%s', n.nspname, c.relname) AS "table", t.tgname AS name, t.tgenabled AS enabled,
    format('%I.%I(%s)', fn.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS function
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace fn ON fn.oid = p.pronamespace
  WHERE NOT t.tgisinternal AND ${ownSchemas} ORDER BY 1, 2`;

/**
 * Triggers of `copy` that fire for replicated rows and fail over a name that they do not find. A row of each table is updated, deleted and
 * inserted again as the apply worker does it, in a transaction that is rolled back. `sent`: tables and columns that the other side sends;
 * a trigger that it has as well does not fire for replicated rows (`quietTriggers`). A table without rows cannot be tried.
 */
export async function tryTriggers(source: pg.Client, copy: pg.Client, sent: readonly Identity[]): Promise<Found[]> {
  const theirs = await rows<Trigger>(source, triggersSql);
  const quiet = new Set(
    theirs.filter(({ enabled }) => 'AO'.includes(enabled)).map(({ table, name }) => `${table} ${name}`),
  );
  const firing = (await rows<Trigger>(copy, triggersSql)).filter(
    ({ table, name, enabled }) => enabled === 'R' || (enabled === 'A' && !quiet.has(`${table} ${name}`)),
  );
  if (firing.length === 0) return [];
  const { path } = await row<{ path: string }>(copy, `SELECT current_setting('search_path') AS path`);
  const found: Found[] = [];
  await copy.query(
    `BEGIN; SET LOCAL search_path = ''; SET LOCAL lock_timeout = 3000; SET LOCAL synchronous_commit = off`,
  );
  try {
    // RDS lets its administrator do so. Elsewhere it takes a superuser, and nothing can be tried without.
    if ((await copy.query('SET LOCAL session_replication_role = replica').catch(() => undefined)) === undefined)
      return [];
    for (const table of new Set(firing.map((trigger) => trigger.table))) {
      const identity = sent.find(({ name, leaves }) => name === table || leaves.some((leaf) => leaf.name === table));
      const reason = identity === undefined ? undefined : await failure(copy, changesOf(identity));
      if (reason === undefined) continue;
      const mine = firing.filter((trigger) => trigger.table === table);
      const where = `table ${table}, trigger ${mine.map(({ name }) => name).join(', ')}`;
      found.push(unresolved(where, mine[0]?.function ?? '', reason, path));
    }
  } finally {
    await copy.query('ROLLBACK').catch(() => undefined);
  }
  return found;
}

/** Changes one row of the table in each way. The columns are those that are sent; the others get their defaults. */
function changesOf({ sql, columns, partitioned, touch }: Identity): string {
  const from = partitioned ? sql : `ONLY ${sql}`;
  const listed = columns.map(sqlIdentifier).join(', ');
  const trial = 'pg_temp.greenlight_trial';
  return [
    `CREATE TEMP TABLE greenlight_trial ON COMMIT DROP AS SELECT tableoid AS "greenlight relation", ctid AS "greenlight row", ${listed} FROM ${from} LIMIT 1`,
    `DELETE FROM ${from} WHERE (tableoid, ctid) = (SELECT "greenlight relation", "greenlight row" FROM ${trial})`,
    `INSERT INTO ${sql} (${listed}) OVERRIDING SYSTEM VALUE SELECT ${listed} FROM ${trial}`,
    ...(touch === null
      ? []
      : [`UPDATE ${from} SET ${touch} WHERE (tableoid, ctid) = (SELECT tableoid, ctid FROM ${from} LIMIT 1)`]),
  ].join('; ');
}
