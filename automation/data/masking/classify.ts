import type pg from 'pg';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { notOfExtension, ownSchemas, tablesOf } from '../catalog.ts';
import { rows, withClient } from '../connect.ts';
import { canHold, looksByName, looksByValues, type Looks } from './identifiers.ts';
import type { Harmless, MaskRule } from './rules.ts';
import { findTable } from './targets.ts';

/** A column, or a path in a document, that looks personal and that no rule names. */
export interface Suspect {
  /** `public.people.email`, or `public.people.profile at contact.email`. */
  column: string;
  looks: Looks;
  by: 'name' | 'values';
}

export interface Classification {
  suspects: Suspect[];
  columns: number;
  /** Columns without a value, which only their names say something of. */
  empty: number;
}

/** Values that are read per column, and characters of each: bounded, so that the live database can be asked. */
const sampled = 500;
const characters = 2_000;
/** Pages that are read of a larger table, from all over it. */
const samplePages = 50;

interface Candidate {
  name: string;
  type: string;
  category: string;
}
interface Source {
  name: string;
  sql: string;
  pages: number;
  columns: Candidate[];
}

/** Looks for columns that seem to hold personal data, by name and by sampled values, and that are neither masked nor declared harmless. */
export async function classify(
  access: DatabaseAccess,
  rules: readonly MaskRule[],
  harmless: readonly Harmless[],
): Promise<Classification> {
  return await withClient(access, 'admin', async (client) => {
    const tables = await tablesOf(client);
    const full = (table: string): string => {
      const found = findTable(tables, table);
      return typeof found === 'string' ? table : found.name;
    };
    const known = new Set([
      ...harmless.map((h) => `${full(h.table)}.${h.column}`),
      ...rules.filter((r) => r.path === undefined).map((r) => `${full(r.table)}.${r.column}`),
    ]);
    const result: Classification = { suspects: [], columns: 0, empty: 0 };
    for (const source of await sourcesOf(client)) {
      const open = source.columns.filter((c) => !known.has(`${source.name}.${c.name}`));
      result.columns += source.columns.length;
      if (open.length === 0) continue;
      const values = await sample(client, source, open);
      open.forEach((column, at) => {
        const own = values.map((row) => row[at]).filter((v) => v !== null && v !== undefined);
        if (own.length === 0) result.empty++;
        const paths = rules
          .filter((r) => r.column === column.name && full(r.table) === source.name && r.path !== undefined)
          .map((r) => r.path ?? '');
        result.suspects.push(...judge(source.name, column, own, paths));
      });
    }
    return result;
  });
}

/** Throws an OperationError that lists all columns that look personal and are not classified. */
export async function requireClassified(...of: Parameters<typeof classify>): Promise<void> {
  const { suspects } = await classify(...of);
  if (suspects.length === 0) return;
  throw new OperationError(
    'checking that all personal data is masked',
    suspects.map((s) => `\n  - ${describeSuspect(s)}`).join(''),
    'nothing was copied; mask each in data.personal, or say in data.harmless why it is not personal',
  );
}

export const describeSuspect = ({ column, looks, by }: Suspect): string =>
  `${column}: looks like ${looks} by its ${by}`;

/** Pure: what one column looks like. In documents, each path is judged that has no rule. */
export function judge(
  table: string,
  column: Candidate,
  values: readonly string[],
  masked: readonly string[],
): Suspect[] {
  const name = `${table}.${column.name}`;
  const plain = table.slice(table.indexOf('.') + 1);
  if (documents.has(column.type)) {
    const leaves = new Map<string, Leaf>();
    for (const text of values) collect(parse(text), [], leaves);
    return [...leaves.values()].flatMap(({ path, keys, values: found }) => {
      if (masked.some((rule) => covers(rule.split('.'), path) && !(keys && path.length === 0))) return [];
      const at = path.length === 0 ? name : `${name} at ${path.join('.')}`;
      const suspect = keys
        ? judgeOne(`${at} (its keys)`, undefined, found)
        : judgeOne(at, looksByName(plain, path.at(-1) ?? ''), found);
      return suspect === undefined ? [] : [suspect];
    });
  }
  const named = looksByName(plain, column.name);
  const byName = named !== undefined && canHold(named, column.type, column.category) ? named : undefined;
  const byType = ofType[column.type];
  const suspect = judgeOne(name, byName ?? byType, values);
  return suspect === undefined ? [] : [suspect];
}

/** What is read as a document: its keys are names of columns. */
const documents: ReadonlySet<string> = new Set(['json', 'jsonb', 'hstore', 'composite']);
const ofType: Readonly<Record<string, Looks>> = {
  inet: 'an IP address',
  macaddr: 'a hardware address',
  macaddr8: 'a hardware address',
};

function judgeOne(column: string, byName: Looks | undefined, values: readonly string[]): Suspect | undefined {
  const byValues = looksByValues(values);
  if (byName !== undefined) return { column, looks: byName, by: 'name' };
  return byValues === undefined ? undefined : { column, looks: byValues, by: 'values' };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Cut off: judged as one text.
    return text;
  }
}

/** The values at one place of a document, or the keys there that are addresses. */
interface Leaf {
  path: readonly string[];
  keys: boolean;
  values: string[];
}

function collect(value: unknown, path: readonly string[], leaves: Map<string, Leaf>): void {
  const add = (keys: boolean, text: string): void => {
    const at = JSON.stringify([keys, path]);
    const leaf = leaves.get(at) ?? { path, keys, values: [] };
    leaf.values.push(text);
    leaves.set(at, leaf);
  };
  if (Array.isArray(value)) for (const item of value) collect(item, path, leaves);
  else if (typeof value === 'object' && value !== null)
    for (const [key, item] of Object.entries(value)) {
      const isAddress = key.includes('@');
      if (isAddress) add(true, key);
      // An address is not repeated in a message.
      collect(item, [...path, isAddress ? '*' : key], leaves);
    }
  else if (typeof value === 'string' || typeof value === 'number') add(false, String(value));
}

/**
 * Whether a rule's path leads to this leaf, as `gl_json` reads it. An element of an array may have a `*` in the rule and has none in the
 * leaf. A key with dots takes as many steps of the rule.
 */
function covers(wanted: readonly string[], [key, ...others]: readonly string[]): boolean {
  const [first, ...rest] = wanted;
  if (first === undefined) return true;
  if (first === '*')
    return covers(rest, key === undefined ? [] : [key, ...others]) || (key !== undefined && covers(rest, others));
  if (key === undefined) return false;
  const steps = key.split('.').length;
  return wanted.slice(0, steps).join('.') === key && covers(wanted.slice(steps), others);
}

async function sourcesOf(client: pg.Client): Promise<Source[]> {
  return await rows<Source>(
    client,
    `SELECT format('%s.%s', n.nspname, c.relname) AS name, CASE c.relkind WHEN 'r' THEN 'ONLY ' ELSE '' END || format('%I.%I', n.nspname, c.relname) AS sql,
       (SELECT coalesce(sum(pg_relation_size(p.relid)), 0) + pg_relation_size(c.oid) FROM pg_partition_tree(c.oid) p WHERE p.relid <> c.oid)::bigint::float8 / current_setting('block_size')::int AS pages, json_agg(json_build_object('name', a.attname, 'type', CASE WHEN b.document THEN 'composite' ELSE b.typname END, 'category', b.typcategory) ORDER BY a.attnum) AS columns
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL (WITH RECURSIVE under AS (SELECT a.atttypid AS oid, 0 AS depth
         UNION ALL SELECT u.typbasetype, depth + 1 FROM under k JOIN pg_type u ON u.oid = k.oid WHERE u.typtype = 'd')
       SELECT t.typname, t.typcategory, t.typtype = 'c' OR EXISTS (SELECT FROM pg_type e WHERE e.oid = t.typelem AND t.typcategory = 'A' AND (e.typtype = 'c' OR e.typname IN ('json', 'jsonb', 'hstore'))) AS document
       FROM under k JOIN pg_type t ON t.oid = k.oid ORDER BY depth DESC LIMIT 1) b
     WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
       AND ${ownSchemas} AND ${notOfExtension}
       AND (b.typcategory IN ('S', 'D', 'N', 'I', 'A', 'C', 'E') OR b.typname IN ('json', 'jsonb', 'xml', 'hstore', 'bytea', 'macaddr', 'macaddr8'))
     GROUP BY c.oid, n.nspname ORDER BY 1`,
  );
}

async function sample(client: pg.Client, { sql, pages }: Source, columns: readonly Candidate[]): Promise<string[][]> {
  const texts = columns.map(({ name, type }) =>
    type === 'bytea'
      ? `CASE WHEN ${sqlIdentifier(name)} IS NOT NULL THEN '' END`
      : `left(${documents.has(type) && !type.startsWith('json') ? `to_jsonb(${sqlIdentifier(name)})` : sqlIdentifier(name)}::text, ${characters})`,
  );
  // Rows first: what is not taken is neither read from its side table nor sorted.
  const part = pages > samplePages ? ` TABLESAMPLE SYSTEM (${((100 * samplePages) / pages).toFixed(6)})` : '';
  // Rows of `text[]`, because two columns may have names that differ in case alone.
  const found = await rows<{ v: string[] }>(
    client,
    `SELECT ARRAY[${texts.join(', ')}]::text[] AS v FROM (SELECT * FROM ${sql}${part} ORDER BY random() LIMIT ${sampled}) t`,
  );
  return found.map(({ v }) => v);
}
