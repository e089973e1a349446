import type pg from 'pg';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { rows } from '../connect.ts';
import type { Change, Relation } from './pgoutput.ts';
import { insertion, removal, targetColumns, update, type Statement, type Target } from './row-statements.ts';

/**
 * Applies changes as PostgreSQL's apply worker does, so that they meet the errors that it meets: values in text form, no trigger
 * but those that fire for replicated rows, no schema searched, a missing row skipped. Nothing is kept.
 */

/** Why the apply worker refuses a change before any row is touched, in PostgreSQL's words (relation.c). */
export class Refused extends Error {}

const targetSql = `
  SELECT c.relkind AS kind, ${targetColumns} AS columns,
    (SELECT coalesce(json_agg(a.attname), '[]') FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
      WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL
        AND CASE WHEN c.relreplident = 'i' THEN i.indisreplident ELSE i.indisprimary END) AS found_by
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`;

/** Runs `work` in a transaction that is set up like an apply worker's and rolled back. `lockMs`: longest wait for a lock, ms. */
export async function inTrial(client: pg.Client, lockMs: number, work: (trial: Trial) => Promise<void>): Promise<void> {
  // Only a superuser may. Without it foreign keys are checked too, which can only find more.
  await client.query('SET session_replication_role = replica').catch(() => undefined);
  try {
    await client.query(`BEGIN; SET LOCAL lock_timeout = ${lockMs}; SET LOCAL search_path = ''`);
    await work(new Trial(client));
  } finally {
    await client.query('ROLLBACK; RESET session_replication_role').catch(() => undefined);
  }
}

export class Trial {
  readonly #client: pg.Client;
  readonly #targets = new Map<Relation, Target>();

  constructor(client: pg.Client) {
    this.#client = client;
  }

  /** Rejects with PostgreSQL's error, or with `Refused`. */
  async apply(change: Change): Promise<void> {
    if (change.kind === 'truncate') return this.#truncate(change.relations, change.restartSequences);
    const target = await this.#targetOf(change.relation);
    if (change.kind === 'insert') return this.#run(insertion(target, change.values));
    requireFound(target, change.relation);
    await this.#run(change.kind === 'delete' ? removal(target, change.old) : update(target, change));
  }

  async #targetOf(relation: Relation): Promise<Target> {
    const known = this.#targets.get(relation);
    if (known !== undefined) return known;
    const name = nameOf(relation);
    interface Found {
      kind: string;
      columns: Target['columns'];
      found_by: string[];
    }
    const [found] = await rows<Found>(this.#client, targetSql, [relation.schema, relation.name]);
    if (found === undefined) throw new Refused(`${name} does not exist`);
    if (found.kind !== 'r' && found.kind !== 'p')
      throw new Refused(`cannot use relation "${relation.schema}.${relation.name}" as logical replication target`);
    const columns = found.columns.filter(({ generated }) => !generated).map((c) => c.name);
    const missing = relation.columns.filter((column) => !columns.includes(column));
    if (missing.length > 0)
      throw new Refused(
        `${name} is missing replicated column${missing.length > 1 ? 's' : ''}: ${missing.map((m) => `"${m}"`).join(', ')}`,
      );
    const target: Target = {
      table: {
        sql: `${sqlIdentifier(relation.schema)}.${sqlIdentifier(relation.name)}`,
        partitioned: found.kind === 'p',
      },
      columns: found.columns,
      key: found.found_by,
    };
    this.#targets.set(relation, target);
    return target;
  }

  async #run({ text, values }: Statement): Promise<void> {
    await this.#client.query(text, values);
  }

  async #truncate(relations: Relation[], restartSequences: boolean): Promise<void> {
    const targets: Target[] = [];
    for (const relation of relations) targets.push(await this.#targetOf(relation));
    if (targets.length === 0) return;
    // The worker never cascades further than the publisher did.
    await this.#client.query(
      `TRUNCATE ${targets.map(({ table }) => table.sql).join(', ')} ${restartSequences ? 'RESTART' : 'CONTINUE'} IDENTITY RESTRICT`,
    );
  }
}

const nameOf = ({ schema, name }: Relation): string => `logical replication target relation "${schema}.${name}"`;

function requireFound({ key }: Target, relation: Relation): void {
  if (key.some((column) => !relation.key.includes(column)))
    throw new Refused(`publisher did not send replica identity column expected by the ${nameOf(relation)}`);
  if (key.length === 0 && !relation.full)
    throw new Refused(
      `${nameOf(relation)} has neither REPLICA IDENTITY index nor PRIMARY KEY and published relation does not have REPLICA IDENTITY FULL`,
    );
}
