import type pg from 'pg';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { OperationError, messageOf } from '../../../infra/lib/errors.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { row, runSingle, sqlState, withClient } from '../connect.ts';

/** Timeout of one invariant where the release definition gives none, ms. */
const invariantMs = 60_000;
/** SQLSTATE of a policy that would hide rows, under `row_security = off`. */
const notAllowed = '42501';

export interface Invariant {
  name: string;
  sql: string;
}

export interface InvariantRows {
  name: string;
  /** Rows that break it. */
  rows: number;
  /** Names of the tables that it reads, where none of them has a row. */
  empty?: string[];
}

/**
 * Counts the rows that break each invariant of the release definition; 0 means that it holds. Read-only, and returns no
 * value of a row. It is asked as the owner; where policies hide rows from the owner (FORCE ROW LEVEL SECURITY), as the administrator.
 * Throws an OperationError that names an invariant whose SQL fails, times out, holds several statements, or does not see all rows.
 */
export async function checkInvariants(
  access: DatabaseAccess,
  invariants: readonly Invariant[],
  statementMs = invariantMs,
): Promise<InvariantRows[]> {
  return withClient(
    access,
    'owner',
    async (owner) => {
      const results: InvariantRows[] = [];
      for (const invariant of invariants) {
        const counted = await check(owner, invariant).catch((error: unknown) => {
          if (sqlState(error) !== notAllowed) throw explained(invariant, error, 'correct its SQL in data.invariants');
          return asAdministrator(access, owner, invariant, statementMs);
        });
        results.push(counted);
      }
      return results;
    },
    { statementMs },
  );
}

/** With the search path of the owner, by which the SQL names its tables. */
async function asAdministrator(
  access: DatabaseAccess,
  owner: pg.Client,
  invariant: Invariant,
  statementMs: number,
): Promise<InvariantRows> {
  const { path } = await row<{ path: string[] }>(owner, 'SELECT current_schemas(false)::text[] AS path');
  return withClient(
    access,
    'admin',
    async (admin) => {
      await admin.query(`SET search_path = ${path.map(sqlIdentifier).join(', ') || "''"}`);
      return check(admin, invariant);
    },
    { statementMs },
  ).catch((error: unknown) => {
    const todo = `correct its SQL in data.invariants; where a policy hides rows: ALTER ROLE ${sqlIdentifier(access.admin.user)} BYPASSRLS`;
    throw explained(invariant, error, todo);
  });
}

async function check(client: pg.Client, { name, sql }: Invariant): Promise<InvariantRows> {
  const query = `SELECT count(*) AS rows FROM (${sql.replace(/;\s*$/, '')}\n) AS broken`;
  // A policy that would hide rows is an error then.
  await client.query('BEGIN READ ONLY; SET LOCAL row_security = off');
  try {
    const result = await runSingle(client, query);
    const rows = Number((result.rows as { rows: string }[])[0]?.rows ?? 0);
    const empty = rows === 0 ? await onlyEmpty(client, query) : undefined;
    return { name, rows, ...(empty === undefined ? {} : { empty }) };
  } finally {
    await client.query('ROLLBACK');
  }
}

interface PlanNode {
  Schema?: string;
  'Relation Name'?: string;
  Plans?: PlanNode[];
}

/** The tables that `query` reads, if it reads some and none has a row. What its functions read is not known. */
async function onlyEmpty(client: pg.Client, query: string): Promise<string[] | undefined> {
  const result = await runSingle(client, `EXPLAIN (VERBOSE, FORMAT JSON) ${query}`);
  const [plan] = result.rows as { 'QUERY PLAN': { Plan: PlanNode }[] }[];
  const names = new Set((plan?.['QUERY PLAN'] ?? []).flatMap(({ Plan }) => relationsIn(Plan)));
  for (const name of names)
    if ((await row<{ filled: boolean }>(client, `SELECT EXISTS (SELECT FROM ${name}) AS filled`)).filled)
      return undefined;
  return names.size === 0 ? undefined : [...names];
}

const relationsIn = ({ Schema, Plans = [], ...node }: PlanNode): string[] => [
  ...(Schema === undefined || node['Relation Name'] === undefined
    ? []
    : [`${sqlIdentifier(Schema)}.${sqlIdentifier(node['Relation Name'])}`]),
  ...Plans.flatMap(relationsIn),
];

const explained = ({ name }: Invariant, error: unknown, todo: string): OperationError =>
  new OperationError(`checking the invariant ${name}`, messageOf(error), todo, { cause: error });
