import type { Comparison, NotRead } from '../data/comparison/everything.ts';
import { formatCount, plural } from '../journal/format.ts';
import { columns, type Cell } from './columns.ts';
import { oneLine, type Paint, type Tone } from './text.ts';

/** What `compare` shows. `left` and `right`: where the databases are, without a password. */
export interface Sides {
  left: string;
  right: string;
}

/** Most lines of one kind of difference; a schema that is missing would otherwise fill the terminal. */
const mostLines = 50;

export function renderComparison(found: Comparison, sides: Sides, paint: Paint): string {
  const head = (['left', 'right'] as const).map(
    (side) => `${paint('title', side.padEnd(5))}  ${oneLine(sides[side])}, PostgreSQL ${found.versions[side]}`,
  );
  const body = [
    ...section([head1(), ...found.tables.filter(({ equal }) => !equal).map(tableRow)], paint),
    ...section(found.sequences.different.map(sequenceRow), paint),
    ...section((found.catalog?.different ?? []).map(objectRow), paint),
    ...section(found.notRead.map(notReadRow), paint),
  ];
  const tone: Tone = found.verdict === 'equal' ? 'good' : found.verdict === 'different' ? 'bad' : 'warn';
  const verdict = [paint(tone, verdictOf(found)), `compared: ${scopeOf(found)}`, ...remarks(found)];
  return [head, body, verdict]
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

/** For programs: everything, under stable names. */
export const comparisonJson = (found: Comparison, sides: Sides): string => JSON.stringify({ sides, ...found }, null, 2);

const head1 = (): Cell[] => ['', 'table', 'left', 'right', ''].map((text) => ({ text, tone: 'soft' }));

function section(lines: Cell[][], paint: Paint): string[] {
  const [first] = lines;
  const headed = first?.[0]?.text === '';
  if (lines.length === (headed ? 1 : 0)) return [];
  const shown = lines.slice(0, mostLines);
  const more = lines.length - shown.length;
  return [...columns(shown, paint), ...(more === 0 ? [] : [`  and ${formatCount(more)} more (--json has all)`])];
}

const bad: Cell = { text: '✕', tone: 'bad' };

const tableRow = ({ table, rows, only, detail = '' }: Comparison['tables'][number]): Cell[] => [
  bad,
  { text: oneLine(table) },
  { text: only === 'right' ? '-' : formatCount(rows.left) },
  { text: only === 'left' ? '-' : formatCount(rows.right) },
  { text: oneLine(detail) },
];

const sequenceRow = ({ name, left, right }: Comparison['sequences']['different'][number]): Cell[] => [
  bad,
  { text: 'sequence' },
  { text: oneLine(name) },
  { text: only(left, right) ?? `left ${left}, right ${right}` },
];

const objectRow = ({ kind, name, left, right }: NonNullable<Comparison['catalog']>['different'][number]): Cell[] => [
  bad,
  { text: oneLine(kind) },
  { text: oneLine(name) },
  { text: only(left, right) ?? 'differs' },
];

const only = (left: string | undefined, right: string | undefined): string | undefined =>
  right === undefined ? 'only on left' : left === undefined ? 'only on right' : undefined;

const notReadRow = ({ what, side, reason }: NotRead): Cell[] => [
  { text: '?', tone: 'warn' },
  { text: oneLine(what) },
  { text: `not read on ${side}: ${oneLine(reason)}` },
];

function verdictOf({ verdict, tables, sequences, catalog, notRead }: Comparison): string {
  const counts: [number, string][] = [
    [tables.filter(({ equal }) => !equal).length, 'table'],
    [sequences.different.length, 'sequence'],
    [catalog?.different.length ?? 0, 'catalog object'],
  ];
  const differing = counts.filter(([n]) => n > 0).map(([n, noun]) => plural(n, noun));
  const unread = notRead.length === 0 ? '' : `${plural(notRead.length, 'thing')} could not be read`;
  if (verdict === 'different') return [`different: ${differing.join(', ')}`, unread].filter(Boolean).join('; ');
  return verdict === 'equal' ? 'equal' : `not known: no difference found, but ${unread || 'nothing was compared'}`;
}

function scopeOf({ tables, sequences, catalog }: Comparison): string {
  const rows = tables.reduce(
    (sum, one) => sum + (one.table === 'large objects' ? 0 : Math.max(one.rows.left, one.rows.right)),
    0,
  );
  const large = tables.find(({ table }) => table === 'large objects');
  return [
    `${plural(rows, 'row')} of ${plural(tables.length - (large === undefined ? 0 : 1), 'table')}`,
    ...(large === undefined ? [] : [plural(Math.max(large.rows.left, large.rows.right), 'large object')]),
    plural(Math.max(sequences.left, sequences.right), 'sequence'),
    ...(catalog === undefined ? [] : [plural(Math.max(catalog.left, catalog.right), 'catalog object')]),
  ].join(', ');
}

/** What PostgreSQL words anew from version to version. */
const rewritten: ReadonlySet<string> = new Set(['view', 'materialized view', 'rule', 'grant', 'default privileges']);

function remarks({ catalog, leftOut, writtenTo, sameDatabase, versions }: Comparison): string[] {
  const [left, right] = [versions.left, versions.right].map((version) => Number.parseInt(version, 10));
  const texts = (catalog?.different ?? []).some(
    (one) => rewritten.has(one.kind) && one.left !== undefined && one.right !== undefined,
  );
  return [
    ...(left !== right && texts
      ? [`PostgreSQL ${left} and ${right} may write views and rights in different words that mean the same`]
      : []),
    ...(sameDatabase === true ? ['left and right are the same database'] : []),
    ...(catalog === undefined ? ['not compared: the catalog'] : []),
    ...leftOutOf(
      'rows of foreign tables',
      leftOut.filter((name) => !isReserved(name)),
    ),
    ...leftOutOf('the schema greenlight, as Greenlight keeps its own records there', leftOut.filter(isReserved)),
    ...(writtenTo.length === 0
      ? []
      : [`written to meanwhile: ${writtenTo.join(' and ')}; the rows are those of one moment on each side`]),
  ];
}

const isReserved = (name: string): boolean => name.startsWith('greenlight.');
const leftOutOf = (what: string, names: readonly string[]): string[] =>
  names.length === 0 ? [] : [`not compared: ${what} (${names.map(oneLine).join(', ')})`];
