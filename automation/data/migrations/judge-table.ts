import type { AlterTableCmd, AlterTableStmt, Node } from 'libpg-query';
import {
  breaksReplication,
  inContract,
  lasting,
  longLock,
  mayBreakOldVersion,
  mayBreakReplication,
  sideBySide,
  type Finding,
} from './findings.ts';
import {
  judgeAddedColumn,
  judgeDefault,
  judgeDropNotNull,
  judgeDroppedColumn,
  judgeSetNotNull,
  judgeType,
} from './judge-column.ts';
import { judgeAddedConstraint, judgeDroppedConstraint, judgeValidated } from './judge-constraint.ts';
import type { KnownSchema, KnownTable } from './known-schema.ts';
import type { Statement } from './statements.ts';
import { nameOf, stringsOf } from './tree.ts';

/** Judges ALTER TABLE, command by command. */

/** The file around a statement. */
export interface Around {
  file: string;
  /** What follows the statement. */
  later: readonly Statement[];
}

export function judgeAlter(
  schema: KnownSchema,
  { relation, cmds = [], objtype }: AlterTableStmt,
  around: Around,
): Finding[] {
  if (relation === undefined) return [];
  const name = nameOf(relation);
  if (objtype === 'OBJECT_TYPE') {
    if (schema.isNewObject('type', name)) return [];
    return [mayBreakOldVersion(`attributes of the type ${name} change, and the old version may use them`, sideBySide)];
  }
  if (objtype !== 'OBJECT_TABLE' || schema.isNewTable(name)) return judgeNewTable(schema, name, cmds);
  const table = schema.table(name);
  return cmds.flatMap((command) =>
    'AlterTableCmd' in command ? judgeCommand(schema, table, command.AlterTableCmd, around) : [],
  );
}

/** A table that only this version has can be anything, but what cannot be replicated matters to the next release. */
const judgeNewTable = (schema: KnownSchema, name: string, cmds: Node[]): Finding[] =>
  schema.isNewTable(name) &&
  cmds.some((command) => 'AlterTableCmd' in command && command.AlterTableCmd.subtype === 'AT_SetUnLogged')
    ? [lasting(mayBreakReplication(`${name} is unlogged, and its rows are not replicated`, 'leave it logged'))]
    : [];

function judgeCommand(schema: KnownSchema, table: KnownTable, command: AlterTableCmd, around: Around): Finding[] {
  const { subtype, name = '', def, missing_ok: ifExists = false } = command;
  switch (subtype) {
    case 'AT_AddColumn':
      return def !== undefined && 'ColumnDef' in def ? judgeAddedColumn(table, def.ColumnDef) : [];
    case 'AT_DropColumn':
      return judgeDroppedColumn(table, name, ifExists);
    case 'AT_AlterColumnType':
      return judgeType(table, command);
    case 'AT_SetNotNull':
      return judgeSetNotNull(table, name);
    case 'AT_DropNotNull':
      return judgeDropNotNull(table, name);
    case 'AT_ColumnDefault':
      return judgeDefault(table, command);
    case 'AT_AddConstraint': {
      if (def === undefined || !('Constraint' in def)) return [];
      const { contype, keys = [] } = def.Constraint;
      if (contype === 'CONSTR_NOTNULL') return stringsOf(keys).flatMap((column) => judgeSetNotNull(table, column));
      return judgeAddedConstraint(schema, table, def.Constraint);
    }
    case 'AT_ValidateConstraint':
      return judgeValidated(table, name, around.file);
    case 'AT_DropConstraint':
      return judgeDroppedConstraint(table, name);
    case 'AT_ReplicaIdentity':
      return judgeIdentity(table, command);
    case 'AT_DisableTrig':
    case 'AT_DisableTrigAll':
    case 'AT_DisableTrigUser':
    case 'AT_DisableRule':
      return judgeDisabled(table, name, around);
    case 'AT_AddIdentity':
    case 'AT_SetIdentity':
    case 'AT_DropIdentity':
      return [
        mayBreakOldVersion(
          `the identity of ${table.name}.${name} changes, and the old version may rely on it`,
          inContract,
        ),
      ];
    case 'AT_SetUnLogged':
      return [
        lasting(
          breaksReplication(
            `${table.name} becomes unlogged, and its rows are not replicated any more`,
            'leave it logged',
          ),
        ),
      ];
    case 'AT_SetLogged':
    case 'AT_SetTableSpace':
    case 'AT_SetAccessMethod':
    case 'AT_SetExpression':
      return [
        longLock(`the table ${table.name} is written anew`, 'put it into a file of its own, outside of busy hours'),
      ];
    case 'AT_EnableRowSecurity':
    case 'AT_ForceRowSecurity':
      return [
        mayBreakOldVersion(
          `row level security is switched on for ${table.name}, which hides every row from a version without a policy`,
          `make the policies in the same file, or ${inContract}`,
        ),
      ];
    case 'AT_AttachPartition':
      return [
        longLock(
          `all rows of the new partition of ${table.name} are read`,
          'give it a validated CHECK of its bounds before that',
        ),
      ];
    case 'AT_DetachPartition':
    case 'AT_DropInherit':
      return [mayBreakOldVersion(`rows leave ${table.name}, and the old version may use them`, inContract)];
    default:
      return [];
  }
}

function judgeIdentity(table: KnownTable, { def }: AlterTableCmd): Finding[] {
  if (def === undefined || !('ReplicaIdentityStmt' in def)) return [];
  const instead = 'keep the replica identity in this release';
  if (def.ReplicaIdentityStmt.identity_type === 'n')
    return [
      lasting(
        breaksReplication(
          `${table.name} has no replica identity any more: UPDATE and DELETE fail as soon as it is published`,
          instead,
        ),
      ),
    ];
  return [
    mayBreakReplication(`the replica identity of ${table.name} changes, by which the way back finds rows`, instead),
  ];
}

/** A trigger that the file enables again was off for the file alone. */
function judgeDisabled(table: KnownTable, trigger: string, { later }: Around): Finding[] {
  const again = later.some(
    ({ node }) =>
      node !== undefined &&
      'AlterTableStmt' in node &&
      node.AlterTableStmt.relation?.relname === table.name.split('.')[1] &&
      (node.AlterTableStmt.cmds ?? []).some(
        (command) => 'AlterTableCmd' in command && /^AT_Enable.*(Trig|Rule)/.test(command.AlterTableCmd.subtype ?? ''),
      ),
  );
  const what = trigger === '' ? 'triggers' : trigger;
  const why = `${what} of ${table.name} no longer fires, also not for rows that arrive by replication`;
  return again
    ? [mayBreakReplication(`${why}, until the file enables it again`, 'see that a trigger that was ALWAYS is so again')]
    : [breaksReplication(why, 'drop the trigger in a contract file')];
}
