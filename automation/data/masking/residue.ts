import type pg from 'pg';
import { sqlIdentifier, sqlLiteral } from '../../../infra/application/roles.ts';
import { fromTable, notOfExtension, ownSchemas, tablesOf, type Table } from '../catalog.ts';
import { rows } from '../connect.ts';
import { findTable, nameOf, type Target } from './targets.ts';
import { dense, type Harmless, type MaskRule } from './rules.ts';

/**
 * Whether personal values are left anywhere else: in copies by triggers, in denormalised documents, in search columns. Values
 * are sampled before masking, and looked for after it.
 */

/** Original values kept per column, and rows of each table that are searched. A copied column of 10^7 rows still has some 20 hits. */
const values = 10_000;
const searched = 20_000;
/** Pages above which a table is sampled rather than read: 16 MB. */
const wholePages = 2_000;
/** Characters of a value that are searched: a document may have megabytes. */
const characters = 10_000;
/** Characters from which a value is looked for. A shorter one is found by chance. */
const least = { value: 6, text: 20, digits: 10, word: 4 };
/** Ordinary words are found by chance: so many different ones, or all, are a finding. An address or a number is one alone. */
const chance = 3;

const setUp = [
  'CREATE TEMPORARY TABLE gl_originals (v text NOT NULL, source text NOT NULL, kind text NOT NULL, strong boolean NOT NULL) ON COMMIT DROP',
  // What a text may hold as a value of its own: itself, parts between quotes and commas, addresses, long numbers.
  `CREATE FUNCTION pg_temp.gl_tokens(v text) RETURNS SETOF text LANGUAGE sql STABLE PARALLEL SAFE AS $f$
     SELECT lower(v) UNION SELECT btrim(lower(part)) FROM regexp_split_to_table(v, '[][\\t\\n\\r"|,;<>(){}\\\\]+') part
     UNION SELECT rtrim(lower(m[1]), '.') FROM regexp_matches(v, '([^\\s@"''<>,;:(){}=]+@[^\\s@"''<>,;:(){}=]+)', 'g') m WHERE v LIKE '%@%'
     UNION SELECT regexp_replace(m[1], '[^0-9]', '', 'g') FROM regexp_matches(v, '([0-9][0-9 ()/.-]{8,}[0-9])', 'g') m $f$`,
];

/** Keeps a sample of the original values in a table of the session, which ends with the transaction. */
export async function rememberOriginals(client: pg.Client, targets: readonly Target[]): Promise<void> {
  for (const statement of setUp) await client.query(statement);
  for (const target of targets) {
    const from = await sampleOf(client, target.table.sql, fromTable(target.table));
    for (const rule of target.rules) {
      const value = originalOf(target, rule);
      if (value === undefined) continue;
      const source = sqlLiteral(nameOf(target));
      // A text that occurs twice is a phrase of the application, such as a greeting.
      const text = rule.with === 'text';
      await client.query(
        `WITH found AS (SELECT btrim(lower(v)) AS v FROM (SELECT ${value} AS v FROM ${from}) t WHERE v IS NOT NULL
           GROUP BY 1 ${text ? 'HAVING count(*) = 1' : ''} LIMIT ${values})
         INSERT INTO gl_originals
         SELECT v, ${source}, '${rule.with}', ${text ? 'false' : `v ~ '@' OR length(v) >= 8 AND v ~ '[^[:alpha:]]'`} FROM found WHERE length(v) >= ${text ? least.text : least.value}
         ${
           dense.has(rule.with)
             ? `UNION ALL SELECT d, ${source}, 'number', true FROM found CROSS JOIN LATERAL regexp_replace(v, '[^0-9]', '', 'g') d WHERE length(d) >= ${least.digits}`
             : ''
         }
         ${
           rule.with === 'name'
             ? `UNION ALL SELECT DISTINCT word, ${source}, 'word', false FROM found CROSS JOIN LATERAL regexp_split_to_table(v, '[^[:alpha:]]+') word WHERE length(word) >= ${least.word}`
             : ''
         }`,
      );
    }
  }
  await client.query('ANALYZE gl_originals');
}

/** SQL expression of a column's original values as text; undefined for those that cannot be told from others. */
export function originalOf(
  { column, family, array }: Pick<Target, 'column' | 'family' | 'array'>,
  rule: MaskRule,
): string | undefined {
  const name = sqlIdentifier(column);
  if (array) return `unnest(${name}::text[] COLLATE "default")`;
  if (family === 'json') {
    const found = waysOf(rule.path).map(
      (way) => `jsonb_path_query_array(${name}::jsonb, ${sqlLiteral(`$${way}.** ? (@.type() == "string")`)})`,
    );
    return `jsonb_array_elements_text(${found.join(' || ')})`;
  }
  return ['text', 'uuid', 'inet', 'number'].includes(family) ? `${name}::text COLLATE "default"` : undefined;
}

/** Most steps of a path of which all ways are looked for: each one more doubles their number. */
const mostSteps = 6;

/** What a path can mean: a key may have dots, so `a.b` is the key `b` of `a`, or the key `a.b`. */
function waysOf(path: string | undefined): string[] {
  if (path === undefined) return [''];
  const steps = path.split('.');
  const ways = (from: number): string[] =>
    from === steps.length
      ? ['']
      : steps.slice(from).flatMap((_, more) => {
          const taken = steps.slice(from, from + more + 1);
          if (more > 0 && (steps.length > mostSteps || taken.includes('*'))) return [];
          const step = taken[0] === '*' ? '.*' : `.${JSON.stringify(taken.join('.'))}`;
          return ways(from + more + 1).map((rest) => step + rest);
        });
  return ways(0);
}

async function sampleOf(client: pg.Client, sql: string, from: string): Promise<string> {
  const [found] = await rows<{ pages: number }>(
    client,
    `SELECT (sum(pg_relation_size(relid)) / current_setting('block_size')::int)::int AS pages
     FROM (SELECT relid FROM pg_partition_tree($1::regclass) UNION SELECT $1::regclass) p`,
    [sql],
  );
  const pages = found?.pages ?? 0;
  if (pages <= wholePages) return from;
  return `${from} TABLESAMPLE SYSTEM (${((100 * wholePages) / pages).toFixed(6)})`;
}

interface Place {
  name: string;
  table: string;
  /** SQL after FROM, of rows with the column `c`. */
  from: string;
  /** SQL expression: the set of values that one `c` holds. */
  tokens: string;
  /** Words are searched for only in search columns. A text has some by chance: of tables that refer to people a fifth of all counts, elsewhere half. */
  words: 'no' | 'some' | 'most';
}

/**
 * Where sampled originals are found, and of which column, never which. All tables, materialised views and comments of the
 * database are searched; of large ones a sample. Columns that are declared harmless are left out.
 */
export async function findOriginals(
  client: pg.Client,
  targets: readonly Target[],
  harmless: readonly Harmless[],
): Promise<string[]> {
  const totals = await rows<{ source: string; count: number; words: number }>(
    client,
    `SELECT source, count(*) FILTER (WHERE kind <> 'word')::int AS count, count(*) FILTER (WHERE kind = 'word')::int AS words FROM gl_originals GROUP BY source`,
  );
  const problems: string[] = [];
  for (const place of await places(client, targets, harmless)) {
    // The mask of one number may be another's original.
    const crowded = targets.some((t) => nameOf(t) === place.name && t.rules.some((r) => dense.has(r.with)));
    const found = await rows<{ source: string; hits: number; words: number; strong: boolean }>(
      client,
      `WITH token AS (SELECT DISTINCT t FROM ${place.from} CROSS JOIN LATERAL ${place.tokens} t)
       SELECT source, (count(DISTINCT v) FILTER (WHERE kind <> 'word'))::int AS hits, (count(DISTINCT v) FILTER (WHERE kind = 'word'))::int AS words, bool_or(strong) AS strong FROM token JOIN gl_originals ON v = t
       WHERE (kind <> 'word' OR $1) AND NOT ($2 AND kind = ANY ($3)) GROUP BY source ORDER BY source`,
      [place.words !== 'no', crowded, [...dense, 'number']],
    );
    for (const { source, hits, words, strong } of found) {
      const total = totals.find((t) => t.source === source) ?? { count: 0, words: 0 };
      const unrelated = place.words === 'most';
      const wanted = unrelated ? chance : Math.min(chance, total.count);
      const some = unrelated ? chance : Math.min(chance, total.words);
      const share = unrelated ? 1 / 2 : 1 / 5;
      if (strong || (hits > 0 && hits >= wanted) || (words > 0 && words >= Math.max(some, share * total.words)))
        problems.push(`${place.name}: it holds values of ${source}`);
    }
  }
  return problems;
}

async function places(client: pg.Client, targets: readonly Target[], harmless: readonly Harmless[]): Promise<Place[]> {
  const tables = await tablesOf(client);
  const accepted = new Set(harmless.map((h) => `${tableName(tables, h.table)}.${h.column}`));
  const columns = await rows<{
    table: string;
    sql: string;
    column: string;
    type: string;
    plain: boolean;
    only: boolean;
    /** What is said in an enum is the application's: a role `member` is nobody's name. Only an address says something. */
    label: boolean;
  }>(
    client,
    `SELECT format('%s.%s', n.nspname, c.relname) AS "table", format('%I.%I', n.nspname, c.relname) AS sql, a.attname AS "column",
       coalesce(base.typname, t.typname) AS type, c.relkind = 'r' AS only, t.typcategory = 'E' AS label,
       coalesce(base.typname, t.typname) IN ('uuid', 'inet', 'int8', 'numeric') AS plain
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type base ON base.oid = t.typbasetype
     WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition AND c.relpersistence <> 't'
       AND (c.relkind <> 'm' OR c.relispopulated) AND ${ownSchemas} AND ${notOfExtension}
       AND (t.typcategory IN ('S', 'C', 'A', 'E') OR coalesce(base.typname, t.typname) IN ('json', 'jsonb', 'tsvector', 'xml', 'hstore', 'uuid', 'inet', 'int8', 'numeric'))
     ORDER BY 1, a.attnum`,
  );
  const related = await relatedTables(client, targets);
  const found: Place[] = [];
  for (const { table, sql, column, type, plain, only, label } of columns) {
    if (accepted.has(`${table}.${column}`)) continue;
    const name = sqlIdentifier(column);
    const from = await sampleOf(client, sql, only ? `ONLY ${sql}` : sql);
    found.push({
      table,
      name: `${table}.${column}`,
      from: `(SELECT ${name} AS c FROM ${from} WHERE ${label ? `${name}::text LIKE '%@%'` : `${name} IS NOT NULL`} LIMIT ${searched}) s`,
      tokens:
        type === 'tsvector'
          ? 'unnest(tsvector_to_array(c))'
          : plain
            ? 'lower(c::text)'
            : `pg_temp.gl_tokens(left(c::text, ${characters}) COLLATE "default")`,
      words: type !== 'tsvector' ? 'no' : related.has(table) ? 'some' : 'most',
    });
  }
  const comments = `(SELECT description AS c FROM pg_description WHERE objoid >= 16384) s`;
  const remark: Place = {
    table: '',
    name: 'a comment in the catalog',
    from: comments,
    tokens: 'pg_temp.gl_tokens(c)',
    words: 'no',
  };
  const said = await saidOfColumns(client, accepted);
  return [
    ...found,
    remark,
    ...said.map(({ name, text }) => ({ ...remark, name, from: `(SELECT ${sqlLiteral(text)} AS c) s` })),
  ];
}

/** Defaults and enum labels of columns. Such a text may well be somebody's value by chance: only an address says something. */
const saidOfColumns = (client: pg.Client, accepted: ReadonlySet<string>): Promise<{ name: string; text: string }[]> =>
  rows(
    client,
    `SELECT what || format(' of %s.%s.%s', n.nspname, c.relname, a.attname) AS name, text FROM (
       SELECT 'the default' AS what, adrelid AS rel, adnum AS num, pg_get_expr(adbin, adrelid) AS text FROM pg_attrdef
       UNION ALL SELECT 'an enum label', attrelid, attnum, enumlabel FROM pg_enum JOIN pg_attribute ON atttypid = enumtypid) said
     JOIN pg_class c ON c.oid = rel JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = rel AND a.attnum = num
     WHERE text LIKE '%@%' AND ${ownSchemas} AND format('%s.%s.%s', n.nspname, c.relname, a.attname) <> ALL ($1)`,
    [[...accepted]],
  );

/** The masked tables, and those that a foreign key connects with them: a search table of people refers to them. */
async function relatedTables(client: pg.Client, targets: readonly Target[]): Promise<Set<string>> {
  const found = await rows<{ name: string }>(
    client,
    `WITH masked AS (SELECT m::regclass::oid AS oid FROM unnest($1::text[]) m)
     SELECT format('%s.%s', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid IN (
       SELECT oid FROM masked UNION SELECT conrelid FROM pg_constraint JOIN masked ON confrelid = masked.oid UNION SELECT confrelid FROM pg_constraint JOIN masked ON conrelid = masked.oid)`,
    [[...new Set(targets.map((t) => t.table.sql))]],
  );
  return new Set(found.map(({ name }) => name));
}

const tableName = (tables: readonly Table[], name: string): string => {
  const found = findTable(tables, name);
  return typeof found === 'string' ? name : found.name;
};
