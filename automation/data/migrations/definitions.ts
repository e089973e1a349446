import type { ColumnDef, Constraint, DropStmt, Node } from 'libpg-query';
import type { ConstraintKind, KnownColumn } from './known-schema.ts';
import { columnsIn, nameOf, stringOf, stringsOf, typeOf } from './tree.ts';

/** What the parse tree of a definition says: columns, constraints, the objects that a statement makes or drops. */

const kinds: Record<string, ConstraintKind | undefined> = {
  CONSTR_CHECK: 'check',
  CONSTR_UNIQUE: 'unique',
  CONSTR_PRIMARY: 'primary',
  CONSTR_FOREIGN: 'foreign',
  CONSTR_EXCLUSION: 'exclusion',
};
export const kindOf = ({ contype }: Constraint): ConstraintKind | undefined => kinds[contype ?? ''];

/** The columns that a constraint is about. */
export function columnsOf(constraint: Constraint, of?: string): string[] {
  const { keys = [], fk_attrs: foreign = [], raw_expr: expression } = constraint;
  const named = [...stringsOf(keys), ...stringsOf(foreign), ...columnsIn(expression)];
  return named.length === 0 && of !== undefined ? [of] : [...new Set(named)];
}

/** The column of `CHECK (column IS NOT NULL)`. */
export function notNullOf({ raw_expr: expression }: Constraint): string | undefined {
  if (expression === undefined || !('NullTest' in expression)) return undefined;
  const { nulltesttype, arg } = expression.NullTest;
  return nulltesttype === 'IS_NOT_NULL' ? columnsIn(arg)[0] : undefined;
}

export const serial = /^(small|big)?serial\d?$/;

export const constraintsOf = ({ constraints = [] }: ColumnDef): Constraint[] =>
  constraints.flatMap((node) => ('Constraint' in node ? [node.Constraint] : []));

export function columnFrom(definition: ColumnDef, isNew: boolean): KnownColumn {
  const types = constraintsOf(definition).map(({ contype }) => contype);
  const type = definition.typeName && typeOf(definition.typeName);
  const filled = ['CONSTR_DEFAULT', 'CONSTR_IDENTITY', 'CONSTR_GENERATED'] as const;
  return {
    ...(type === undefined ? {} : { type }),
    notNull: types.includes('CONSTR_NOTNULL') || types.includes('CONSTR_PRIMARY') || types.includes('CONSTR_IDENTITY'),
    hasDefault: filled.some((kind) => types.includes(kind)) || serial.test(type?.name ?? ''),
    isNew,
  };
}

/** Kind and name of an object that is no table; functions go by their name alone. */
export function madeBy(node: Node): [kind: string, name: string] | undefined {
  if ('ViewStmt' in node && node.ViewStmt.view !== undefined) return ['view', nameOf(node.ViewStmt.view)];
  if ('CreateTableAsStmt' in node && node.CreateTableAsStmt.into?.rel !== undefined)
    return node.CreateTableAsStmt.objtype === 'OBJECT_MATVIEW'
      ? ['view', nameOf(node.CreateTableAsStmt.into.rel)]
      : undefined;
  if ('CreateFunctionStmt' in node) return ['function', stringsOf(node.CreateFunctionStmt.funcname).join('.')];
  if ('CreateEnumStmt' in node) return ['type', stringsOf(node.CreateEnumStmt.typeName).join('.')];
  if ('CompositeTypeStmt' in node && node.CompositeTypeStmt.typevar !== undefined)
    return ['type', nameOf(node.CompositeTypeStmt.typevar)];
  if ('CreateDomainStmt' in node) return ['type', stringsOf(node.CreateDomainStmt.domainname).join('.')];
  if ('CreateSeqStmt' in node && node.CreateSeqStmt.sequence !== undefined)
    return ['sequence', nameOf(node.CreateSeqStmt.sequence)];
  if ('CreateTrigStmt' in node) return ['trigger', node.CreateTrigStmt.trigname ?? ''];
  if ('RuleStmt' in node) return ['rule', node.RuleStmt.rulename ?? ''];
  if ('CreatePolicyStmt' in node) return ['policy', node.CreatePolicyStmt.policy_name ?? ''];
  if ('CreateExtensionStmt' in node) return ['extension', node.CreateExtensionStmt.extname ?? ''];
  return undefined;
}

/** Names of what is dropped, with schema where it is given; a trigger's has its table before it. */
export const droppedNames = ({ objects = [] }: DropStmt): string[][] =>
  objects.map((object) => {
    if ('List' in object) return stringsOf(object.List.items);
    if ('ObjectWithArgs' in object) return stringsOf(object.ObjectWithArgs.objname);
    if ('TypeName' in object) return stringsOf(object.TypeName.names);
    return [stringOf(object)];
  });
