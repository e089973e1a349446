import type { AlterTableCmd, ColumnDef, Constraint, CreateStmt, DropStmt, Node, RenameStmt } from 'libpg-query';
import { columnFrom, columnsOf, constraintsOf, droppedNames, kindOf, madeBy, notNullOf } from './definitions.ts';
import {
  newTable,
  type ConstraintKind,
  type KnownColumn,
  type KnownConstraint,
  type KnownSchema,
  type KnownTable,
  type Place,
} from './known-schema.ts';
import { nameOf, typeOf } from './tree.ts';

/** Where a statement stands, and whether it is still to be applied. */
export interface Origin extends Place {
  pending: boolean;
}

/** As PostgreSQL names constraints that have no name: https://www.postgresql.org/docs/18/sql-createtable.html */
const suffixes: Record<ConstraintKind, string> = {
  check: 'check',
  unique: 'key',
  primary: 'pkey',
  foreign: 'fkey',
  exclusion: 'excl',
};

/** Takes note of what a statement makes, changes and drops. */
export function learn(schema: KnownSchema, node: Node, origin: Origin): void {
  if ('CreateStmt' in node) return learnTable(schema, node.CreateStmt, origin);
  if ('CreateSchemaStmt' in node) {
    const { schemaname = '', schemaElts = [] } = node.CreateSchemaStmt;
    const { home } = schema;
    schema.home = schemaname;
    for (const element of schemaElts) learn(schema, element, origin);
    schema.home = home;
    schema.objects.set(`schema ${schemaname}`, origin.pending);
  }
  if ('VariableSetStmt' in node && node.VariableSetStmt.name === 'search_path') {
    const [first] = node.VariableSetStmt.args ?? [];
    schema.home = (first !== undefined && 'A_Const' in first && first.A_Const.sval?.sval) || 'public';
  }
  if ('CreateTableAsStmt' in node && node.CreateTableAsStmt.into?.rel !== undefined)
    return learnSelected(schema, nameOf(node.CreateTableAsStmt.into.rel), origin, node.CreateTableAsStmt.objtype);
  if ('SelectStmt' in node && node.SelectStmt.intoClause?.rel !== undefined)
    return learnSelected(schema, nameOf(node.SelectStmt.intoClause.rel), origin, 'OBJECT_TABLE');
  if ('AlterTableStmt' in node) {
    const { relation, cmds = [], objtype } = node.AlterTableStmt;
    if (relation === undefined || objtype !== 'OBJECT_TABLE') return;
    for (const command of cmds)
      if ('AlterTableCmd' in command) learnCommand(schema, nameOf(relation), command.AlterTableCmd, origin);
  }
  if ('IndexStmt' in node && node.IndexStmt.relation !== undefined) {
    const { idxname, relation, unique = false, indexParams = [], whereClause } = node.IndexStmt;
    const table = schema.table(nameOf(relation));
    const columns = indexParams.map((param) => ('IndexElem' in param ? (param.IndexElem.name ?? '') : ''));
    const whole = whereClause === undefined && !columns.includes('');
    const name = `${table.name.split('.')[0]}.${idxname ?? ''}`;
    schema.indexes.set(name, { table: table.name, unique, columns: whole ? columns : [], isNew: origin.pending });
  }
  if ('RenameStmt' in node) learnRename(schema, node.RenameStmt);
  if ('DropStmt' in node) learnDrop(schema, node.DropStmt);
  const made = madeBy(node);
  if (made !== undefined && !schema.objects.has(schema.objectKey(...made)))
    schema.objects.set(schema.objectKey(...made), origin.pending);
}

function learnTable(schema: KnownSchema, { relation, tableElts = [], ...rest }: CreateStmt, origin: Origin): void {
  if (relation === undefined) return;
  const persistences = { t: 'temporary', u: 'unlogged' } as const;
  const isPartition = rest.partbound !== undefined;
  const name = relation.schemaname === undefined ? `${schema.home}.${relation.relname}` : nameOf(relation);
  if (schema.tables.has(name)) return;
  const table = newTable(name, {
    isNew: origin.pending,
    // A partition has the key of its parent.
    keyed: isPartition,
    made: { file: origin.file, line: origin.line },
    persistence: persistences[relation.relpersistence as 't' | 'u'] ?? 'permanent',
  });
  schema.tables.set(name, table);
  for (const element of tableElts) {
    if ('ColumnDef' in element) addColumn(table, element.ColumnDef, origin);
    if ('Constraint' in element) addConstraint(table, element.Constraint, origin);
    if ('TableLikeClause' in element) table.keyed = true;
  }
}

function learnSelected(schema: KnownSchema, name: string, origin: Origin, kind: string | undefined): void {
  if (kind === 'OBJECT_MATVIEW') {
    schema.objects.set(schema.objectKey('view', name), origin.pending);
    return;
  }
  const full = name.includes('.') ? name : `${schema.home}.${name}`;
  if (schema.tables.has(full)) return;
  schema.tables.set(full, newTable(full, { isNew: origin.pending, keyed: false, made: origin }));
}

function addColumn(table: KnownTable, definition: ColumnDef, origin: Origin): void {
  const name = definition.colname ?? '';
  table.columns.set(name, columnFrom(definition, origin.pending));
  for (const constraint of constraintsOf(definition)) addConstraint(table, constraint, origin, name);
}

function addConstraint(table: KnownTable, constraint: Constraint, origin: Origin, column?: string): void {
  const kind = kindOf(constraint);
  if (kind === undefined) return;
  const columns = columnsOf(constraint, column);
  const short = table.name.split('.')[1] ?? table.name;
  const base = kind === 'primary' ? short : [short, ...(kind === 'check' ? columns.slice(0, 1) : columns)].join('_');
  const notNull = notNullOf(constraint);
  const known: KnownConstraint = {
    kind,
    columns,
    isNew: origin.pending,
    validated: constraint.skip_validation !== true,
    file: origin.file,
    ...(notNull === undefined ? {} : { notNullOf: notNull }),
  };
  table.constraints.set(constraint.conname ?? `${base}_${suffixes[kind]}`, known);
  if (kind !== 'primary') return;
  table.keyed = true;
  for (const name of columns) {
    const key = table.columns.get(name);
    if (key !== undefined) key.notNull = true;
  }
}

function learnCommand(
  schema: KnownSchema,
  tableName: string,
  { subtype, name = '', def }: AlterTableCmd,
  origin: Origin,
): void {
  const table = schema.table(tableName);
  const column = table.columns.get(name);
  const change = (to: Partial<KnownColumn>): void => {
    if (column !== undefined) Object.assign(column, to);
  };
  switch (subtype) {
    case 'AT_AddColumn':
      if (def !== undefined && 'ColumnDef' in def && !table.columns.has(def.ColumnDef.colname ?? ''))
        addColumn(table, def.ColumnDef, origin);
      return;
    case 'AT_DropColumn':
      table.columns.delete(name);
      return;
    case 'AT_AlterColumnType':
      if (def !== undefined && 'ColumnDef' in def && def.ColumnDef.typeName !== undefined)
        change({ type: typeOf(def.ColumnDef.typeName) });
      return;
    case 'AT_SetNotNull':
      return change({ notNull: true });
    case 'AT_DropNotNull':
      return change({ notNull: false });
    case 'AT_ColumnDefault':
      return change({ hasDefault: def !== undefined });
    case 'AT_AddConstraint':
      if (def !== undefined && 'Constraint' in def) addConstraint(table, def.Constraint, origin);
      return;
    case 'AT_ValidateConstraint': {
      const constraint = table.constraints.get(name);
      if (constraint !== undefined) constraint.validated = true;
      return;
    }
    case 'AT_DropConstraint': {
      const { kind = 'check', columns = [] } = table.constraints.get(name) ?? {};
      if (origin.pending) table.dropped.push({ name, kind, columns });
      table.constraints.delete(name);
      return;
    }
    case 'AT_ReplicaIdentity':
      if (def === undefined || !('ReplicaIdentityStmt' in def)) return;
      table.keyed = def.ReplicaIdentityStmt.identity_type !== 'n';
      if (def.ReplicaIdentityStmt.name !== undefined) table.identityIndex = def.ReplicaIdentityStmt.name;
      return;
    case 'AT_EnableAlwaysTrig':
      table.alwaysFires ||= schema.isNewObject('trigger', name);
      return;
    default:
  }
}

function learnRename(schema: KnownSchema, { renameType, relation, subname = '', newname = '' }: RenameStmt): void {
  if (relation === undefined || !['OBJECT_TABLE', 'OBJECT_COLUMN', 'OBJECT_TABCONSTRAINT'].includes(renameType ?? ''))
    return;
  const table = schema.table(nameOf(relation));
  if (renameType === 'OBJECT_TABLE') {
    schema.tables.delete(table.name);
    table.name = `${table.name.split('.')[0]}.${newname}`;
    schema.tables.set(table.name, table);
    return;
  }
  const members: Map<string, unknown> = renameType === 'OBJECT_COLUMN' ? table.columns : table.constraints;
  const member = members.get(subname);
  members.delete(subname);
  if (member !== undefined) members.set(newname, member);
}

function learnDrop(schema: KnownSchema, drop: DropStmt): void {
  for (const parts of droppedNames(drop)) {
    const name = parts.join('.');
    if (drop.removeType === 'OBJECT_TABLE') schema.tables.delete(schema.resolve(name));
    if (drop.removeType !== 'OBJECT_INDEX') continue;
    const index = schema.indexes.get(schema.resolve(name, schema.indexes.keys()));
    if (index?.unique === true)
      schema.tables
        .get(index.table)
        ?.dropped.push({ name: parts.at(-1) ?? '', kind: 'unique', columns: index.columns });
    schema.indexes.delete(schema.resolve(name, schema.indexes.keys()));
  }
}
