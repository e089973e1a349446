import type { Node, RangeVar } from 'libpg-query';
import { breaksReplication, changesRows, lasting, longLock, mayBreakReplication, type Finding } from './findings.ts';
import type { KnownSchema } from './known-schema.ts';
import { functionsIn, nameOf, walk } from './tree.ts';

/** Judges statements that change rows, and settings that change how they are replicated. */

const writing = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']);
const keepInStep =
  'fill only columns that are new in this version, and let a trigger that is enabled ALWAYS fill them in rows that arrive later';

export function judgeRows(schema: KnownSchema, node: Node): Finding[] {
  if ('TruncateStmt' in node) {
    const tables = (node.TruncateStmt.relations ?? []).flatMap((relation) =>
      'RangeVar' in relation && !schema.isNewTable(nameOf(relation.RangeVar)) ? [nameOf(relation.RangeVar)] : [],
    );
    return tables.map((table) =>
      breaksReplication(
        `TRUNCATE empties ${table}, to which rows of the live side are replicated: both differ from then on`,
        'leave the rows, or empty it in a contract file',
      ),
    );
  }
  if ('CopyStmt' in node && node.CopyStmt.is_from === true && node.CopyStmt.relation !== undefined)
    return inserted(schema, nameOf(node.CopyStmt.relation));
  if ('DoStmt' in node) return doneByCode(bodyOf(node));
  if ('CallStmt' in node)
    return [
      changesRows(
        'a procedure is called, and what it changes is not seen',
        `write its statements into the file. ${keepInStep}`,
      ),
    ];
  if ('LockStmt' in node)
    return (node.LockStmt.relations ?? []).flatMap((relation) =>
      'RangeVar' in relation && !schema.isNewTable(nameOf(relation.RangeVar))
        ? [longLock(`LOCK TABLE ${nameOf(relation.RangeVar)} holds the lock until the file ends`, 'leave it out')]
        : [],
    );
  return [...writes(schema, node), ...calls(schema, node), ...settings(node)];
}

/** INSERT, UPDATE, DELETE and MERGE, also inside of WITH. */
function writes(schema: KnownSchema, node: Node): Finding[] {
  // The body of a function or a rule runs later, if ever.
  if (!['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt', 'SelectStmt'].some((kind) => kind in node)) return [];
  const found: Finding[] = [];
  walk(node, (kind, content) => {
    if (!writing.has(kind) || content['relation'] === undefined) return;
    const name = nameOf(content['relation'] as RangeVar);
    if (schema.isNewTable(name) || name.startsWith('pg_temp.')) return;
    if (kind === 'InsertStmt') found.push(...inserted(schema, name));
    else if (kind === 'UpdateStmt') found.push(...updated(schema, name, content['targetList'] as Node[] | undefined));
    else
      found.push(
        changesRows(
          `${kind === 'DeleteStmt' ? 'DELETE' : 'MERGE'} changes rows of ${name} that the live side has and changes, too`,
          'leave the rows, or change them in a contract file',
        ),
      );
  });
  return found;
}

function inserted(schema: KnownSchema, name: string): Finding[] {
  if (schema.isNewTable(name)) return [];
  return [
    changesRows(
      `rows are added to ${name} that the live side does not have: a row that it adds with the same key stops the replication`,
      'let the new version add them after the cutover, or take keys that the live side never gives',
    ),
  ];
}

function updated(schema: KnownSchema, name: string, targets: Node[] = []): Finding[] {
  const table = schema.table(name);
  const columns = targets.map((target) => ('ResTarget' in target ? (target.ResTarget.name ?? '') : ''));
  if (!columns.every((column) => table.columns.get(column)?.isNew === true))
    return [
      changesRows(
        `UPDATE changes columns of ${name} that the live side writes, too: its next UPDATE of such a row overwrites them`,
        keepInStep,
      ),
    ];
  if (table.alwaysFires) return [];
  return [
    changesRows(
      `UPDATE fills new columns of ${name}, and rows that the live side adds or changes afterwards are not filled`,
      'add a trigger that fills them, and enable it ALWAYS before the UPDATE',
    ),
  ];
}

function bodyOf(node: Extract<Node, { DoStmt: unknown }>): string {
  for (const argument of node.DoStmt.args ?? []) {
    if (!('DefElem' in argument) || argument.DefElem.defname !== 'as') continue;
    const { arg } = argument.DefElem;
    if (arg !== undefined && 'String' in arg) return arg.String.sval ?? '';
  }
  return '';
}

const rowWords = /\b(insert\s+into|update\s+\S+\s+set|delete\s+from|merge\s+into|truncate|execute|call|copy)\b/i;
const schemaWords =
  /\b(alter\s+(table|type|domain)|drop\s+(table|column|type|view|schema|index|constraint)|create\s+unique)\b/i;

/** A DO block is code: what it does depends on what it finds. */
function doneByCode(body: string): Finding[] {
  const text = body.replaceAll(/--[^\n]*|\/\*[\s\S]*?\*\//g, ' ');
  const word = rowWords.exec(text)?.[0] ?? schemaWords.exec(text)?.[0];
  if (word === undefined) return [];
  return [
    changesRows(
      `a DO block contains "${word.replaceAll(/\s+/g, ' ')}", and what it changes is not seen`,
      `write plain statements where that is possible. ${keepInStep}`,
    ),
  ];
}

/** Functions of the application that are called, and may change anything. */
function calls(schema: KnownSchema, node: Node): Finding[] {
  if (!('SelectStmt' in node)) return [];
  const known = functionsIn(node).find((name) => schema.objects.has(schema.objectKey('function', name)));
  if (known === undefined) return [];
  return [
    changesRows(
      `the function ${known} is called, and what it changes is not seen`,
      `write its statements into the file. ${keepInStep}`,
    ),
  ];
}

const roleSetting = 'session_replication_role';

/** `SET session_replication_role`, also by set_config or for a role: triggers and foreign keys no longer fire. */
function settings(node: Node): Finding[] {
  let found = false;
  walk(node, (kind, content) => {
    if (kind === 'VariableSetStmt' || kind === 'setstmt') found ||= content['name'] === roleSetting;
    if (kind === 'FuncCall') found ||= functionsIn({ FuncCall: content })[0] === 'set_config' && names(content);
  });
  const inRole = ['AlterRoleSetStmt', 'AlterDatabaseSetStmt', 'AlterSystemStmt'].some(
    (kind) => kind in node && JSON.stringify(node).includes(`"name":"${roleSetting}"`),
  );
  if (found || inRole)
    return [
      breaksReplication(
        `${roleSetting} switches triggers and foreign keys off, so that rows are changed that no trigger sees`,
        'leave it out',
      ),
    ];
  if ('CreatePublicationStmt' in node || 'AlterPublicationStmt' in node)
    return [
      mayBreakReplication(
        'a publication of its own makes PostgreSQL refuse UPDATE and DELETE of tables without a key',
        'see that every published table has a primary key',
      ),
    ].map(lasting);
  return [];
}

const names = (content: Record<string, unknown>): boolean =>
  JSON.stringify(content['args'] ?? []).includes(`"sval":"${roleSetting}"`);
