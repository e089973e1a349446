import type pg from 'pg';
import { describeKey, ownSchemas, relationExists, tablesOf, type Table } from '../catalog.ts';
import { isDamage, rows, sqlState } from '../connect.ts';
import type { Link } from '../link.ts';
import { foundBy, identitiesOf } from '../publication/identity.ts';
import { useTextForms } from '../text-forms.ts';
import { wordsOf } from '../words.ts';
import { statementsFor, targetColumns, type RowChange, type Statement, type Target } from './row-statements.ts';
import { nextChanges } from './waiting-changes.ts';

/** A row that the target's schema cannot hold as it is on the source. */
export interface Unfit {
  table: string;
  /** Key for a message, as `describeKey` makes it; empty in a table without one. */
  key: string;
  /** PostgreSQL's words, without values. */
  reason: string;
}

const notSupported = '0A000';

/** Rows that are named in a message at most. */
const named = 3;

/** `public.codes, id = 4: value too long for type character varying(20)`, and how many more. */
export function describeUnfit(unfit: readonly Unfit[]): string {
  const some = unfit
    .slice(0, named)
    .map(({ table, key, reason }) => `${table}${key === '' ? '' : `, ${key}`}: ${reason}`);
  const more = unfit.length > named ? `; and ${unfit.length - named} more` : '';
  return `${some.join('; ')}${more}`;
}

/** A table of the target, as messages need it, too. */
type Known = Target & { table: Table };

/** Rows that were left out, until they fit or are kept aside. In the target, so that they are known after a crash. */
const unfitTable = `CREATE TABLE IF NOT EXISTS greenlight.unfit
  (relation text NOT NULL, key jsonb NOT NULL, said text NOT NULL, reason text NOT NULL, PRIMARY KEY (relation, key))`;

/** Only a superuser may, or whom one has allowed it. Without it tables that have no key can get a row twice. */
const beginOrigin = `SELECT pg_replication_origin_session_setup('pg_' || oid) FROM pg_subscription WHERE subname = $1`;

const columnsSql = `
  SELECT format('%s.%s', n.nspname, c.relname) AS "table", ${targetColumns} AS columns
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND ${ownSchemas}`;

/**
 * Whether the changes are there, nobody else applies them, and the target is what they are missing from: the slot is intact, and the
 * subscription disabled. Without one it may be another database, made or restored in the place of the old one. Then it must have been
 * here: a cutover that applies the rest drops the subscription before the flip.
 */
export async function waitsInSlot({ name }: Link, source: pg.Client, target: pg.Client): Promise<boolean> {
  const [slot] = await rows<{ usable: boolean }>(
    source,
    `SELECT NOT active AND wal_status <> 'lost' AS usable FROM pg_replication_slots WHERE slot_name = $1`,
    [name],
  );
  if (slot?.usable !== true) return false;
  const sql = 'SELECT subenabled AS enabled FROM pg_subscription WHERE subname = $1';
  const [subscription] = await rows<{ enabled: boolean }>(target, sql, [name]);
  return subscription === undefined ? relationExists(target, 'greenlight.unfit') : !subscription.enabled;
}

/**
 * What a stopped replication has not applied. PostgreSQL stops at the first change that does not fit the target's schema, and all behind
 * it waits in the slot. Here it is applied change by change, as an apply worker does it, and the rows that do not fit are left out. That
 * may be repeated after an interruption.
 */
export class Rest {
  readonly #link: Link;
  readonly #source: pg.Client;
  readonly #target: pg.Client;
  readonly #tables: Map<string, Known>;

  private constructor(link: Link, source: pg.Client, target: pg.Client, tables: Map<string, Known>) {
    this.#link = link;
    this.#source = source;
    this.#target = target;
    this.#tables = tables;
  }

  /** Sessions as admin, used by nobody else meanwhile. */
  static async open(link: Link, source: pg.Client, target: pg.Client): Promise<Rest> {
    await target.query(unfitTable);
    const identities = await identitiesOf(target);
    const columns = await rows<{ table: string; columns: Target['columns'] }>(target, columnsSql);
    const tables = (await tablesOf(target)).map((table): [string, Known] => {
      const identity = identities.find(({ name }) => name === table.name);
      const mine = columns.find((of) => of.table === table.name)?.columns ?? [];
      return [table.name, { table, key: identity === undefined ? [] : foundBy(identity), columns: mine }];
    });
    return new Rest(link, source, target, new Map(tables));
  }

  /** The rows that do not fit: those left out so far, and those of the next changes. Changes nothing. */
  async foresee(): Promise<Unfit[]> {
    await this.#target.query('BEGIN');
    try {
      await this.#applyNext();
      return await this.unfit();
    } finally {
      await this.#target.query('ROLLBACK');
    }
  }

  /** Applies all that the source has committed. Resolves to the number of changes. */
  async apply(): Promise<number> {
    // What was committed asynchronously can be read from the slot once the log is flushed.
    await this.#source.query(`SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'greenlight', 'rest')`);
    // As the apply worker does: a commit also records how far it went, and what is repeated after a crash is left out then.
    const records = await rows(this.#target, beginOrigin, [this.#link.name]).then(
      (found) => found.length > 0,
      () => false,
    );
    let changes = 0;
    try {
      for (;;) {
        const next = await this.#applyBatch(records);
        if (next.end === undefined) return changes;
        changes += next.changes;
        await this.#source.query('SELECT pg_replication_slot_advance($1, $2)', [this.#link.name, next.end]);
      }
    } finally {
      if (records) await this.#target.query('SELECT pg_replication_origin_session_reset()').catch(() => undefined);
    }
  }

  async #applyBatch(records: boolean): Promise<{ changes: number; end: string | undefined }> {
    await this.#target.query('BEGIN; SET LOCAL synchronous_commit = on');
    try {
      const next = await this.#applyNext();
      if (records && next.end !== undefined)
        await this.#target.query('SELECT pg_replication_origin_xact_setup($1, now())', [next.end]);
      await this.#target.query('COMMIT');
      return next;
    } catch (error) {
      await this.#target.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }

  /** The rows that were left out. */
  unfit(): Promise<Unfit[]> {
    return rows<Unfit>(
      this.#target,
      'SELECT relation AS "table", said AS key, reason FROM greenlight.unfit ORDER BY 1, 2',
    );
  }

  async #applyNext(): Promise<{ changes: number; end: string | undefined }> {
    const { changes, end } = await nextChanges(this.#link, this.#source, this.#target);
    // As in an apply worker: foreign keys and triggers had their effect where the row was written.
    await this.#target.query('SET LOCAL session_replication_role = replica');
    await useTextForms(this.#target);
    for (const change of changes) await this.#applyOne(change);
    return { changes: changes.length, end };
  }

  async #applyOne(change: RowChange): Promise<void> {
    const target = this.#tables.get(change.table);
    const key = target?.key ?? [];
    const reason =
      target === undefined ? `table ${change.table} does not exist` : await this.#tryChange(target, change);
    const known = JSON.stringify(Object.fromEntries(keyOf(key, change.values)));
    const says =
      target === undefined
        ? ''
        : describeKey(
            { ...target.table, primaryKey: key },
            keyOf(key, change.values).map(([, value]) => value),
          );
    if (reason === undefined) {
      const before = JSON.stringify(Object.fromEntries(keyOf(key, change.old ?? change.values)));
      const sql = 'DELETE FROM greenlight.unfit WHERE relation = $1 AND key = ANY ($2::jsonb[])';
      await this.#target.query(sql, [change.table, [known, before]]);
    } else
      await this.#target.query(
        `INSERT INTO greenlight.unfit VALUES ($1, $2, $3, $4) ON CONFLICT (relation, key) DO UPDATE SET reason = excluded.reason`,
        [change.table, known, says, reason],
      );
  }

  /** Resolves to why the change does not fit; undefined if it is applied. */
  async #tryChange(target: Target, change: RowChange): Promise<string | undefined> {
    const { statements, otherwise, instead } = statementsFor(target, change);
    await this.#target.query('SAVEPOINT one');
    try {
      const found = await this.#run(statements).catch(async (error: unknown) => {
        if (instead === undefined || sqlState(error) !== notSupported) throw error;
        await this.#target.query('ROLLBACK TO one');
        return this.#run(instead);
      });
      if (found === 0 && otherwise !== undefined) await this.#run(otherwise);
      await this.#target.query('RELEASE one');
      if (found === 0 && change.kind === 'update' && otherwise === undefined) return 'the row is not there';
      return undefined;
    } catch (error) {
      // A damaged database says nothing of the row.
      if (sqlState(error) === undefined || isDamage(error)) throw error;
      await this.#target.query('ROLLBACK TO one; RELEASE one');
      return wordsOf(error, Object.values(change.values));
    }
  }

  async #run(statements: Statement[]): Promise<number> {
    let found = 0;
    for (const { text, values } of statements) found = (await this.#target.query(text, values)).rowCount ?? 0;
    return found;
  }
}

const keyOf = (key: string[], values: RowChange['values']): [string, string | null][] =>
  (key.length === 0 ? Object.keys(values) : key).map((name) => [name, values[name] ?? null]);
