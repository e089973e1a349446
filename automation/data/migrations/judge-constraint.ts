import type { Constraint, IndexStmt } from 'libpg-query';
import {
  breaksOldVersion,
  breaksReplication,
  inContract,
  lasting,
  loosens,
  loosensBoth,
  longLock,
  mayBreakOldVersion,
  nextRelease,
  type Finding,
} from './findings.ts';
import type { ConstraintKind, KnownIndex, KnownSchema, KnownTable } from './known-schema.ts';
import { columnsOf, kindOf } from './definitions.ts';

/** Judges constraints and indexes of a table that the live side has. */

const called: Record<ConstraintKind, string> = {
  check: 'a CHECK',
  unique: 'a unique constraint',
  primary: 'a primary key',
  foreign: 'a foreign key',
  exclusion: 'an exclusion constraint',
};

export function judgeAddedConstraint(schema: KnownSchema, table: KnownTable, constraint: Constraint): Finding[] {
  const kind = kindOf(constraint);
  if (kind === undefined) return [];
  const index = constraint.indexname === undefined ? undefined : findIndex(schema, constraint.indexname);
  const columns = index?.columns ?? columnsOf(constraint);
  return [...narrows(schema, table, kind, columns, constraint.conname), ...readsAll(table, kind, constraint)];
}

/** Whether rows that the old version writes may break it. */
function narrows(
  schema: KnownSchema,
  table: KnownTable,
  kind: ConstraintKind,
  columns: string[],
  name?: string,
): Finding[] {
  if (onNewColumns(table, kind, columns) || isProven(schema, table, kind, columns)) return [];
  const effect =
    kind === 'foreign'
      ? 'replicated rows are not checked, so rows that break it stay'
      : 'such a row stops the replication';
  const why = `${called[kind]} is added to ${table.name}, and a row that the old version writes later may break it: ${effect}`;
  const instead = `let every version keep it first, then ${inContract}`;
  const replaces = table.dropped.some(
    (before) => before.name === name || (before.kind === kind && before.columns.join() === columns.join()),
  );
  return [
    replaces
      ? mayBreakOldVersion(`${why}. It takes the place of one that was dropped`, instead)
      : breaksOldVersion(why, instead),
  ];
}

const isKey = (kind: ConstraintKind): boolean => kind === 'unique' || kind === 'primary';

/** A row of the old version has null or the default there; only a default that has to be unique is a problem. */
const onNewColumns = (table: KnownTable, kind: ConstraintKind, columns: string[]): boolean =>
  columns.length > 0 &&
  columns.every((name) => {
    const column = table.columns.get(name);
    return column?.isNew === true && !(isKey(kind) && column.hasDefault) && kind !== 'primary';
  });

/** Whether another key of the live side rules out what a new key would. */
function isProven(schema: KnownSchema, table: KnownTable, kind: ConstraintKind, columns: string[]): boolean {
  if (!isKey(kind)) return false;
  if (kind === 'primary' && !columns.every((name) => table.columns.get(name)?.notNull === true)) return false;
  const keys = [
    ...[...table.constraints.values()].filter(({ kind }) => isKey(kind)),
    ...[...schema.indexes.values()].filter((index) => index.unique && index.table === table.name),
  ].filter(({ isNew }) => !isNew);
  return keys.some((key) => key.columns.length > 0 && key.columns.every((column) => columns.includes(column)));
}

function readsAll(table: KnownTable, kind: ConstraintKind, constraint: Constraint): Finding[] {
  if (constraint.skip_validation === true || constraint.indexname !== undefined) return [];
  if (kind === 'check' || kind === 'foreign')
    return [
      longLock(
        `all rows of ${table.name} are read to see that none breaks it`,
        'add it NOT VALID, and VALIDATE CONSTRAINT in a later file',
      ),
    ];
  return [longLock(`an index over all rows of ${table.name} is made for it`, 'put it into a file of its own')];
}

export function judgeValidated(table: KnownTable, name: string, file: string): Finding[] {
  if (table.constraints.get(name)?.file !== file) return [];
  return [
    longLock(
      `all rows of ${table.name} are read while the lock of the ADD CONSTRAINT before it is held`,
      'VALIDATE CONSTRAINT in a file of its own',
    ),
  ];
}

export function judgeDroppedConstraint(table: KnownTable, name: string): Finding[] {
  const constraint = table.constraints.get(name);
  if (constraint?.isNew === true) return [];
  // As PostgreSQL names primary keys.
  const isPrimary = constraint?.kind === 'primary' || (constraint === undefined && /_pkey$/.test(name));
  if (isPrimary)
    return [
      lasting(
        breaksReplication(
          `the primary key of ${table.name} is dropped, by which the replication finds its rows`,
          'keep it in this release; give the table its new key first, and drop the old one in a contract file',
        ),
      ),
    ];
  const what = constraint === undefined ? `the constraint ${name}` : called[constraint.kind];
  if (constraint?.kind === 'check') return [loosensBoth(`${what} of ${table.name} is dropped`)];
  if (constraint?.kind === 'foreign')
    return [
      loosens(
        `${what} of ${table.name} is dropped: from the flip on it is NOT VALID on the old side, as rows that break it may go back`,
        nextRelease,
      ),
    ];
  return [
    loosens(
      `${what} of ${table.name} is dropped: after the cutover a row that breaks it does not fit the old table, and the way back ends there`,
      nextRelease,
    ),
  ];
}

export function judgeIndex(schema: KnownSchema, table: KnownTable, index: IndexStmt): Finding[] {
  const { unique = false, indexParams = [], whereClause, idxname } = index;
  const columns = indexParams.map((param) => ('IndexElem' in param ? (param.IndexElem.name ?? '') : ''));
  const exact = whereClause === undefined && !columns.includes('');
  return [
    ...(unique ? narrows(schema, table, 'unique', exact ? columns : [], idxname) : []),
    longLock(`an index over all rows of ${table.name} is made`, 'put it into a file of its own'),
  ];
}

const findIndex = (schema: KnownSchema, name: string): KnownIndex | undefined =>
  schema.indexes.get(schema.resolve(name, schema.indexes.keys()));

export function judgeDroppedIndex(schema: KnownSchema, name: string): Finding[] {
  const index = findIndex(schema, name);
  if (index?.isNew === true) return [];
  const short = name.split('.').at(-1);
  if ([...schema.tables.values()].some(({ identityIndex }) => identityIndex === short))
    return [
      lasting(
        breaksReplication(
          `the index ${name} is the replica identity of its table, by which the replication finds rows`,
          'set another replica identity in an earlier release',
        ),
      ),
    ];
  if (index !== undefined && !index.unique) return [];
  const what = index === undefined ? `the index ${name}, if it is unique,` : `the unique index ${name}`;
  return [loosens(`${what} is dropped: after the cutover rows that are double do not fit the old table`, nextRelease)];
}
