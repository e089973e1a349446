import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { fromTable, tablesOf, type Table } from '../catalog.ts';
import { row, rows, withClient } from '../connect.ts';

export interface MaskRule {
  /** Plain name of the table, without its schema. */
  table: string;
  column: string;
  with: 'email' | 'name' | 'text' | 'hash' | 'null';
}

interface Target {
  rule: MaskRule;
  table: Table;
  column: string;
  /** Longest value that the column takes, characters; undefined if unlimited. */
  limit: number | undefined;
  uuid: boolean;
}

/** Statement timeout, ms: an UPDATE or VACUUM of a whole table. */
const maskMs = 3_600_000;
/** Hexadecimal digits of a SHA-256 that are enough to keep unique columns unique. */
const digits = 16;
const room: Record<MaskRule['with'], number> = {
  email: digits + 21,
  name: digits + 7,
  text: digits,
  hash: digits,
  null: 0,
};

/**
 * Replaces personal data in place and irreversibly. Use it on a copy, never on the live database. Under one `secret` equal
 * values get equal masks in every table, so equality and uniqueness are kept. Without the secret nobody can test a guess;
 * leave it out if no other database has to match. Tables and columns without a rule stay unchanged.
 * Afterwards no original value is left in rows, on pages of the disk, or in the planner's statistics.
 * Throws an OperationError that lists every rule that cannot be applied, before anything is changed.
 */
export async function maskDatabase(
  access: DatabaseAccess,
  rules: readonly MaskRule[],
  secret = randomBytes(32).toString('hex'),
): Promise<{ table: string; column: string; rows: number }[]> {
  if (rules.length === 0) return [];
  return await withClient(
    access,
    'admin',
    async (client) => {
      const targets = await resolve(client, rules);
      const masked: { table: string; column: string; rows: number }[] = [];
      await client.query('BEGIN');
      // Disables triggers, as one may copy the originals elsewhere, and foreign keys, as both ends get the same mask.
      await client.query('SET LOCAL session_replication_role = replica');
      await client.query(`SELECT set_config('greenlight.mask', $1, true)`, [secret]);
      for (const target of targets)
        masked.push({ table: target.table.name, column: target.column, rows: await mask(client, target) });
      await client.query('COMMIT');
      // An UPDATE leaves the old rows on their pages, and statistics hold the most common values.
      for (const table of new Set(targets.map((t) => t.table.sql)))
        await client.query(`VACUUM (FULL, ANALYZE) ${table}`);
      return masked;
    },
    { statementMs: maskMs },
  );
}

async function mask(client: pg.Client, target: Target): Promise<number> {
  const column = sqlIdentifier(target.column);
  const table = fromTable(target.table);
  // Keeps hashes of the originals for the check below. The table ends with the transaction.
  await client.query(
    `CREATE TEMPORARY TABLE originals ON COMMIT DROP AS SELECT DISTINCT sha256(convert_to(${column}::text, 'UTF8')) AS h FROM ${table} WHERE ${column} IS NOT NULL`,
  );
  const { rowCount } = await client.query(
    `UPDATE ${table} SET ${column} = ${maskExpression(target)} WHERE ${column} IS NOT NULL`,
  );
  const { left } = await row<{ left: string }>(
    client,
    `SELECT count(*) AS left FROM ${table} WHERE sha256(convert_to(${column}::text, 'UTF8')) IN (SELECT h FROM originals)`,
  );
  await client.query('DROP TABLE originals');
  if (left !== '0') {
    await client.query('ROLLBACK');
    throw new OperationError(
      `masking ${target.table.name}.${target.column}`,
      `${left} rows still hold an original value`,
      'nothing was changed; report this',
    );
  }
  return rowCount ?? 0;
}

/** SQL expression of a column's masked value. It reads the secret from a setting of the transaction. */
export function maskExpression({
  rule,
  column,
  limit,
  uuid,
}: Pick<Target, 'rule' | 'column' | 'limit' | 'uuid'>): string {
  const value = `${sqlIdentifier(column)}::text`;
  const hash = `encode(sha256(convert_to(current_setting('greenlight.mask') || ':' || ${value}, 'UTF8')), 'hex')`;
  const cut = (length: number): string => `left(${hash}, ${Math.min(64, length)})`;
  const fill = `left(${hash} || repeat(' lorem ipsum', length(${value}) / 12 + 1), greatest(${digits}, length(${value})))`;
  switch (rule.with) {
    case 'null':
      return 'NULL';
    case 'email':
      return `'user-' || ${cut(digits)} || '@example.invalid'`;
    case 'name':
      return `'Person ' || ${cut(digits)}`;
    case 'text':
      return limit === undefined ? fill : `left(${fill}, ${limit})`;
    case 'hash':
      return uuid ? `${cut(32)}::uuid` : cut(limit ?? 64);
  }
}

async function resolve(client: pg.Client, rules: readonly MaskRule[]): Promise<Target[]> {
  const tables = await tablesOf(client);
  const problems: string[] = [];
  const targets: Target[] = [];
  for (const rule of rules) {
    const where = `${rule.table}.${rule.column}`;
    const matches = tables.filter((t) => t.name.endsWith(`.${rule.table}`));
    const found = matches.filter((t) => t.columns.some((c) => c.name === rule.column));
    if (matches.length === 0) problems.push(`${where}: there is no table ${rule.table}`);
    else if (found.length === 0) problems.push(`${where}: the table has no such column`);
    for (const table of found) {
      const target = await describe(client, rule, table);
      problems.push(...target.problems);
      targets.push(target);
    }
  }
  problems.push(...(await halfMaskedKeys(client, targets)));
  if (problems.length > 0) {
    throw new OperationError(
      'checking the rules for personal data',
      problems.map((p) => `\n  - ${p}`).join(''),
      'correct data.personal; nothing was changed',
    );
  }
  return targets;
}

async function describe(client: pg.Client, rule: MaskRule, table: Table): Promise<Target & { problems: string[] }> {
  const facts = await row<{
    type: string;
    category: string;
    limit: number | null;
    required: boolean;
    generated: boolean;
  }>(
    client,
    `SELECT t.typname AS type, t.typcategory AS category, a.attnotnull AS required, a.attgenerated <> '' AS generated,
       CASE WHEN t.typname IN ('varchar', 'bpchar') AND a.atttypmod > 4 THEN a.atttypmod - 4 END AS limit
     FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = $1::regclass AND a.attname = $2`,
    [table.sql, rule.column],
  );
  const where = `${table.name}.${rule.column}`;
  const problems: string[] = [];
  const uuid = facts.type === 'uuid' && rule.with === 'hash';
  const limit = facts.limit ?? undefined;
  if (facts.generated) problems.push(`${where}: it is computed from other columns; mask those`);
  if (rule.with === 'null' && facts.required) problems.push(`${where}: it must not be null`);
  if (rule.with !== 'null' && facts.category !== 'S' && !uuid)
    problems.push(`${where}: ${rule.with} needs a text column, this one is ${facts.type}`);
  if (limit !== undefined && limit < room[rule.with])
    problems.push(`${where}: ${rule.with} needs ${room[rule.with]} characters, the column takes ${limit}`);
  return { rule, table, column: rule.column, limit, uuid, problems };
}

/** Foreign keys whose two ends are not masked in the same way: their references would break. */
async function halfMaskedKeys(client: pg.Client, targets: Target[]): Promise<string[]> {
  const keys = await rows<{ table: string; column: string; other: string; other_column: string }>(
    client,
    `SELECT format('%s.%s', n.nspname, c.relname) AS "table", a.attname AS "column", format('%s.%s', rn.nspname, r.relname) AS other, ra.attname AS other_column
     FROM pg_constraint k CROSS JOIN LATERAL unnest(k.conkey, k.confkey) AS p (mine, theirs)
     JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_class r ON r.oid = k.confrelid JOIN pg_namespace rn ON rn.oid = r.relnamespace
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.mine JOIN pg_attribute ra ON ra.attrelid = r.oid AND ra.attnum = p.theirs
     WHERE k.contype = 'f' AND k.conparentid = 0`,
  );
  const ruleOf = (table: string, column: string): string | undefined => {
    const target = targets.find((t) => t.table.name === table && t.column === column);
    return target === undefined ? undefined : `${target.rule.with}${target.limit ?? ''}`;
  };
  return keys
    .filter((k) => ruleOf(k.table, k.column) !== ruleOf(k.other, k.other_column))
    .map((k) => `${k.table}.${k.column} refers to ${k.other}.${k.other_column}: mask both the same way, or neither`);
}

/** Values per column that are checked: enough to find a forgotten column, few enough for any table. */
const sample = 1_000;

export interface UnmaskedColumn {
  column: string;
  /** How many of the checked values are also in the original. */
  rows: number;
  checked: number;
}

/** Checks whether `copy` contains personal data of `original`: looks up random values of the copy in the original. */
export async function findUnmasked(
  copy: DatabaseAccess,
  original: DatabaseAccess,
  rules: readonly MaskRule[],
): Promise<UnmaskedColumn[]> {
  return await withClient(copy, 'admin', async (copied) =>
    withClient(original, 'admin', async (source) => {
      const found: UnmaskedColumn[] = [];
      for (const { table, column, ...rule } of rules) {
        if (rule.with === 'null') continue;
        const [name, from] = [sqlIdentifier(column), sqlIdentifier(table)];
        const values = await rows<{ value: string }>(
          copied,
          `SELECT ${name}::text AS value FROM ${from} WHERE ${name} IS NOT NULL AND ${name}::text <> '' ORDER BY random() LIMIT ${sample}`,
        );
        const distinct = [...new Set(values.map(({ value }) => value))];
        const { count } = await row<{ count: number }>(
          source,
          `SELECT count(DISTINCT ${name}::text)::int AS count FROM ${from} WHERE ${name}::text = ANY ($1)`,
          [distinct],
        );
        found.push({ column: `${table}.${column}`, rows: count, checked: distinct.length });
      }
      // Columns without values are left out, as they reveal nothing. If all are empty they are returned: such a copy proves nothing.
      const filled = found.filter(({ checked }) => checked > 0);
      return filled.length > 0 ? filled : found;
    }),
  );
}
