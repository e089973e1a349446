import type pg from 'pg';
import { messageOf } from '../../../infra/lib/errors.ts';
import { notOfExtension, ownSchemas } from '../catalog.ts';
import { rows, sqlState } from '../connect.ts';
import type { Finding } from './publishable.ts';

/**
 * Expressions of indexes, constraints and generated columns whose functions find what they need by the search path. PostgreSQL applies
 * replicated changes, and restores dumps, with a path that has nothing of the application's.
 */

interface Expression {
  /** `index public.people_folded`, for people. */
  what: string;
  /** Quoted, for SQL. */
  relation: string;
  sql: string;
  /** The functions of users that it calls, as `ALTER FUNCTION` takes them. */
  functions: string[];
}

const calls = (catalog: string, oid: string): string => `(
  SELECT coalesce(json_agg(DISTINCT d.refobjid::regprocedure::text), '[]') FROM pg_depend d
  WHERE d.classid = '${catalog}'::regclass AND d.objid = ${oid} AND d.refclassid = 'pg_proc'::regclass)`;

const expressionsSql = `
  WITH relation AS (
    SELECT c.oid, format('%s.%s', n.nspname, c.relname) AS name, format('%I.%I', n.nspname, c.relname) AS sql
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND ${ownSchemas} AND ${notOfExtension}),
  expression AS (
    SELECT 'index ' || i.indexrelid::regclass AS what, r.sql AS relation, pg_get_indexdef(i.indexrelid, k, false) AS sql, ${calls('pg_class', 'i.indexrelid')} AS functions
    FROM relation r JOIN pg_index i ON i.indrelid = r.oid, generate_series(1, i.indnkeyatts) k WHERE i.indkey[k - 1] = 0
    UNION ALL SELECT 'index ' || i.indexrelid::regclass, r.sql, pg_get_expr(i.indpred, i.indrelid), ${calls('pg_class', 'i.indexrelid')}
    FROM relation r JOIN pg_index i ON i.indrelid = r.oid WHERE i.indpred IS NOT NULL
    UNION ALL SELECT format('constraint %s of %s', k.conname, r.name), r.sql, pg_get_expr(k.conbin, k.conrelid), ${calls('pg_constraint', 'k.oid')}
    FROM relation r JOIN pg_constraint k ON k.conrelid = r.oid WHERE k.contype = 'c'
    UNION ALL SELECT format('generated column %s of %s', a.attname, r.name), r.sql, pg_get_expr(f.adbin, f.adrelid), ${calls('pg_attrdef', 'f.oid')}
    FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attgenerated <> '' JOIN pg_attrdef f ON f.adrelid = r.oid AND f.adnum = a.attnum)
  SELECT * FROM expression WHERE json_array_length(functions) > 0 ORDER BY what, sql`;

/** SQLSTATEs of a name that is not found: a function, a table, a schema, a type. */
const notFound = new Set(['42883', '42P01', '3F000', '42704']);

/** Evaluates each such expression for one row, or for one of nulls, with an empty search path. Session as admin; nothing is changed. */
export async function unqualifiedExpressions(client: pg.Client): Promise<Omit<Finding, 'side'>[]> {
  const found = new Map<string, Omit<Finding, 'side'>>();
  await client.query(`BEGIN READ ONLY; SET LOCAL search_path = ''; SET LOCAL row_security = on`);
  try {
    for (const { what, relation, sql, functions } of await rows<Expression>(client, expressionsSql)) {
      const row = `(SELECT * FROM (SELECT * FROM ONLY ${relation} LIMIT 1) one UNION ALL SELECT (NULL::${relation}).*)`;
      await client.query('SAVEPOINT asked');
      const error = await client.query(`SELECT ${sql} FROM ${row} r`).then(
        () => undefined,
        (e: unknown) => e,
      );
      await client.query('ROLLBACK TO asked');
      if (error === undefined || !notFound.has(sqlState(error) ?? '')) continue;
      found.set(what, {
        severity: 'error',
        found: `${what} calls ${functions.join(', ')}, which finds its names by the search path; a replicated change has none: ${messageOf(error)}`,
        cure: `${functions.map((name) => `ALTER FUNCTION ${name} SET search_path = public`).join('; ')} (or with the schemas that it needs; or write whole names in it)`,
      });
    }
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
  }
  return [...found.values()];
}
