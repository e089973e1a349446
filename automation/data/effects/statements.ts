import { compareObjects, type ObjectDifference } from '../objects/compare.ts';
import { objectStatements, type Said } from './object-statements.ts';
import { CatalogView, columnSql, parentIn } from './catalog-view.ts';
import type { Look } from './look.ts';

/**
 * What a migration did, written as the statements that do it: so that what is seen is judged by the very rules that judge SQL files.
 */
export interface Written {
  /** What was there before, of the tables that are named in `changes`. */
  known: string[];
  /** By the object that they are about: a table, or what belongs to no table. */
  changes: Map<string, string[]>;
  /** What no statement of a file is judged for: it is named, as nobody has read the statement. */
  others: ObjectDifference[];
}

/** Pure. Both looks are at the same database. */
export function writeStatements(before: Look, after: Look): Written {
  const [old, now] = [new CatalogView(before), new CatalogView(after)];
  const changes = new Map<string, string[]>();
  const say: Said = (object, ...statements) => {
    if (statements.length > 0) changes.set(object, [...(changes.get(object) ?? []), ...statements]);
  };
  const byId = new Map([...after.tables].map(([name, { id }]) => [id, name]));
  const kept = new Set<string>();
  for (const [table, { id }] of before.tables) {
    const name = byId.get(id);
    if (name === undefined) say(table, `DROP TABLE ${table}`);
    else if (name !== table) say(table, renamed(table, name));
    else kept.add(table);
  }
  for (const table of kept) say(table, ...tableChanges(old, now, table));
  const ids = new Set([...before.tables.values()].map(({ id }) => id));
  for (const [table, { id }] of after.tables) if (!ids.has(id)) say(table, ...now.creation(table));
  const differences = compareObjects(before.objects, after.objects).filter((one) => !ofTables(one, before, after));
  const others = objectStatements(differences, { old, now, kept }, say);
  return {
    known: [...changes.keys()].flatMap((table) => (before.tables.has(table) ? old.creation(table) : [])),
    changes,
    others: [...others, ...[...kept].flatMap((table) => unsaid(old, now, table))],
  };
}

/** Said above. */
const ofTables = ({ kind, name }: ObjectDifference, before: Look, after: Look): boolean =>
  kind === 'table' || (kind === 'column' && [before, after].some(({ tables }) => tables.has(tableOfColumn(name))));

const tableOfColumn = (name: string): string => name.slice(0, name.lastIndexOf('.'));

const renamed = (from: string, to: string): string => {
  const [schema, name] = [to.slice(0, to.indexOf('.')), to.slice(to.indexOf('.') + 1)];
  return from.startsWith(`${schema}.`)
    ? `ALTER TABLE ${from} RENAME TO ${name}`
    : `ALTER TABLE ${from} SET SCHEMA ${schema}`;
};

function tableChanges(old: CatalogView, now: CatalogView, table: string): string[] {
  return [...columnChanges(old, now, table), ...optionChanges(old, now, table)];
}

function columnChanges(old: CatalogView, now: CatalogView, table: string): string[] {
  const [before, after] = [old.columns(table), now.columns(table)];
  const alter = `ALTER TABLE ${table}`;
  const parent = parentIn(old.lines('table', table));
  return [
    ...before.flatMap(({ id, name, definition }) => {
      const same = after.find((column) => column.id === id);
      const isInherited = /^inherited$/m.test(definition);
      // What a partition inherits, its parent says.
      if (same?.name !== name && isInherited) return [];
      if (same === undefined) return [`${alter} DROP COLUMN ${name}`];
      if (same.name !== name) return [`${alter} RENAME COLUMN ${name} TO ${same.name}`];
      const said = isInherited && parent !== undefined ? changesOf(old, now, parent, name) : [];
      return alterations(definition, same.definition)
        .filter((change) => !said.includes(change))
        .map((change) => `${alter} ALTER COLUMN ${name} ${change}`);
    }),
    ...after.flatMap(({ id, name, definition }) =>
      before.some((column) => column.id === id) || /^inherited$/m.test(definition)
        ? []
        : [`${alter} ADD COLUMN ${name} ${columnSql(definition)}`],
    ),
  ];
}

function changesOf(old: CatalogView, now: CatalogView, table: string, column: string): string[] {
  const [before, after] = [old, now].map((view) => view.columns(table).find(({ name }) => name === column)?.definition);
  return before === undefined || after === undefined ? [] : alterations(before, after);
}

/** What ALTER COLUMN says, with any default in place of the real one. */
function alterations(before: string, after: string): string[] {
  if (before === after) return [];
  const typeOf = (definition: string): string => definition.split('\n')[0] ?? '';
  const has = (definition: string, line: RegExp): boolean => line.test(definition);
  const turned = (line: RegExp, on: string, off: string): string[] =>
    has(before, line) === has(after, line) ? [] : [has(after, line) ? on : off];
  return [
    ...(typeOf(before) === typeOf(after) ? [] : [`TYPE ${typeOf(after)}`]),
    ...turned(/^DEFAULT /m, 'SET DEFAULT 0', 'DROP DEFAULT'),
    ...turned(/^NOT NULL$/m, 'SET NOT NULL', 'DROP NOT NULL'),
    ...turned(/^IDENTITY /m, 'ADD GENERATED BY DEFAULT AS IDENTITY', 'DROP IDENTITY'),
    ...(has(before, /^IDENTITY a$/m) && has(after, /^IDENTITY d$/m) ? ['SET GENERATED BY DEFAULT'] : []),
    ...(has(before, /^IDENTITY d$/m) && has(after, /^IDENTITY a$/m) ? ['SET GENERATED ALWAYS'] : []),
  ];
}

/** What a table's definition says beside its columns. */
function optionChanges(old: CatalogView, now: CatalogView, table: string): string[] {
  const [before, after] = [old.lines('table', table), now.lines('table', table)];
  const [gone, come] = [before.filter((line) => !after.includes(line)), after.filter((line) => !before.includes(line))];
  const alter = `ALTER TABLE ${table}`;
  const identity = /^REPLICA IDENTITY (\w)$/;
  const found: string[] = [];
  for (const line of come) {
    const [, letter] = identity.exec(line) ?? [];
    if (letter !== undefined) found.push(`${alter} REPLICA IDENTITY ${letter === 'n' ? 'NOTHING' : 'FULL'}`);
    if (line === 'UNLOGGED') found.push(`${alter} SET UNLOGGED`);
    if (line === 'ROW LEVEL SECURITY') found.push(`${alter} ENABLE ROW LEVEL SECURITY`);
    if (line === 'FORCE ROW LEVEL SECURITY') found.push(`${alter} FORCE ROW LEVEL SECURITY`);
  }
  for (const line of gone) {
    if (identity.test(line) && !come.some((one) => identity.test(one))) found.push(`${alter} REPLICA IDENTITY DEFAULT`);
    const parent = parentIn([line]);
    if (parent !== undefined) found.push(`ALTER TABLE ${parent} DETACH PARTITION ${table}`);
  }
  return found;
}

/** Lines of a table that say nothing of its rows, or that have a statement where they come or go. */
const saidOfTables = {
  come: /^(USING|WITH|TOAST WITH|REPLICA IDENTITY|ROW LEVEL|FORCE ROW LEVEL) |^UNLOGGED$/,
  gone: /^(USING|WITH|TOAST WITH|REPLICA IDENTITY) |^UNLOGGED$/,
};

/** What is another one of a table and its columns, and has no statement that is judged: owner, parents, bounds, policies off; expression, collation. */
function unsaid(old: CatalogView, now: CatalogView, table: string): ObjectDifference[] {
  const [before, after] = [old.lines('table', table), now.lines('table', table)];
  const gone = before.filter((line) => !after.includes(line) && !saidOfTables.gone.test(line));
  const come = after.filter((line) => !before.includes(line) && !saidOfTables.come.test(line));
  const left = parentIn(gone);
  const isSaid =
    come.length === 0 && left !== undefined && gone.every((line) => parentIn([line]) === left || isBound(line));
  const columns = now.columns(table).flatMap(({ id, name, definition }): ObjectDifference[] => {
    const then = old.columns(table).find((column) => column.id === id);
    if (then === undefined) return [];
    const [was, is] = [then.definition, definition].map((text) =>
      (text.match(/^(COLLATE|GENERATED) .*$/gm) ?? []).join('; '),
    );
    return was === is ? [] : [{ kind: 'column', name: `${table}.${name}`, left: was ?? '', right: is ?? '' }];
  });
  if ((gone.length === 0 && come.length === 0) || isSaid) return columns;
  return [{ kind: 'table', name: table, left: gone.join('; '), right: come.join('; ') }, ...columns];
}

const isBound = (line: string): boolean => /^(FOR VALUES |DEFAULT$)/.test(line);
