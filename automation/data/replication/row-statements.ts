import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { fromTable, type Table } from '../catalog.ts';
import type { Change, Tuple } from './pgoutput.ts';

/** A change of one table, with the columns that its key may be in. */
export interface RowChange {
  kind: Change['kind'];
  /** `public.lessons`. */
  table: string;
  /** The new row's columns (the old row's for a delete); null where NULL or not sent. */
  values: Tuple;
  /** Columns of `values` that an update left as they were, too large to be sent. Absent: none. */
  unsent?: string[];
  /** What identified the row before an update, where that is not what `values` has. */
  old?: Tuple;
}

/** The changes of single tables that a change is made of. */
export function byTable(change: Change): RowChange[] {
  const { kind } = change;
  if (kind === 'truncate')
    return change.relations.map(({ schema, name }) => ({ kind, table: `${schema}.${name}`, values: {} }));
  const { schema, name, columns } = change.relation;
  const table = `${schema}.${name}`;
  if (kind === 'delete') return [{ kind, table, values: change.old }];
  const unsent = columns.filter((column) => !Object.hasOwn(change.values, column));
  const values = { ...change.values, ...Object.fromEntries(unsent.map((column) => [column, null])) };
  const left = kind === 'update' && unsent.length > 0 ? { unsent } : {};
  const old = kind === 'update' && change.old !== undefined ? { old: change.old } : {};
  return [{ kind, table, values, ...left, ...old }];
}

/** A column of a table that changes are applied to. */
export interface TargetColumn {
  name: string;
  generated: boolean;
  /** An identity that PostgreSQL fills itself (GENERATED ALWAYS), and that no UPDATE may set. */
  always: boolean;
  /** Its type, quoted for SQL: of a domain the one below it, and without a length, as a cast to one cuts values off. */
  type: string;
  /** The operator by which its unique index finds a value: that of an extension's type is found by no search path. */
  equals: string;
}

/** SQL: the columns of the relation `c`, as `TargetColumn`s. */
export const targetColumns = `(
  SELECT coalesce(json_agg(json_build_object('name', a.attname, 'generated', a.attgenerated <> '', 'always', a.attidentity = 'a',
    'type', (WITH RECURSIVE base AS (SELECT t.* FROM pg_type t WHERE t.oid = a.atttypid UNION ALL SELECT t.* FROM base JOIN pg_type t ON t.oid = base.typbasetype)
      SELECT format('%I.%I', b.typnamespace::regnamespace::name, b.typname) FROM base b WHERE b.typbasetype = 0),
    'equals', coalesce((SELECT format('OPERATOR(%I.%s)', o.oprnamespace::regnamespace::name, o.oprname)
      FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) k (column_number, class) JOIN pg_opclass oc ON oc.oid = k.class AND oc.opcmethod = (SELECT oid FROM pg_am WHERE amname = 'btree')
      JOIN pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype AND ao.amopstrategy = 3
      JOIN pg_operator o ON o.oid = ao.amopopr
      WHERE i.indrelid = c.oid AND i.indisunique AND k.column_number = a.attnum ORDER BY i.indisreplident DESC, i.indisprimary DESC LIMIT 1), '='))), '[]')
  FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)`;

/** A table that changes are applied to. */
export interface Target {
  table: Pick<Table, 'sql' | 'partitioned'>;
  columns: TargetColumn[];
  /** Columns by which a row is found; empty: by all columns of the change. */
  key: string[];
}

/** A statement with its parameters, in text form. */
export interface Statement {
  text: string;
  values: (string | null)[];
}

/** What makes one change in a table. */
export interface Statements {
  statements: Statement[];
  /** Where the last of `statements` has found no row: an update of a row that is not there. */
  otherwise?: Statement[];
  /** Where PostgreSQL does not do it this way: a TRUNCATE of a table that another one refers to, which was emptied with it. */
  instead?: Statement[];
}

/**
 * The statements for a change. In a table with a key the result is the same if they are repeated. Columns that the table does not have
 * are left out. Pure.
 */
export function statementsFor(target: Target, change: RowChange): Statements {
  switch (change.kind) {
    case 'truncate':
      return {
        statements: [{ text: `TRUNCATE ${fromTable(target.table)}`, values: [] }],
        instead: [{ text: `DELETE FROM ${fromTable(target.table)}`, values: [] }],
      };
    case 'delete':
      return { statements: [removal(target, change.values)] };
    case 'insert':
      return { statements: putting(target, change.values) };
    case 'update': {
      const statements = [update(target, change)];
      return change.unsent === undefined ? { statements, otherwise: putting(target, change.values) } : { statements };
    }
  }
}

type Values = RowChange['values'];

/** Collects parameters, and gives them their numbers. */
class Parameters {
  readonly values: (string | null)[] = [];
  next(value: string | null): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }
}

const columnsIn = ({ columns }: Target, values: Values): TargetColumn[] =>
  columns.filter(({ name, generated }) => !generated && Object.hasOwn(values, name));

const putting = (target: Target, values: Values): Statement[] =>
  target.key.length === 0 ? [insertion(target, values)] : [removal(target, values), insertion(target, values)];

const listed = (columns: readonly TargetColumn[]): string => columns.map(({ name }) => sqlIdentifier(name)).join(', ');

export function insertion(target: Target, values: Values): Statement {
  const columns = columnsIn(target, values);
  const parameters = new Parameters();
  const list = columns.map(({ name }) => parameters.next(values[name] ?? null));
  const given = `(${listed(columns)}) OVERRIDING SYSTEM VALUE VALUES (${list.join(', ')})`;
  return {
    text: `INSERT INTO ${target.table.sql} ${columns.length === 0 ? 'DEFAULT VALUES' : given}`,
    values: parameters.values,
  };
}

export function removal(target: Target, values: Values): Statement {
  const parameters = new Parameters();
  const where = found(target, values, parameters);
  return { text: `DELETE FROM ${fromTable(target.table)} WHERE ${where}`, values: parameters.values };
}

type Update = Pick<RowChange, 'values' | 'old' | 'unsent'>;

export function update(target: Target, change: Update): Statement {
  const { values, old, unsent = [] } = change;
  const sent = columnsIn(target, values).filter(({ name }) => !unsent.includes(name));
  // The parser refuses to set these, the apply worker does not. Without an old row the key is as it was.
  const renumbered = ({ name, always }: TargetColumn): boolean =>
    always && (old === undefined ? !target.key.includes(name) : old[name] !== values[name]);
  if (sent.some(renumbered)) return replacement(target, change, sent);
  const parameters = new Parameters();
  const set = sent
    .filter(({ always }) => !always)
    .map(({ name }) => `${sqlIdentifier(name)} = ${parameters.next(values[name] ?? null)}`);
  const where = found(target, old ?? values, parameters);
  // With no column to set the row only has to be there.
  const first = sqlIdentifier(target.key[0] ?? columnsIn(target, values)[0]?.name ?? '');
  const all = set.length === 0 ? `${first} = ${first}` : set.join(', ');
  return { text: `UPDATE ${fromTable(target.table)} SET ${all} WHERE ${where}`, values: parameters.values };
}

/** An update that makes the row anew: what was not sent is what it had. */
function replacement(target: Target, { values, old }: Update, sent: readonly TargetColumn[]): Statement {
  const parameters = new Parameters();
  const where = found(target, old ?? values, parameters);
  const stored = target.columns.filter(({ generated }) => !generated);
  const list = stored.map((column) => {
    const { name, type } = column;
    return sent.includes(column) ? `${parameters.next(values[name] ?? null)}::${type}` : `gone.${sqlIdentifier(name)}`;
  });
  return {
    text: `WITH gone AS (DELETE FROM ${fromTable(target.table)} WHERE ${where} RETURNING *)
      INSERT INTO ${target.table.sql} (${listed(stored)}) OVERRIDING SYSTEM VALUE SELECT ${list.join(', ')} FROM gone`,
    values: parameters.values,
  };
}

function found(target: Target, values: Values, parameters: Parameters): string {
  const { table, key, columns } = target;
  const given = ({ name, type }: TargetColumn): string => `${parameters.next(values[name] ?? null)}::${type}`;
  if (key.length > 0)
    return columns
      .filter(({ name }) => key.includes(name))
      .map((column) => `${sqlIdentifier(column.name)}::${column.type} ${column.equals} ${given(column)}`)
      .join(' AND ');
  // Equal rows cannot be told apart, and one of them is meant. As text they are equal only if they look alike, whatever their types call equal.
  const same = columnsIn(target, values).map(
    (column) => `${sqlIdentifier(column.name)}::text IS NOT DISTINCT FROM ${given(column)}::text COLLATE "C"`,
  );
  return `(tableoid, ctid) = (SELECT tableoid, ctid FROM ${fromTable(table)} WHERE ${same.join(' AND ')} LIMIT 1)`;
}
