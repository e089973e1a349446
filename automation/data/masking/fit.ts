import type pg from 'pg';
import { DatabaseError } from 'pg';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { messageOf } from '../../../infra/lib/errors.ts';
import { fromTable, type Table } from '../catalog.ts';
import { row, rows, sqlState } from '../connect.ts';
import { maskExpression, nameOf, type Target } from './targets.ts';

/** Rows of each table that are tried before anything is changed: a type or a condition mostly refuses every mask or none. */
const tried = 1_000;

/**
 * What the database would refuse about the masked values: types, domains, CHECKs and, if all rows are tried, unique indexes. Changes
 * nothing.
 */
export async function findMisfits(
  client: pg.Client,
  targets: readonly Target[],
  { all = false }: { all?: boolean } = {},
): Promise<string[]> {
  const problems: string[] = [];
  for (const table of tablesIn(targets)) {
    const own = targets.filter((t) => t.table === table);
    const from = `(SELECT * FROM ${fromTable(table)}${all ? '' : ` LIMIT ${tried}`}) AS t`;
    const fitting: Target[] = [];
    for (const target of own) {
      const problem = await refusal(client, `SELECT count(${maskExpression(target, targets)}) FROM ${from}`);
      if (problem === undefined) fitting.push(target);
      else problems.push(`${nameOf(target)}: ${problem}`);
    }
    const columns = table.columns.map((c) => {
      const target = fitting.find((t) => t.column === c.name);
      const name = sqlIdentifier(c.name);
      return target === undefined ? name : `${maskExpression(target, targets)} AS ${name}`;
    });
    // The name of the table, because a condition may refer to whole rows.
    const alias = sqlIdentifier(table.name.slice(table.name.indexOf('.') + 1));
    const masked = `(SELECT ${columns.join(', ')} FROM ${from}) AS ${alias}`;
    const names = fitting.map((t) => t.column);
    for (const { name, broken, columns: of } of await conditions(client, table, names, all)) {
      const { yes } = await row<{ yes: boolean }>(client, `SELECT EXISTS (SELECT FROM ${masked} ${broken}) AS yes`);
      if (yes) problems.push(...of.map((c) => `${table.name}.${c}: its masked values break ${name}`));
    }
  }
  return problems;
}

export const tablesIn = (targets: readonly Target[]): Table[] => [...new Set(targets.map((t) => t.table))];

/** What PostgreSQL says against a statement, without values; undefined if it runs. */
async function refusal(client: pg.Client, sql: string): Promise<string | undefined> {
  await client.query('SAVEPOINT fit');
  try {
    await client.query(sql);
    return undefined;
  } catch (error) {
    if (sqlState(error) === undefined) throw error;
    await client.query('ROLLBACK TO SAVEPOINT fit');
    return `its masked values break ${rulesIn(error)}`;
  } finally {
    await client.query('RELEASE SAVEPOINT fit').catch(() => undefined);
  }
}

/** The names in a PostgreSQL error, never the values. */
export function rulesIn(error: unknown): string {
  if (!(error instanceof DatabaseError)) return 'what PostgreSQL allows';
  const { constraint, dataType, code } = error;
  const type = dataType === undefined ? 'its type' : `the type ${dataType}`;
  return `${constraint === undefined ? type : `the constraint ${constraint}`} (SQLSTATE ${code})`;
}

/** What PostgreSQL refused, without values: only messages of some classes have none. */
export function refusalOf(error: unknown): string {
  if (!(error instanceof DatabaseError)) return messageOf(error);
  return /^(0A|2B|42|5)/.test(error.code ?? '') ? error.message : rulesIn(error);
}

interface Condition {
  name: string;
  /** SQL after `FROM <masked rows>` that finds a row if the condition does not hold. */
  broken: string;
  columns: string[];
}

async function conditions(
  client: pg.Client,
  table: Table,
  columns: readonly string[],
  unique: boolean,
): Promise<Condition[]> {
  const checks = await rows<Condition>(
    client,
    `SELECT 'the constraint ' || k.conname AS name, format('WHERE NOT (%s)', pg_get_expr(k.conbin, k.conrelid)) AS broken,
       (SELECT json_agg(a.attname) FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) AND a.attname = ANY ($2)) AS columns
     FROM pg_constraint k WHERE k.conrelid = $1::regclass AND k.contype = 'c' AND k.convalidated`,
    [table.sql, columns],
  );
  const indexes = !unique
    ? []
    : await rows<Condition>(
        client,
        `SELECT 'the unique index ' || i.indexrelid::regclass AS name,
           format('WHERE (%s) IS NOT FALSE GROUP BY %s HAVING count(*) > 1%s', coalesce(pg_get_expr(i.indpred, i.indrelid), 'true'), k.list,
             CASE WHEN (to_jsonb(i) ->> 'indnullsnotdistinct')::boolean THEN '' ELSE format(' AND num_nulls(%s) = 0', k.list) END) AS broken,
           (SELECT json_agg(DISTINCT a.attname) FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
             WHERE d.refobjid = i.indrelid AND (d.objid = i.indexrelid OR d.objid = (SELECT oid FROM pg_constraint WHERE conindid = i.indexrelid AND contype IN ('p', 'u')))
               AND a.attname = ANY ($2)) AS columns
         FROM pg_index i CROSS JOIN LATERAL (SELECT string_agg(pg_get_indexdef(i.indexrelid, at, false), ', ' ORDER BY at) AS list
           FROM generate_series(1, i.indnkeyatts) at) k
         WHERE i.indrelid = $1::regclass AND i.indisunique`,
        [table.sql, columns],
      );
  return [...checks, ...indexes].filter((c) => (c.columns as string[] | null) !== null);
}
