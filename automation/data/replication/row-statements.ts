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
  const unsent = columns.filter((column) => !(column in change.values));
  const values = { ...change.values, ...Object.fromEntries(unsent.map((column) => [column, null])) };
  const left = kind === 'update' && unsent.length > 0 ? { unsent } : {};
  const old = kind === 'update' && change.old !== undefined ? { old: change.old } : {};
  return [{ kind, table, values, ...left, ...old }];
}

/** A table that changes are applied to. */
export interface Target {
  table: Pick<Table, 'sql' | 'partitioned'> & { columns: { name: string; generated: boolean }[] };
  /** Columns by which a row is found; empty: by all columns of the change. */
  key: string[];
  /** Identity columns that PostgreSQL fills itself (GENERATED ALWAYS), and that no UPDATE may set. */
  always: string[];
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
}

/**
 * The statements for a change. In a table with a key the result is the same if they are repeated. Columns that the table does not have
 * are left out. Pure.
 */
export function statementsFor(target: Target, change: RowChange): Statements {
  switch (change.kind) {
    case 'truncate':
      return { statements: [{ text: `TRUNCATE ${fromTable(target.table)}`, values: [] }] };
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

const columnsIn = ({ table }: Target, values: Values): string[] =>
  table.columns.filter(({ name, generated }) => !generated && name in values).map(({ name }) => name);

const putting = (target: Target, values: Values): Statement[] =>
  target.key.length === 0 ? [insertion(target, values)] : [removal(target, values), insertion(target, values)];

export function insertion(target: Target, values: Values): Statement {
  const columns = columnsIn(target, values);
  const parameters = new Parameters();
  const list = columns.map((name) => parameters.next(values[name] ?? null));
  const given = `(${columns.map(sqlIdentifier).join(', ')}) OVERRIDING SYSTEM VALUE VALUES (${list.join(', ')})`;
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

export function update(
  target: Target,
  { values, old, unsent = [] }: Pick<RowChange, 'values' | 'old' | 'unsent'>,
): Statement {
  const parameters = new Parameters();
  const set = columnsIn(target, values)
    .filter((name) => !unsent.includes(name) && !target.always.includes(name))
    .map((name) => `${sqlIdentifier(name)} = ${parameters.next(values[name] ?? null)}`);
  const where = found(target, old ?? values, parameters);
  // With no column to set the row only has to be there.
  const [first = ''] = target.key.length === 0 ? columnsIn(target, values) : target.key;
  const all = set.length === 0 ? `${sqlIdentifier(first)} = ${sqlIdentifier(first)}` : set.join(', ');
  return { text: `UPDATE ${fromTable(target.table)} SET ${all} WHERE ${where}`, values: parameters.values };
}

function found(target: Target, values: Values, parameters: Parameters): string {
  const { table, key } = target;
  if (key.length > 0)
    return key.map((name) => `${sqlIdentifier(name)} = ${parameters.next(values[name] ?? null)}`).join(' AND ');
  // Equal rows cannot be told apart, and one of them is meant.
  const same = columnsIn(target, values).map(
    (name) => `${sqlIdentifier(name)} IS NOT DISTINCT FROM ${parameters.next(values[name] ?? null)}`,
  );
  return `(tableoid, ctid) = (SELECT tableoid, ctid FROM ${fromTable(table)} WHERE ${same.join(' AND ')} LIMIT 1)`;
}
