import { splitColumn, type ObjectDifference } from '../objects/compare.ts';
import { creationOf, withoutMarks, type CatalogView, type Part } from './catalog-view.ts';

/** Notes statements about an object. */
export type Said = (object: string, ...statements: string[]) => void;

interface Views {
  old: CatalogView;
  now: CatalogView;
  /** Tables that are what they were, under the same name. */
  kept: ReadonlySet<string>;
}

/** What DROP calls them. */
const dropped: Record<string, string | undefined> = {
  view: 'VIEW',
  'materialized view': 'MATERIALIZED VIEW',
  'foreign table': 'FOREIGN TABLE',
  function: 'FUNCTION',
  procedure: 'PROCEDURE',
  type: 'TYPE',
  domain: 'DOMAIN',
  schema: 'SCHEMA',
  extension: 'EXTENSION',
  sequence: 'SEQUENCE',
};

/** Whoever changes these changes no behaviour of a version, or it is looked at elsewhere (rights: before anything is published). */
const unimportant = new Set([
  ...['comment', 'security label', 'statistics', 'column order', 'publication', 'subscription', 'replication slot'],
  ...['role', 'membership', 'default privileges', 'user mapping', 'database'],
]);
/** What is new of these changes what the old version may do, or what its writes cause. */
const felt = new Set(['trigger', 'rule', 'policy', 'event trigger', 'missing grant', 'setting']);

/** Says what belongs to kept tables, and what belongs to none. Gives the differences for which there is no statement. */
export function objectStatements(
  differences: readonly ObjectDifference[],
  views: Views,
  say: Said,
): ObjectDifference[] {
  const { old, now, kept } = views;
  for (const table of kept) say(table, ...partChanges(old.parts(table), now.parts(table), table));
  // An update of an extension replaces its functions, which say nothing more.
  const byExtension = differences.some(({ kind }) => kind === 'extension');
  return differences.flatMap((difference) => {
    const { kind, name, left, right } = difference;
    if (unimportant.has(kind) || (byExtension && /LANGUAGE c$/m.test(left ?? right ?? ''))) return [];
    // Of a composite type; the columns of a view follow from it.
    if (kind === 'column')
      return [old, now].every((view) => view.has('type', splitColumn(name).table)) ? [difference] : [];
    const table = tableOf(difference, views);
    if (table !== undefined) return kept.has(table) && isOther(kind, left, right) ? [difference] : [];
    if (kind === 'constraint') {
      const { table: domain, column } = splitColumn(name);
      if (left !== undefined) say(domain, `ALTER DOMAIN ${domain} DROP CONSTRAINT ${column}`);
      if (right !== undefined) say(domain, `ALTER DOMAIN ${domain} ADD CONSTRAINT ${column} CHECK (true)`);
      return [];
    }
    if (left === undefined) return felt.has(kind) ? [difference] : [];
    if (right !== undefined) return replaced(difference, left, right, say);
    // It goes with the column or the table that owns it.
    if (kind === 'sequence' && /^OWNED BY /m.test(left)) return [];
    const drop = dropped[kind];
    if (drop === undefined) return goneWithTable(name, views) ? [] : [difference];
    say(name, `DROP ${drop} ${name}`);
    return [];
  });
}

/** The table that the object belongs or belonged to. */
function tableOf({ kind, name }: ObjectDifference, { old, now }: Views): string | undefined {
  if (kind === 'index') return old.look.indexes.get(name) ?? now.look.indexes.get(name);
  const of = kind === 'constraint' ? splitColumn(name).table : name.slice(name.lastIndexOf(' on ') + ' on '.length);
  if (!['constraint', 'trigger', 'rule', 'policy'].includes(kind)) return undefined;
  return old.look.tables.has(of) || now.look.tables.has(of) ? of : undefined;
}

/** A trigger, rule or policy that came or is another one; those that went or were switched off have a statement. */
const isOther = (kind: string, left: string | undefined, right: string | undefined): boolean =>
  felt.has(kind) && right !== undefined && !(kind === 'trigger' && isSwitchedOff(left, right));

const goneWithTable = (name: string, { old, kept }: Views): boolean =>
  [...old.look.tables.keys()].some((table) => !kept.has(table) && name.includes(table));

function partChanges(before: readonly Part[], after: readonly Part[], table: string): string[] {
  const same =
    (part: Part) =>
    (other: Part): boolean =>
      other.kind === part.kind && essence(other) === essence(part);
  const gone = before.filter((part) => !after.some(same(part)));
  const come = after.filter((part) => !before.some(same(part)));
  const partner = (part: Part, among: readonly Part[]): Part | undefined =>
    among.find(({ kind, name }) => kind === part.kind && name === part.name);
  return [
    ...gone.flatMap((part) => {
      const now = partner(part, come);
      if (now === undefined) return drop(table, part);
      if (part.kind === 'constraint' && part.definition === `${now.definition} NOT VALID`) return [];
      if (part.kind === 'index' && withoutMarks(part.definition) === withoutMarks(now.definition))
        return now.definition.includes('replica identity') ? [] : [`ALTER TABLE ${table} REPLICA IDENTITY DEFAULT`];
      if (part.kind === 'trigger') return switched(table, part, now);
      return part.kind === 'constraint' || part.kind === 'index' ? drop(table, part) : [];
    }),
    ...come.flatMap((part) => {
      const then = partner(part, gone);
      if (part.kind === 'trigger' && then !== undefined) return [];
      if (part.kind === 'constraint' && then?.definition === `${part.definition} NOT VALID`)
        return [`ALTER TABLE ${table} VALIDATE CONSTRAINT ${part.name}`];
      if (
        part.kind === 'index' &&
        then !== undefined &&
        withoutMarks(then.definition) === withoutMarks(part.definition)
      )
        return creationOf(table, part).slice(part.definition.startsWith('CREATE ') ? 1 : 0);
      return creationOf(table, part);
    }),
  ];
}

/** Names of constraints and indexes are free, of the others they are what they go by. */
const essence = ({ kind, name, definition }: Part): string =>
  kind === 'constraint'
    ? withoutMarks(definition)
    : kind === 'index'
      ? definition.replace(/^(CREATE (?:UNIQUE )?INDEX )(?:"(?:[^"]|"")*"|\S+)/, '$1') +
        (definition.startsWith('CREATE') ? '' : name)
      : `${name} ${definition}`;

function drop(table: string, { kind, name, definition }: Part): string[] {
  if (kind === 'constraint')
    return /^inherited$/m.test(definition) ? [] : [`ALTER TABLE ${table} DROP CONSTRAINT ${name}`];
  if (kind === 'index')
    return definition.startsWith('CREATE ')
      ? [`DROP INDEX ${name}`]
      : definition.includes('replica identity')
        ? [`ALTER TABLE ${table} REPLICA IDENTITY DEFAULT`]
        : [];
  return name.startsWith('of constraint ') ? [] : [`DROP ${kind.toUpperCase()} ${name} ON ${table}`];
}

/** Whether it is the same trigger, which no longer fires. */
const isSwitchedOff = (left: string | undefined, right: string): boolean =>
  left !== undefined && withoutMarks(left) === withoutMarks(right) && /\nenabled: D$/.test(right);

const switched = (table: string, before: Part, after: Part): string[] =>
  isSwitchedOff(before.definition, after.definition) ? [`ALTER TABLE ${table} DISABLE TRIGGER ${before.name}`] : [];

/** An object that is there as another one. */
function replaced(difference: ObjectDifference, left: string, right: string, say: Said): ObjectDifference[] {
  const { kind, name } = difference;
  const labels = (text: string): string[] => {
    const line = text.split('\n').find((one) => one.startsWith('ENUM '));
    return line === undefined ? [] : [...line.matchAll(/'(?:[^']|'')*'/g)].map(([label]) => label);
  };
  if (kind === 'type' && labels(left).length > 0) {
    const [before, after] = [labels(left), labels(right)];
    const come = after.filter((label) => !before.includes(label));
    const gone = before.filter((label) => !after.includes(label));
    say(
      name,
      ...gone.map((label) => `ALTER TYPE ${name} RENAME VALUE ${label} TO ${come[0] ?? `'another'`}`),
      ...(gone.length > 0 ? [] : come.map((label) => `ALTER TYPE ${name} ADD VALUE ${label}`)),
    );
    return gone.length + come.length > 0 ? [] : [difference];
  }
  if (kind !== 'domain') return [difference];
  const base = (text: string): string => (text.split('\n')[1] ?? '').replace(/ (NOT NULL|DEFAULT .*)$/g, '');
  const [wasRequired, isRequired] = [left, right].map((text) => / NOT NULL/.test(text.split('\n')[1] ?? ''));
  if (base(left).split(' NOT NULL')[0] !== base(right).split(' NOT NULL')[0]) say(name, `DROP DOMAIN ${name}`);
  else if (wasRequired !== isRequired) say(name, `ALTER DOMAIN ${name} ${isRequired ? 'SET' : 'DROP'} NOT NULL`);
  return [];
}
