import type pg from 'pg';
import { describeKey, relationExists, tablesOf, type Table } from '../catalog.ts';
import { isDamage, row, rows, sqlState } from '../connect.ts';
import type { Link } from '../link.ts';
import { foundBy, identitiesOf } from '../publication/identity.ts';
import { useTextForms } from '../text-forms.ts';
import { wordsOf } from '../words.ts';
import { Decoder } from './pgoutput.ts';
import { byTable, statementsFor, type RowChange, type Statement, type Target } from './row-statements.ts';

/** A row that the target's schema cannot hold as it is on the source. */
export interface Unfit {
  table: string;
  /** Key for a message, as `describeKey` makes it. */
  key: string;
  /** PostgreSQL's words, without values. */
  reason: string;
}

/** Rows that are named in a message at most. */
const named = 3;

/** `public.codes, id = 4: value too long for type character varying(20)`, and how many more. */
export function describeUnfit(unfit: readonly Unfit[]): string {
  const some = unfit.slice(0, named).map(({ table, key, reason }) => `${table}, ${key}: ${reason}`);
  const more = unfit.length > named ? `; and ${unfit.length - named} more` : '';
  return `${some.join('; ')}${more}`;
}

/** A table of the target, as messages need it, too. */
type Known = Target & { table: Table };

/** Changes that are read from the slot at once; a transaction is never divided. */
const batch = 5_000;

/** Rows that were left out, until they fit or are kept aside. In the target, so that they are known after a crash. */
const unfitTable = `CREATE TABLE IF NOT EXISTS greenlight.unfit
  (relation text NOT NULL, key jsonb NOT NULL, said text NOT NULL, reason text NOT NULL, PRIMARY KEY (relation, key))`;

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
 * it waits in the slot. Here it is applied change by change, as an apply worker does it, and the rows that do not fit are left out. In
 * tables with a key that may be repeated after an interruption.
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
    const always = await rows<{ table: string; column: string }>(
      target,
      `SELECT format('%s.%s', n.nspname, c.relname) AS "table", a.attname AS "column" FROM pg_attribute a
       JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE a.attidentity = 'a'`,
    );
    const tables = (await tablesOf(target)).map((table): [string, Known] => {
      const identity = identities.find(({ name }) => name === table.name);
      const mine = always.filter((a) => a.table === table.name).map(({ column }) => column);
      return [table.name, { table, key: identity === undefined ? [] : foundBy(identity), always: mine }];
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
    let changes = 0;
    for (;;) {
      await this.#target.query('BEGIN; SET LOCAL synchronous_commit = on');
      let next: { changes: number; end: string | undefined };
      try {
        next = await this.#applyNext();
        await this.#target.query('COMMIT');
      } catch (error) {
        await this.#target.query('ROLLBACK').catch(() => undefined);
        throw error;
      }
      if (next.end === undefined) return changes;
      changes += next.changes;
      await this.#source.query('SELECT pg_replication_slot_advance($1, $2)', [this.#link.name, next.end]);
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
    if (reason === undefined)
      await this.#target.query('DELETE FROM greenlight.unfit WHERE relation = $1 AND key = $2', [change.table, known]);
    else
      await this.#target.query(
        `INSERT INTO greenlight.unfit VALUES ($1, $2, $3, $4) ON CONFLICT (relation, key) DO UPDATE SET reason = excluded.reason`,
        [change.table, known, says, reason],
      );
  }

  /** Resolves to why the change does not fit; undefined if it is applied. */
  async #tryChange(target: Target, change: RowChange): Promise<string | undefined> {
    const { statements, otherwise } = statementsFor(target, change);
    await this.#target.query('SAVEPOINT one');
    try {
      const found = await this.#run(statements);
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

/** Whole transactions that the target does not have, in the order of their commits; `end`: of the last one. */
async function nextChanges(
  link: Link,
  source: pg.Client,
  target: pg.Client,
): Promise<{ changes: RowChange[]; end: string | undefined }> {
  const { lsn } = await row<{ lsn: string }>(
    target,
    `SELECT coalesce(max(o.remote_lsn), '0/0')::text AS lsn FROM pg_subscription s
     LEFT JOIN pg_replication_origin_status o ON o.external_id = 'pg_' || s.oid WHERE s.subname = $1`,
    [link.name],
  );
  const applied = position(lsn);
  await source.query('BEGIN');
  try {
    // The slot shows values in the form of this session.
    await useTextForms(source);
    const found = await rows<{ data: Buffer }>(
      source,
      `SELECT data FROM pg_logical_slot_peek_binary_changes($1, NULL, $2, 'proto_version', '1', 'publication_names', $3)`,
      [link.name, batch, link.name],
    );
    return unapplied(
      found.map(({ data }) => data),
      applied,
    );
  } finally {
    await source.query('ROLLBACK');
  }
}

/** The changes of the transactions that end behind `applied`. */
function unapplied(messages: Buffer[], applied: bigint): { changes: RowChange[]; end: string | undefined } {
  const decoder = new Decoder();
  const changes: RowChange[] = [];
  let end: bigint | undefined;
  let transaction: RowChange[] = [];
  for (const data of messages) {
    // A table is described once only, perhaps in a transaction that is applied already: all messages are decoded.
    const message = decoder.decode(data);
    if (message === undefined || message.kind === 'begin') continue;
    if (message.kind !== 'commit') {
      transaction.push(...byTable(message));
      continue;
    }
    // Commit: flags (1 byte), LSN of the commit (8), LSN of its end (8).
    end = data.readBigUInt64BE(10);
    if (end > applied) changes.push(...transaction);
    transaction = [];
  }
  return { changes, end: end === undefined ? undefined : lsnOf(end) };
}

const position = (lsn: string): bigint => {
  const [high = '0', low = '0'] = lsn.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
};
const lsnOf = (at: bigint): string => `${(at >> 32n).toString(16)}/${(at & 0xffffffffn).toString(16)}`;
