import type { DropStmt, Node, RenameStmt } from 'libpg-query';
import {
  breaksOldVersion,
  inContract,
  loosensBoth,
  longLock,
  mayBreakOldVersion,
  sideBySide,
  type Finding,
} from './findings.ts';
import { judgeDroppedIndex } from './judge-constraint.ts';
import type { KnownSchema } from './known-schema.ts';
import { droppedNames } from './definitions.ts';
import { nameOf, stringsOf } from './tree.ts';

/** Judges what drops, renames and changes whole objects. */

const objectKinds: Record<string, string | undefined> = {
  OBJECT_VIEW: 'view',
  OBJECT_MATVIEW: 'view',
  OBJECT_FUNCTION: 'function',
  OBJECT_PROCEDURE: 'function',
  OBJECT_ROUTINE: 'function',
  OBJECT_TYPE: 'type',
  OBJECT_DOMAIN: 'type',
  OBJECT_SEQUENCE: 'sequence',
  OBJECT_TRIGGER: 'trigger',
  OBJECT_RULE: 'rule',
  OBJECT_POLICY: 'policy',
  OBJECT_SCHEMA: 'schema',
  OBJECT_EXTENSION: 'extension',
  OBJECT_FOREIGN_TABLE: 'foreign table',
};
/** The old version does not name these: whether it needs them only a test shows. */
const unnamed = new Set(['function', 'trigger', 'rule', 'policy']);

export function judgeDrop(schema: KnownSchema, drop: DropStmt, made: ReadonlySet<string>): Finding[] {
  const { removeType, missing_ok: ifExists = false } = drop;
  return droppedNames(drop).flatMap((parts) => {
    const name = parts.join('.');
    if (removeType === 'OBJECT_INDEX') return judgeDroppedIndex(schema, name);
    const instead = `stop using it in this version, and drop it in a contract file`;
    if (removeType === 'OBJECT_TABLE') {
      if (schema.isNewTable(name)) return [];
      const why = `the table ${name} is gone, and the old version uses it: its rows cannot be replicated any more`;
      return [ifExists && !schema.hasTable(name) ? mayBreakOldVersion(why, instead) : breaksOldVersion(why, instead)];
    }
    const kind = objectKinds[removeType ?? ''];
    if (kind === undefined) return [];
    const own = kind === 'trigger' || kind === 'rule' || kind === 'policy' ? (parts.at(-1) ?? '') : name;
    if (schema.isNewObject(kind, own)) return [];
    const why = `the ${kind} ${own} is gone, and the old version may use it`;
    const inDoubt =
      unnamed.has(kind) || made.has(`${kind} ${own}`) || (ifExists && !schema.objects.has(schema.objectKey(kind, own)));
    return [inDoubt ? mayBreakOldVersion(why, instead) : breaksOldVersion(why, instead)];
  });
}

/** Nobody asks for these by name. */
const renamedFreely = new Set([
  'OBJECT_INDEX',
  'OBJECT_TABCONSTRAINT',
  'OBJECT_DOMCONSTRAINT',
  'OBJECT_TRIGGER',
  'OBJECT_POLICY',
  'OBJECT_RULE',
]);

export function judgeRename(
  schema: KnownSchema,
  { renameType, relation, object, subname, newname }: RenameStmt,
): Finding[] {
  if (renamedFreely.has(renameType ?? '')) return [];
  const name = relation === undefined ? '' : nameOf(relation);
  if (relation !== undefined && (schema.isNewTable(name) || schema.isNewObject('view', name))) return [];
  if (renameType === 'OBJECT_COLUMN' && schema.table(name).columns.get(subname ?? '')?.isNew === true) return [];
  const items = object !== undefined && 'List' in object ? stringsOf(object.List.items).join('.') : '';
  if (items !== '' && schema.isNewObject('type', items)) return [];
  const old = [name || items, subname].filter(Boolean).join('.');
  return [
    breaksOldVersion(
      `${old || 'something'} is called ${newname ?? ''} from here on, and the old version and the replication ask for the old name`,
      sideBySide,
    ),
  ];
}

export function judgeTypes(schema: KnownSchema, node: Node): Finding[] {
  if ('AlterEnumStmt' in node) {
    const { typeName, oldVal, newVal = '' } = node.AlterEnumStmt;
    const type = stringsOf(typeName).join('.');
    if (schema.isNewObject('type', type)) return [];
    if (oldVal !== undefined)
      return [
        breaksOldVersion(
          `the value ${oldVal} of ${type} is called ${newVal}, and the old version writes ${oldVal}`,
          sideBySide,
        ),
      ];
    return [loosensBoth(`${type} takes the value ${newVal}`)];
  }
  if (!('AlterDomainStmt' in node)) return [];
  const { subtype, typeName } = node.AlterDomainStmt;
  const domain = stringsOf(typeName).join('.');
  if (schema.isNewObject('type', domain)) return [];
  if (subtype === 'O' || subtype === 'C')
    return [
      breaksOldVersion(
        `the domain ${domain} takes fewer values, and the old version may write others`,
        `let every version keep it first, then ${inContract}`,
      ),
    ];
  if (subtype === 'N' || subtype === 'X') return [loosensBoth(`the domain ${domain} takes more values`)];
  return [];
}

export function judgeOther(schema: KnownSchema, node: Node): Finding[] {
  if ('CreateStmt' in node && node.CreateStmt.partbound !== undefined) {
    const parents = (node.CreateStmt.inhRelations ?? []).flatMap((parent) =>
      'RangeVar' in parent ? [nameOf(parent.RangeVar)] : [],
    );
    return parents
      .filter((parent) => !schema.isNewTable(parent))
      .map((parent) => loosensBoth(`${parent} takes rows of a new partition`));
  }
  if ('DropOwnedStmt' in node)
    return [breaksOldVersion('DROP OWNED drops everything that a role owns', 'drop single objects in a contract file')];
  if ('ReindexStmt' in node || 'ClusterStmt' in node)
    return [longLock('a table or its indexes are written anew', 'leave it to the administrator, outside of a release')];
  return [];
}
