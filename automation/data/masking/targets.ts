import type pg from 'pg';
import { sqlIdentifier, sqlLiteral } from '../../../infra/application/roles.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import { tablesOf, type Table } from '../catalog.ts';
import { rows } from '../connect.ts';
import { familyOf, kindsOf, sizes, type Family, type MaskRule } from './rules.ts';

/** A column that is masked, with all rules for it: several only inside a json column. */
export interface Target {
  table: Table;
  column: string;
  rules: MaskRule[];
  family: Family;
  array: boolean;
  /** Name of the type under domains and arrays. */
  base: string;
  /** With length, for SQL. */
  type: string;
  /** ` COLLATE ...` where it is not the type's own, else empty. */
  collation: string;
  /** Longest value that the column takes, characters; undefined if unlimited. */
  limit: number | undefined;
  required: boolean;
  generated: boolean;
  partitionKey: boolean;
  /** A partition whose rows are in another database. */
  foreignPartition: string | null;
}

export const nameOf = ({ table, column }: Target): string => `${table.name}.${column}`;

/** A table by a name with or without its schema. A string says why there is none. */
export function findTable(tables: readonly Table[], name: string): Table | string {
  const found = tables.filter((t) => t.name === name || t.name.slice(t.name.indexOf('.') + 1) === name);
  const [first, second] = found;
  if (first === undefined) return `there is no table ${name}`;
  if (second === undefined || first.name === name) return first;
  return `${found.map((t) => t.name).join(' and ')} have this name; write one of them`;
}

/**
 * The columns that the rules are about, with those of inheriting tables. Throws an OperationError that lists every rule
 * that names none, or one that cannot be masked like that.
 */
export async function resolve(client: pg.Client, rules: readonly MaskRule[]): Promise<Target[]> {
  const tables = await tablesOf(client);
  const facts = await describe(client, rules);
  const problems: string[] = [];
  const targets = new Map<string, Target>();
  for (const rule of rules) {
    const table = findTable(tables, rule.table);
    if (typeof table === 'string') {
      problems.push(`${rule.table}.${rule.column}: ${table}`);
      continue;
    }
    const found = facts.get(`${table.name}.${rule.column}`);
    if (found === undefined) problems.push(`${table.name}.${rule.column}: the table has no such column`);
    for (const heir of found === undefined ? [] : [table.name, ...found.heirs]) {
      const name = `${heir}.${rule.column}`;
      const target = targets.get(name);
      const fact = facts.get(name);
      const its = tables.find((t) => t.name === heir);
      if (target !== undefined) target.rules.push(rule);
      else if (fact !== undefined && its !== undefined) targets.set(name, { ...fact, table: its, rules: [rule] });
    }
  }
  const all = [...targets.values()];
  problems.push(...all.flatMap(misfits), ...(await halfMaskedKeys(client, all)));
  refuse(problems);
  return all;
}

/** Throws an OperationError that lists the problems, if there are any. */
export function refuse(problems: readonly string[]): void {
  if (problems.length === 0) return;
  throw new OperationError(
    'checking the rules for personal data',
    [...new Set(problems)].map((p) => `\n  - ${p}`).join(''),
    'correct data.personal; nothing was changed',
  );
}

/**
 * Characters that masks of this rule have. Equal addresses and names have to stay equal in columns of different lengths, so these
 * have those of their kind's narrowest column. A token is as long as its own column allows: shortening all of them would make
 * them meet.
 */
function roomOf(rule: MaskRule, own: Target, targets: readonly Target[]): number {
  if (rule.with === 'text') return own.limit ?? 2 ** 30;
  const full = sizes[rule.with]?.full ?? 0;
  const alike = rule.with === 'hash' ? [own] : targets.filter((t) => t.rules.some((r) => r.with === rule.with));
  return Math.min(full, ...alike.map((t) => t.limit ?? full));
}

function misfits(target: Target): string[] {
  const problems: string[] = [];
  const say = (what: string): number => problems.push(`${nameOf(target)}: ${what}`);
  if (target.generated) say('it is computed from other columns; mask those');
  if (target.partitionKey) say('it decides in which partition a row is, so it cannot be masked');
  if (target.foreignPartition !== null)
    say(
      `the partition ${target.foreignPartition} is a foreign table, whose rows are elsewhere; detach it from the copy`,
    );
  if (target.rules.length > 1 && (target.family !== 'json' || target.rules.some((r) => r.path === undefined)))
    say('it has several rules; only paths in a json column may have one each');
  for (const rule of target.rules) {
    const least = sizes[rule.with]?.least ?? 0;
    if (rule.with === 'null' && rule.path === undefined && target.required) say('it must not be null');
    if (rule.path !== undefined && (target.family !== 'json' || target.array)) say('only a json column has paths');
    if (target.array && rule.with !== 'null' && target.family !== 'text')
      say('of arrays, only those of text are masked');
    else if (!kindsOf(target.family).includes(rule.with)) {
      const needs = kindsOf('text').includes(rule.with) ? 'a text column' : 'a date or timestamp';
      say(`${rule.with} needs ${needs}, this one is ${target.type}`);
    } else if (target.limit !== undefined && target.limit < least)
      say(`${rule.with} needs ${least} characters, the column takes ${target.limit}`);
  }
  return problems;
}

/** SQL expression of a column's masked value, of the column's type. */
export function maskExpression(target: Target, targets: readonly Target[]): string {
  const column = sqlIdentifier(target.column);
  let value = column;
  for (const rule of target.rules) value = maskBy(rule, target, value, roomOf(rule, target, targets));
  return `CASE WHEN ${column} IS NOT NULL THEN (${value})::${target.type} END`;
}

function maskBy(rule: MaskRule, { family, array, base }: Target, value: string, room: number): string {
  const kind = rule.with;
  if (kind === 'null' && rule.path === undefined) return 'NULL';
  if (array) return `pg_temp.gl_each(${value}::text[] COLLATE "default", '${kind}', ${room})`;
  switch (family) {
    case 'text':
      // By a collation that takes no different texts for the same: others have no regular expressions.
      return `pg_temp.gl_${kind}(${value}::text COLLATE "default", ${room})`;
    case 'json': {
      const path = rule.path === undefined ? '' : rule.path.split('.').map(sqlLiteral).join(', ');
      return `pg_temp.gl_json(${value}::jsonb, ARRAY[${path}]::text[], '${kind}', ${room}, ${rule.path === undefined})`;
    }
    case 'tsvector':
      return `''::tsvector`;
    case 'uuid':
      return `pg_temp.gl_uuid(${value}::text)`;
    case 'inet':
      return `pg_temp.gl_ip(${value}::text, 0)`;
    case 'mac':
      return `pg_temp.gl_mac(${value}::text)`;
    case 'bytea':
      return `pg_temp.gl_bytes(${value})`;
    case 'number':
      return `pg_temp.gl_number(${value}::text)`;
    case 'time': {
      const key = `extract(epoch FROM ${value})::numeric`;
      if (base === 'date') return `${value} - pg_temp.gl_back(${key}, 365)`;
      return `${value} - make_interval(secs => pg_temp.gl_back(${key}, 31536000))`;
    }
    case 'other':
      return 'NULL';
  }
}

export interface Facts extends Omit<Target, 'table' | 'rules'> {
  /** Tables that inherit the column, `public.staff`. */
  heirs: string[];
}

/** Facts of all columns that the rules name, by `public.people.email`. Domains and arrays are followed to their base type. */
export async function describe(client: pg.Client, rules: readonly MaskRule[]): Promise<Map<string, Facts>> {
  interface Row extends Omit<Facts, 'family' | 'limit'> {
    table: string;
    category: string;
    limit: number | null;
  }
  const found = await rows<Row>(
    client,
    `SELECT format('%s.%s', n.nspname, c.relname) AS "table", a.attname AS "column", b.typname AS base, b.typcategory AS category,
       b.array, b.required OR a.attnotnull AS required, a.attgenerated <> '' AS generated, format_type(a.atttypid, a.atttypmod) AS type,
       CASE WHEN a.attcollation <> t.typcollation THEN (SELECT format(' COLLATE %I.%I', ln.nspname, l.collname)
         FROM pg_collation l JOIN pg_namespace ln ON ln.oid = l.collnamespace WHERE l.oid = a.attcollation) ELSE '' END AS collation,
       CASE WHEN b.typname IN ('varchar', 'bpchar') AND b.typmod > 4 THEN b.typmod - 4 WHEN b.typname = 'name' THEN 63 WHEN b.typname = 'char' THEN 1 END AS limit,
       EXISTS (SELECT FROM pg_partitioned_table p WHERE p.partrelid = c.oid AND a.attnum = ANY (p.partattrs::int2[])) AS "partitionKey",
       (SELECT min(f.oid::regclass::text) FROM pg_partition_tree(c.oid) p JOIN pg_class f ON f.oid = p.relid AND f.relkind = 'f') AS "foreignPartition",
       ARRAY (WITH RECURSIVE heir AS (SELECT inhrelid FROM pg_inherits WHERE inhparent = c.oid
           UNION SELECT i.inhrelid FROM heir h JOIN pg_inherits i ON i.inhparent = h.inhrelid)
         SELECT format('%s.%s', hn.nspname, hc.relname) FROM heir JOIN pg_class hc ON hc.oid = heir.inhrelid
         JOIN pg_namespace hn ON hn.oid = hc.relnamespace WHERE NOT hc.relispartition) AS heirs
     FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL (
       WITH RECURSIVE under (oid, typmod, "array", required, depth) AS (
         SELECT a.atttypid, a.atttypmod, false, false, 0
         UNION ALL SELECT CASE WHEN u.typtype = 'd' THEN u.typbasetype ELSE u.typelem END, CASE WHEN u.typtype = 'd' THEN u.typtypmod ELSE k.typmod END,
           k.array OR u.typtype <> 'd', k.required OR (u.typnotnull AND NOT k.array), depth + 1
         FROM under k JOIN pg_type u ON u.oid = k.oid WHERE u.typtype = 'd' OR u.typcategory = 'A' AND u.typelem <> 0)
       SELECT k.*, u.typname, u.typcategory FROM under k JOIN pg_type u ON u.oid = k.oid ORDER BY depth DESC LIMIT 1) b
     WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY ($1)`,
    [[...new Set(rules.map((r) => r.column))]],
  );
  return new Map(
    found.map(({ table, category, limit, ...fact }) => [
      `${table}.${fact.column}`,
      { ...fact, family: familyOf(fact.base, category), limit: limit ?? undefined },
    ]),
  );
}

/** Foreign keys whose two ends are not masked in the same way: their references would break. */
async function halfMaskedKeys(client: pg.Client, targets: readonly Target[]): Promise<string[]> {
  const keys = await rows<{ table: string; column: string; other: string; other_column: string }>(
    client,
    `SELECT format('%s.%s', n.nspname, c.relname) AS "table", a.attname AS "column", format('%s.%s', rn.nspname, r.relname) AS other, ra.attname AS other_column
     FROM pg_constraint k CROSS JOIN LATERAL unnest(k.conkey, k.confkey) AS p (mine, theirs)
     JOIN pg_class c ON c.oid = coalesce(pg_partition_root(k.conrelid), k.conrelid) JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_class r ON r.oid = coalesce(pg_partition_root(k.confrelid), k.confrelid) JOIN pg_namespace rn ON rn.oid = r.relnamespace
     JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = p.mine JOIN pg_attribute ra ON ra.attrelid = k.confrelid AND ra.attnum = p.theirs
     WHERE k.contype = 'f' AND k.conparentid = 0`,
  );
  const ruleOf = (table: string, column: string): string | undefined => {
    const target = targets.find((t) => t.table.name === table && t.column === column);
    return target?.rules.map((r) => `${r.with} ${roomOf(r, target, targets)}`).join();
  };
  return keys
    .filter((k) => ruleOf(k.table, k.column) !== ruleOf(k.other, k.other_column))
    .map((k) => `${k.table}.${k.column} refers to ${k.other}.${k.other_column}: mask both the same way, or neither`);
}
