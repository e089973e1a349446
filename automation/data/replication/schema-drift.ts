import type pg from 'pg';
import type { Colour } from '../../../infra/model.ts';
import { compareObjects, keyOf, splitColumn, type DatabaseObject, type ObjectDifference } from '../objects/compare.ts';
import { changedSince, markCatalog, type CatalogMark } from '../objects/changes.ts';
import { readObjects } from '../objects/read.ts';
import { withClient } from '../connect.ts';
import { publicationNote, type Link } from '../link.ts';
import { carried, hashOf, recordedOf, type Recorded } from './schema-record.ts';
import { unfollowed } from './unfollowed.ts';

/**
 * An object that one side of a replication has in another way than it should: left is the side that is live, right the one that
 * follows. What the expand migrations changed is none.
 */
export interface SchemaDrift extends ObjectDifference {
  /** Where it was changed since the copy. */
  on: Colour;
  how: 'added' | 'dropped' | 'changed';
  /** The expand migrations have changed it as well. */
  migrated: boolean;
}

/** What was compared, and what of it differs. */
export interface SchemaCompared {
  /** Objects of the live side. */
  objects: number;
  drifts: SchemaDrift[];
}

/** The objects of the live side (left) and of the one that follows (right) that differ, with sessions of its own. */
export const schemaDrift = async (link: Link): Promise<SchemaDrift[]> =>
  withClient(link.from.access, 'admin', (source) =>
    withClient(link.to.access, 'admin', async (target) => (await compareSchemas(link, source, target)).drifts),
  );

/** As `schemaDrift`, in sessions as admin without an open transaction. */
export async function compareSchemas(link: Link, source: pg.Client, target: pg.Client): Promise<SchemaCompared> {
  const [live, follower] = await Promise.all([readObjects(source), readObjects(target)]);
  return { objects: live.length, drifts: await driftBetween(link, { source, target }, live, follower) };
}

/** As `compareSchemas`, of catalogs that have been read. */
export async function driftBetween(
  link: Link,
  { source, target }: { source: pg.Client; target: pg.Client },
  live: DatabaseObject[],
  follower: DatabaseObject[],
): Promise<SchemaDrift[]> {
  const differences = compareObjects(carried(live), carried(follower));
  if (differences.length === 0) return [];
  // The way back has no note: there the copy is the side that is live.
  const forward = (await publicationNote(source, link.name)) !== '';
  const recorded = await recordedOf(forward ? target : source, differences);
  const found = differences.flatMap((difference) => {
    const { left, right } = difference;
    const { copied, expanded } = recorded.get(keyOf(difference)) ?? nothing;
    const older = forward ? left : right;
    const newer = forward ? right : left;
    const [olderNow, newerNow] = [hashOf(older), hashOf(newer)];
    if (olderNow === copied && newerNow === expanded) return [];
    const [oldSide, newSide] = forward ? [link.from.colour, link.to.colour] : [link.to.colour, link.from.colour];
    // Nobody should change the side that is not live, so it is named only where the live one is as it was.
    const liveIsAsItWas = forward ? olderNow === copied : newerNow === expanded;
    const onOlder = forward ? !liveIsAsItWas : liveIsAsItWas;
    return [
      {
        ...difference,
        on: onOlder ? oldSide : newSide,
        how: howFar(onOlder ? [copied, olderNow] : [expanded, newerNow]),
        migrated: copied !== expanded,
      },
    ];
  });
  return withoutOrder(found);
}

const nothing: Recorded = { copied: null, expanded: null };

const howFar = ([before, now]: [string | null, string | null]): SchemaDrift['how'] =>
  before === null ? 'added' : now === null ? 'dropped' : 'changed';

/** The order of columns says nothing more where columns were added or dropped. */
function withoutOrder(drifts: SchemaDrift[]): SchemaDrift[] {
  const tables = new Set(drifts.filter(({ kind }) => kind === 'column').map(({ name }) => splitColumn(name).table));
  return drifts.filter(({ kind, name }) => kind !== 'column order' || !tables.has(name));
}

/** How many objects a message names. */
const named = 8;

/** For people: `function shop.price(integer) was replaced on blue`. Tables come first, and what belongs to one that came or went is not named. */
export function describeDrift(drifts: SchemaDrift[]): string {
  const tables = drifts.filter(({ kind, how }) => kind === 'table' && how !== 'changed').map(({ name }) => name);
  const own = (drift: SchemaDrift): boolean =>
    drift.kind !== 'table' &&
    tables.some((table) => [drift.name, drift.left, drift.right].some((text) => speaksOf(text, table)));
  const wanted = drifts.filter((drift) => !own(drift));
  const isTable = ({ kind }: SchemaDrift): boolean => kind === 'table';
  const told = [...wanted.filter(isTable), ...wanted.filter((drift) => !isTable(drift))];
  const texts = told
    .slice(0, named)
    .map(({ kind, name, how, on }) => `${kind} ${name} was ${verb(kind, how)} on ${on}`);
  const more = told.length - texts.length;
  return `${texts.join(', ')}${more > 0 ? `, and ${more} more` : ''}`;
}

const speaksOf = (text: string | undefined, name: string): boolean => {
  const at = text?.indexOf(name) ?? -1;
  return at >= 0 && !/[\w"]/.test(text?.[at + name.length] ?? '');
};

const verb = (kind: string, how: SchemaDrift['how']): string =>
  how === 'changed' && ['function', 'procedure', 'view'].includes(kind) ? 'replaced' : how;

/** Those for which rows that the live side writes can be refused, changed or left out by the side that follows. */
export function endangering(drifts: SchemaDrift[], link: Link): SchemaDrift[] {
  const unknown = drifts.filter(({ kind, how, on }) => kind === 'table' && how === 'added' && on === link.to.colour);
  const ofUnknown = ({ name }: SchemaDrift): boolean => unknown.some((table) => name.startsWith(`${table.name}.`));
  return drifts.filter((drift) => endangersRows(drift, link) && !ofUnknown(drift));
}

function endangersRows({ kind, left, right, how, on }: SchemaDrift, { from }: Link): boolean {
  const alone = how === 'added';
  const live = on === from.colour;
  if (kind === 'column' && alone && !live) return /^NOT NULL$/m.test(right ?? '') && !/^DEFAULT /m.test(right ?? '');
  if (kind === 'column') return essence(left) !== essence(right);
  if (['table', 'type', 'domain'].includes(kind)) return live || !alone;
  // A rule that the live side alone has refuses no row elsewhere.
  const rule = kind === 'constraint' || (kind === 'index' && /UNIQUE/.test(left ?? right ?? ''));
  return rule && !(live && alone);
}

/** What of a column's definition decides which values it takes. */
const essence = (definition: string | undefined): string | undefined =>
  definition
    ?.split('\n')
    .filter((line) => !/^(DEFAULT|STORAGE|COMPRESSION|STATISTICS|WITH|OPTIONS) /.test(line))
    .join('\n');

/** What was changed in the schema of a side so that rows of the live one may not fit the other; undefined if nothing was. */
export async function dangersOf(link: Link, source: pg.Client, target: pg.Client): Promise<string | undefined> {
  const { drifts } = await compareSchemas(link, source, target);
  const dangers = endangering(drifts, link);
  const told = dangers.length === 0 ? [] : [describeDrift(dangers)];
  const left = await unfollowed(link, source, target);
  const all = [...told, ...(left === undefined ? [] : [left])];
  return all.length === 0 ? undefined : all.join('; ');
}

/** Looks at the schemas again and again. Both are read only where a catalog was changed since the last look. */
export class SchemaWatch {
  #marks: { source: CatalogMark; target: CatalogMark } | undefined;
  #drifts: SchemaDrift[] = [];

  /** Sessions as admin without an open transaction. */
  async look(link: Link, source: pg.Client, target: pg.Client): Promise<SchemaDrift[]> {
    const seen = this.#marks;
    if (seen !== undefined) {
      const changed = await Promise.all([changedSince(source, seen.source), changedSince(target, seen.target)]);
      if (!changed.includes(true)) return this.#drifts;
    }
    const [ofSource, ofTarget] = await Promise.all([markCatalog(source), markCatalog(target)]);
    this.#drifts = (await compareSchemas(link, source, target)).drifts;
    this.#marks = { source: ofSource, target: ofTarget };
    return this.#drifts;
  }
}
