import type pg from 'pg';
import { messageOf, OperationError } from '../../../infra/lib/errors.ts';
import { sqlLiteral } from '../../../infra/application/roles.ts';
import { notOfExtension } from '../catalog.ts';
import { rows } from '../connect.ts';
import { resolveTables } from './open.ts';
import type { ApartRule, Named } from './tables.ts';

interface Finding {
  severity: 'error' | 'warning';
  found: string;
  cure: string;
}

/** What keeps tables from being written apart, on the live database, each with its cure. Changes nothing. */
export async function apartFindings(client: pg.Client, rules: readonly ApartRule[]): Promise<Finding[]> {
  const found: Finding[] = [];
  const named: Named[] = [];
  for (const rule of rules) {
    try {
      named.push(...(await resolveTables(client, [rule])));
    } catch (error) {
      if (!(error instanceof OperationError)) throw error;
      found.push({ severity: 'error', found: `data.apart: ${error.found}`, cure: error.todo ?? messageOf(error) });
    }
  }
  for (const { sql, name } of named) {
    const about = (severity: Finding['severity'], what: string, cure: string): void =>
      void found.push({ severity, found: `data.apart: ${name} ${what}`, cure });
    for (const { kind, what } of await rows<{ kind: keyof typeof says; what: string | null }>(
      client,
      obstacles(sql, named),
    )) {
      const [severity, text, cure] = says[kind];
      about(severity, what === null ? text : `${text} (${what})`, cure);
    }
  }
  return found;
}

const says = {
  key: ['error', 'has no primary key', 'give it one, or take the table out'],
  unlogged: ['error', 'is unlogged, so it is not replicated', 'ALTER TABLE ... SET LOGGED, or take the table out'],
  extension: ['error', 'belongs to an extension, so it is not replicated', 'take the table out'],
  inherits: ['error', 'inherits or is inherited from', 'make it partitioned, or take the table out'],
  rule: [
    'error',
    'has a rule, which would write elsewhere',
    'make it a trigger that only changes the row, or take the table out',
  ],
  generated: [
    'error',
    'has a unique index over a generated column, which no trigger sees',
    'index the expression itself, or take the table out',
  ],
  definer: [
    'error',
    'has a trigger that writes with the rights of somebody else',
    'let it only change the row, with SECURITY INVOKER, or take the table out',
  ],
  trigger: [
    'warning',
    'has triggers: what they write elsewhere fails on the inactive colour',
    'see that they only change the row',
  ],
  referred: [
    'error',
    'is referred to with an action on DELETE or UPDATE, which would change a table that is not apart',
    'name that table in data.apart, too, or let the key be NO ACTION',
  ],
} satisfies Record<string, [Finding['severity'], string, string]>;

const obstacles = (sql: string, named: readonly Named[]): string => {
  const t = `${sqlLiteral(sql)}::regclass`;
  const apart = `ARRAY[${named.map((one) => `${sqlLiteral(one.sql)}::regclass::oid`).join(', ')}]`;
  const name = `format('%s.%s', n.nspname, c.relname)`;
  const trigger = `pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid WHERE g.tgrelid = ${t} AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'A') AND g.tgname !~ '^greenlight_apart_'`;
  return `
    SELECT 'key' AS kind, NULL AS what WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = ${t} AND i.indisprimary)
    UNION ALL SELECT 'unlogged', NULL FROM pg_class c WHERE c.oid = ${t} AND c.relpersistence = 'u'
    UNION ALL SELECT 'extension', NULL FROM pg_class c WHERE c.oid = ${t} AND NOT (${notOfExtension})
    UNION ALL SELECT 'inherits', ${name} FROM pg_inherits h JOIN pg_class c ON c.oid = CASE WHEN h.inhrelid = ${t} THEN h.inhparent ELSE h.inhrelid END JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE ${t} IN (h.inhrelid, h.inhparent) AND NOT EXISTS (SELECT FROM pg_class r WHERE r.oid = ${t} AND r.relkind = 'p')
    UNION ALL SELECT 'rule', r.rulename::text FROM pg_rewrite r WHERE r.ev_class = ${t} AND r.ev_type <> '1'
    UNION ALL SELECT DISTINCT 'generated', i.indexrelid::regclass::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attgenerated <> ''
      WHERE i.indrelid = ${t} AND (i.indisunique OR i.indisexclusion) AND (a.attnum = ANY (i.indkey::int2[]) OR EXISTS (
        SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))
    UNION ALL SELECT 'definer', g.tgname::text FROM ${trigger} AND p.prosecdef
    UNION ALL SELECT 'trigger', string_agg(g.tgname, ', ' ORDER BY g.tgname) FROM ${trigger} AND NOT p.prosecdef HAVING count(*) > 0
    UNION ALL SELECT 'referred', ${name} FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid = ${t} AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd')) AND NOT k.conrelid = ANY (${apart})`;
};
