import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { messageOf, OperationError } from '../../../infra/lib/errors.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { fromTable, type Table } from '../catalog.ts';
import { isLost, row, sqlState, withClient } from '../connect.ts';
import { dropForeignSecrets } from '../foreign.ts';
import { findDerived } from './derived.ts';
import { findMisfits, refusalOf, rulesIn, tablesIn } from './fit.ts';
import { functions, keyOf, keySetting } from './functions.ts';
import { findOriginals, rememberOriginals } from './residue.ts';
import { ancestorsOf, dropKeys, refreshViews, rewriteTable, silenceEvents, sizeOf } from './rewrite.ts';
import { dense, type Harmless, type MaskRule } from './rules.ts';
import { maskExpression, refuse, resolve, type Target } from './targets.ts';

/** Statement timeout, ms: a rewrite or VACUUM of a whole table. */
const maskMs = 3_600_000;

/** For one transaction: neither triggers nor event triggers fire, no policy hides a row, indexes are built in memory. */
const settings = [
  'SET LOCAL session_replication_role = replica',
  'SET LOCAL row_security = off',
  `SET LOCAL maintenance_work_mem = '256MB'`,
  'SET LOCAL client_min_messages = warning',
];

export interface MaskedColumn {
  table: string;
  column: string;
  /** Values that were masked. */
  rows: number;
}

/**
 * Replaces personal data in place and irreversibly. Use it on a copy, never on the live database. Under one `secret` equal
 * values get equal masks of a kind in every table, so equality and uniqueness are kept. Without the secret nobody can test a
 * guess; leave it out if no other database has to match. Columns without a rule stay unchanged.
 * Afterwards no original value is left in rows, on pages of the disk, in materialised views or in the planner's statistics. Needs
 * as much free space as the masked tables take. Without rules, too, the copy forgets the passwords of other servers.
 * Throws an OperationError that lists every rule that cannot be applied, and every other column that holds masked values.
 * No row is changed then.
 */
export async function maskDatabase(
  access: DatabaseAccess,
  rules: readonly MaskRule[],
  secret = randomBytes(32).toString('hex'),
  harmless: readonly Harmless[] = [],
): Promise<MaskedColumn[]> {
  return await withClient(
    access,
    'admin',
    async (client) => {
      await forgetOthers(client);
      if (rules.length === 0) return [];
      await client.query(`SELECT set_config('${keySetting}', $1, false)`, [keyOf(secret)]);
      // The functions have backslashes in strings.
      await client.query('SET standard_conforming_strings = on');
      for (const statement of functions) await client.query(statement);
      const { masked, updated, analysed } = await inTransaction(client, () => maskAll(client, rules, harmless)).catch(
        async (error: unknown) => {
          throw await explain(client, rules, error);
        },
      );
      // An UPDATE leaves the old rows on their pages, and a table of statistics the most common values.
      for (const table of updated) await client.query(`VACUUM (FULL, ANALYZE) ${table.sql}`);
      for (const table of analysed) await client.query(`ANALYZE ${table}`);
      await client.query('VACUUM (FULL) pg_catalog.pg_statistic, pg_catalog.pg_statistic_ext_data');
      return masked;
    },
    { statementMs: maskMs },
  );
}

/** User mappings and secret options of foreign servers are production's, and a dump has them in clear text. */
async function forgetOthers(client: pg.Client): Promise<void> {
  await inTransaction(client, async () => {
    const events = await silenceEvents(client);
    await dropForeignSecrets(client);
    for (const statement of events) await client.query(statement);
  }).catch((error: unknown) => {
    if (sqlState(error) === undefined || isLost(error)) throw error;
    throw new OperationError(
      'removing the passwords of foreign servers from a copy',
      messageOf(error),
      'nothing was changed; let the administrator own the foreign servers, or keep secrets in user mappings alone',
      { cause: error },
    );
  });
}

async function inTransaction<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  try {
    for (const setting of settings) await client.query(setting);
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

interface Outcome {
  masked: MaskedColumn[];
  /** Tables whose old rows are still on disk. */
  updated: Table[];
  /** Relations whose statistics are old. */
  analysed: string[];
}

async function maskAll(client: pg.Client, rules: readonly MaskRule[], harmless: readonly Harmless[]): Promise<Outcome> {
  const targets = await resolve(client, rules);
  const derived = await findDerived(client, targets, harmless);
  refuse([...derived.problems, ...(await findMisfits(client, targets))]);
  await rememberOriginals(client, targets);
  const masked = await count(client, targets);
  const events = await silenceEvents(client);
  const keys = await dropKeys(client, targets);
  const updated: Table[] = [];
  for (const table of tablesIn(targets)) {
    const own = targets.filter((t) => t.table === table);
    const assignments = own.map((target) => ({ ...target, value: maskExpression(target, targets) }));
    const all = [...assignments, ...(derived.assignments.get(table.name) ?? [])];
    const permuted = own.some((t) => t.rules.some((r) => dense.has(r.with)));
    if ((await rewriteTable(client, table, all, { permuted })) === 'updated') updated.push(table);
  }
  for (const statement of [...keys, ...events]) await client.query(statement);
  const views = await refreshViews(client);
  const left = await findOriginals(client, targets, harmless);
  refuse(left.map((found) => `${found}; give it a rule, or say in data.harmless why it may`));
  const tables = tablesIn(targets);
  const analysed = [...tables.map((t) => t.sql), ...(await ancestorsOf(client, tables)), ...views];
  return { masked, updated, analysed };
}

async function count(client: pg.Client, targets: readonly Target[]): Promise<MaskedColumn[]> {
  const counted = new Map<Target, number>();
  for (const table of tablesIn(targets)) {
    const own = targets.filter((t) => t.table === table);
    const counts = own.map((t, at) => `count(${sqlIdentifier(t.column)})::int AS c${at}`);
    const found = await row<Record<string, number>>(client, `SELECT ${counts.join(', ')} FROM ${fromTable(table)}`);
    own.forEach((target, at) => counted.set(target, found[`c${at}`] ?? 0));
  }
  return targets.map((t) => ({ table: t.table.name, column: t.column, rows: counted.get(t) ?? 0 }));
}

/** Turns what PostgreSQL refused into a list of all columns that it would refuse. All rows are tried for it. */
async function explain(client: pg.Client, rules: readonly MaskRule[], error: unknown): Promise<unknown> {
  const state = sqlState(error) ?? '';
  const full = state === '53100';
  if (!full && !/^2[23]/.test(state)) {
    if (state === '' || isLost(error)) return error;
    const todo = 'nothing was changed; correct what it names, or data.personal';
    return new OperationError('masking personal data', refusalOf(error), todo, { cause: error });
  }
  return await inTransaction(client, async () => {
    const targets = await resolve(client, rules);
    if (full) {
      const megabytes = Math.ceil((await sizeOf(client, tablesIn(targets))) / 1e6);
      const todo = `nothing was changed; make ${megabytes} MB free, which is what the masked tables take`;
      return new OperationError('masking personal data', 'the disk of the database is full', todo, { cause: error });
    }
    refuse(await findMisfits(client, targets, { all: true }));
    return new OperationError(
      'masking personal data',
      `the masked values break ${rulesIn(error)}`,
      'nothing was changed; correct data.personal',
      { cause: error },
    );
  }).catch((reason: unknown) => reason);
}
