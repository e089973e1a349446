import pg from 'pg';
import { messageOf } from '../../../infra/lib/errors.ts';
import { notOfExtension, ownSchemas } from '../catalog.ts';
import { row, rows, sqlState } from '../connect.ts';
import type { Identity } from './identity.ts';
import type { Found } from './publishable.ts';

/**
 * PostgreSQL applies replicated changes with an empty search path. A function that names a table, a function or a dictionary without its
 * schema then fails, and the replication stops with the first row of that table. What a function names shows only when it runs. So
 * expressions are evaluated as the apply worker would.
 */

/** SQLSTATEs of a name that is not found: function, table, type or dictionary, schema. Other errors are the data's. */
const notFound = new Set(['42883', '42P01', '42704', '3F000']);
/** Rows of a table for which its expressions are evaluated. A row of NULLs is added, for an empty table. */
const sampled = 100;
/** Timeout for one table, ms. */
const tableMs = 10_000;

interface Expressions {
  sql: string;
  /** `public.lessons`. */
  name: string;
  relation: string;
  /** The table that it is a partition of, or its own name. */
  root: string;
  /** `index people_name: public.f(text)`: what has them, and the functions that it calls. */
  uses: string[];
  functions: string[];
  expressions: string[];
  /** The column, where it is a default: null otherwise. */
  defaults: (string | null)[];
}

/** Functions of the application that `object` of the catalog `catalog` calls, by name or by an operator. */
const called = (catalog: string, object: string): string => `LATERAL (
  SELECT array_agg(DISTINCT p.oid::regprocedure::text) AS names FROM pg_depend d
  LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
  JOIN pg_proc p ON p.oid = CASE d.refclassid WHEN 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END JOIN pg_namespace pn ON pn.oid = p.pronamespace
  WHERE d.classid = '${catalog}'::regclass AND d.objid = ${object} AND pn.nspname <> 'pg_catalog') AS f`;

const expressionsSql = `
  WITH relation AS (
    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS sql, format('%s.%s', n.nspname, c.relname) AS name, c.relname,
      (SELECT format('%s.%s', r.relnamespace::regnamespace::name, r.relname) FROM pg_class r WHERE r.oid = coalesce(pg_partition_root(c.oid), c.oid)) AS root FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND ${ownSchemas} AND ${notOfExtension}),
  used (oid, what, functions, expression, "default") AS (
    SELECT i.indrelid, 'index ' || i.indexrelid::regclass, f.names, e.text, NULL
    FROM pg_index i, ${called('pg_class', 'i.indexrelid')}, LATERAL (VALUES (pg_get_expr(i.indexprs, i.indrelid)), (pg_get_expr(i.indpred, i.indrelid))) e (text)
    WHERE f.names IS NOT NULL
    UNION ALL SELECT k.conrelid, 'constraint ' || k.conname, f.names, pg_get_expr(k.conbin, k.conrelid), NULL
    FROM pg_constraint k, ${called('pg_constraint', 'k.oid')} WHERE k.contype = 'c' AND k.conrelid <> 0 AND f.names IS NOT NULL
    UNION ALL SELECT a.attrelid, CASE a.attgenerated WHEN '' THEN 'default of column ' ELSE 'generated column ' END || a.attname, f.names, pg_get_expr(x.adbin, x.adrelid), CASE a.attgenerated WHEN '' THEN a.attname END
    FROM pg_attrdef x JOIN pg_attribute a ON a.attrelid = x.adrelid AND a.attnum = x.adnum, ${called('pg_attrdef', 'x.oid')} WHERE f.names IS NOT NULL
    UNION ALL SELECT a.attrelid, 'domain ' || t.oid::regtype, f.names, format('%I::%s::%s', a.attname, format_type(t.typbasetype, t.typtypmod), t.oid::regtype), NULL
    FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid JOIN pg_attribute a ON a.atttypid = t.oid AND NOT a.attisdropped AND a.attnum > 0, ${called('pg_constraint', 'k.oid')}
    WHERE f.names IS NOT NULL)
  SELECT r.sql, r.name, r.relname AS relation, r.root, json_agg(u.what || ': ' || array_to_string(u.functions, ', ')) AS uses,
    json_agg(u.functions[1]) AS functions, json_agg(u.expression) AS expressions,
    json_agg(u."default") AS defaults
  FROM relation r JOIN used u USING (oid) WHERE u.expression IS NOT NULL GROUP BY 1, 2, 3, 4 ORDER BY 1`;

/**
 * Expressions of tables that fail under an empty search path. `sent`: the tables of the side that sends, as a default is asked for only where a
 * column is not sent, and nothing of a table that is not; without it all of them are. Changes nothing.
 */
export async function unresolvedNames(client: pg.Client, sent?: readonly Identity[]): Promise<Found[]> {
  const { path } = await row<{ path: string }>(client, `SELECT current_setting('search_path') AS path`);
  const found: Found[] = [];
  await client.query(`BEGIN READ ONLY; SET LOCAL search_path = ''; SET LOCAL statement_timeout = ${tableMs}`);
  try {
    for (const table of await rows<Expressions>(client, expressionsSql)) {
      const root = sent?.find(({ name }) => name === table.root || name === table.name);
      if (sent !== undefined && root === undefined) continue;
      for (const [index, expression] of table.expressions.entries()) {
        const column = table.defaults[index] ?? null;
        if (column !== null && (sent === undefined || root?.columns.includes(column) === true)) continue;
        const reason = await failure(client, sampleOf(table, expression));
        if (reason === undefined) continue;
        const [use = '', name = ''] = [table.uses[index], table.functions[index]];
        found.push(unresolved(`table ${table.sql}, ${use}`, name, reason, path));
      }
    }
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
  }
  return found;
}

const sampleOf = ({ sql, relation }: Expressions, expression: string): string =>
  `SELECT count(ROW(${expression})) FROM (SELECT * FROM ONLY ${sql} UNION ALL SELECT (NULL::${sql}).* LIMIT ${sampled}) AS ${pg.escapeIdentifier(relation)}`;

export const unresolved = (where: string, name: string, reason: string, path: string): Found => ({
  severity: 'error',
  found: `${where}: changes are applied with an empty search path, and fail then: ${reason}`,
  cure: `ALTER FUNCTION ${name} SET search_path = ${path === '' ? 'public' : path}`,
});

/** Why `sql` fails over a name; undefined if it does not. The savepoint is rolled back. */
export async function failure(client: pg.Client, sql: string): Promise<string | undefined> {
  await client.query('SAVEPOINT tried');
  try {
    await client.query(sql);
    return undefined;
  } catch (error) {
    const state = sqlState(error);
    if (state === undefined) throw error;
    return notFound.has(state) ? messageOf(error) : undefined;
  } finally {
    await client.query('ROLLBACK TO tried; RELEASE tried').catch(() => undefined);
  }
}
