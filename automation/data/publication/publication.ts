import type pg from 'pg';
import { messageOf, OperationError } from '../../../infra/lib/errors.ts';
import { sqlIdentifier, sqlLiteral } from '../../../infra/application/roles.ts';
import { tablesOf, type Table } from '../catalog.ts';
import { sqlState } from '../connect.ts';
import type { Identity, Relation } from './identity.ts';

/**
 * Publishes tables. Publishing makes every UPDATE and DELETE fail on a relation whose rows PostgreSQL cannot identify. So
 * this tests them in the publishing transaction, before anybody else can see the publication.
 */

/** A published table. Without `columns` it is published with all of them. */
export interface Published {
  sql: string;
  partitioned: boolean;
  columns?: string[];
}

/** A table that cannot be published, or on which an UPDATE or DELETE would fail. */
export interface Refusal {
  /** Name of the table; for a partition, of its root. */
  table: string;
  /** Name of the relation that PostgreSQL refuses: the table or a partition. */
  relation: string;
  /** The relation, quoted for SQL. */
  sql: string;
  /** PostgreSQL's message, for people. */
  message: string;
  /**
   * `unidentified`: PostgreSQL cannot identify the rows. `locked`: another session held a lock for too long, so the
   * relation could not be tested.
   */
  cause: 'unidentified' | 'locked' | 'other';
}

/**
 * Lock timeout, ms. The locks of publishing and testing conflict with no read or write, so neither queues behind them. A
 * vacuum in the way is cancelled after a second.
 */
const lockMs = 3_000;
const lockNotAvailable = '55P03';
/** SQLSTATE of an UPDATE or DELETE without a replica identity. */
const notInPrerequisiteState = '55000';
const trialName = 'greenlight_trial';

/**
 * Publishes `tables` under `name`, with `note` as its comment, and replaces a publication of that name. Throws an
 * OperationError and publishes nothing if an UPDATE or DELETE would then fail.
 */
export async function createPublication(
  client: pg.Client,
  name: string,
  tables: Published[],
  note: string,
  identities: Identity[],
): Promise<void> {
  const refusals = await inTransaction(client, async (commit) => {
    await client.query(
      `DROP PUBLICATION IF EXISTS ${sqlIdentifier(name)}; ${publish(name, tables)};
       COMMENT ON PUBLICATION ${sqlIdentifier(name)} IS ${sqlLiteral(note)}`,
    );
    const found: Refusal[] = [];
    for (const identity of identities.filter(({ sql }) => tables.some((t) => t.sql === sql)))
      found.push(...(await ask(client, identity)));
    if (found.length === 0) await commit();
    return found;
  });
  if (refusals.length === 0) return;
  throw new OperationError(
    `publishing ${name}`,
    `the application could not change rows any more: ${refusals.map((r) => `${r.relation}: ${r.message}`).join('; ')}`,
    'nothing was published; repeat: what stands against it is then listed with its cure',
  );
}

/** What `createPublication` would refuse. Each table is published in a transaction that is rolled back. */
export async function tryPublication(
  client: pg.Client,
  tables: Published[],
  identities: Identity[],
): Promise<Refusal[]> {
  return inTransaction(client, async () => {
    const found: Refusal[] = [];
    for (const table of tables) {
      const identity = identities.find(({ sql }) => sql === table.sql);
      if (identity === undefined) continue;
      await client.query('SAVEPOINT trial');
      const failed = await client
        .query(publish(trialName, [table]))
        .then(() => undefined, asRefusal(identity.name, identity));
      if (failed === undefined) found.push(...(await ask(client, identity)));
      else found.push(failed);
      // Also releases the locks and drops the publication.
      await client.query('ROLLBACK TO trial; RELEASE trial');
    }
    return found;
  });
}

function publish(name: string, tables: Published[]): string {
  const listed = tables.map((t) => {
    const columns = t.columns === undefined ? '' : ` (${t.columns.map(sqlIdentifier).join(', ')})`;
    return `${t.partitioned ? '' : 'ONLY '}${t.sql}${columns}`;
  });
  // Changes of partitions are published as changes of the root, so both sides may be partitioned differently.
  const options = `WITH (publish = 'insert, update, delete, truncate', publish_via_partition_root = true)`;
  return `CREATE PUBLICATION ${sqlIdentifier(name)} ${listed.length === 0 ? '' : `FOR TABLE ${listed.join(', ')}`} ${options}`;
}

/**
 * Tests whether UPDATE and DELETE would work on each relation that holds rows. EXPLAIN makes the same checks and runs
 * nothing; even a statement that affects no rows would fire statement triggers.
 */
async function ask(client: pg.Client, { name, leaves }: Identity): Promise<Refusal[]> {
  const found: Refusal[] = [];
  for (const leaf of leaves) {
    const statements = [`DELETE FROM ONLY ${leaf.sql} WHERE false`];
    if (leaf.touch !== null) statements.unshift(`UPDATE ONLY ${leaf.sql} SET ${leaf.touch} WHERE false`);
    await client.query('SAVEPOINT asked');
    const failed = await client
      .query(statements.map((sql) => `EXPLAIN ${sql}`).join('; '))
      .then(() => undefined, asRefusal(name, leaf));
    await client.query('ROLLBACK TO asked; RELEASE asked');
    if (failed !== undefined) found.push(failed);
  }
  return found;
}

const asRefusal =
  (table: string, { name, sql }: Relation) =>
  (error: unknown): Refusal => {
    const state = sqlState(error);
    if (state === undefined) throw error;
    const message = state === lockNotAvailable ? `it could not be locked within ${lockMs} ms` : messageOf(error);
    const cause = state === lockNotAvailable ? 'locked' : state === notInPrerequisiteState ? 'unidentified' : 'other';
    return { table, relation: name, sql, message, cause };
  };

/** Runs `work` in a transaction, which is rolled back unless `work` calls `commit`. */
async function inTransaction<T>(client: pg.Client, work: (commit: () => Promise<unknown>) => Promise<T>): Promise<T> {
  // Overrides settings that the owner has made on the database or the role.
  await client.query(
    `BEGIN READ WRITE; SET LOCAL lock_timeout = ${lockMs}; SET LOCAL row_security = on; SET LOCAL idle_in_transaction_session_timeout = 0`,
  );
  try {
    return await work(() => client.query('COMMIT'));
  } finally {
    // After a commit this only causes a warning.
    await client.query('ROLLBACK').catch(() => undefined);
  }
}

/**
 * Tables and columns that exist on both sides, for the direction to a side that may have an older schema. A column that the other side
 * computes itself is none: it takes no value for it.
 */
export function sharedTables(from: Table[], to: Table[]): Published[] {
  const published: Published[] = [];
  for (const table of from) {
    const other = to.find((t) => t.name === table.name);
    if (other === undefined) continue;
    const plain = table.columns.filter((c) => !c.generated).map((c) => c.name);
    const shared = plain.filter((name) => other.columns.some((c) => c.name === name && !c.generated));
    const all = shared.length === plain.length;
    published.push({ sql: table.sql, partitioned: table.partitioned, ...(all ? {} : { columns: shared }) });
  }
  return published;
}

/** All tables with all columns, for the direction from the older schema to the newer one. */
export async function allTables(client: pg.Client): Promise<Published[]> {
  return (await tablesOf(client)).map((t) => ({ sql: t.sql, partitioned: t.partitioned }));
}
