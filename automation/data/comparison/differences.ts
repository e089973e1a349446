import { type Table, describeKey } from '../catalog.ts';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { together } from './in-parallel.ts';
import { bucketsFor, estimatedRows, hashesOf, sameSum, sumsOf } from './multiset.ts';
import { reading, type Source } from './reading.ts';
import { mergeRows } from './sorted-rows.ts';

/** Names of the sides in messages. */
export interface Names {
  left: string;
  right: string;
}

/** Most rows of each side that are looked up by hash, to name them and to tell changed rows from missing ones. */
const lookedUp = 1_000;
const shownKeys = 3;

/** Rows without an equal on the other side: their number, and the hashes of the first ones. */
export interface Unmatched {
  count: number;
  hashes: bigint[];
  /** Adds this many rows of one hash. No-op for none or fewer. */
  add(hash: bigint, rows: number): void;
}

export const someHashes = (): Unmatched => ({
  count: 0,
  hashes: [],
  add(hash, rows) {
    if (rows <= 0) return;
    this.count += rows;
    if (this.hashes.length < lookedUp) this.hashes.push(hash);
  },
});

/** Describes how many rows of each side have no equal on the other, and names some by primary key. */
export async function differences(left: Source, right: Source, names: Names): Promise<string> {
  const [l, r] = await unmatched(left, right);
  const total = [l, r].map(({ count }) => count);
  const both = [amount(total[0], names.left), amount(total[1], names.right)].filter((text) => text !== undefined);
  const sentence = `${both.join(' and ')} ${(total[0] ?? 0) + (total[1] ?? 0) === 1 ? 'has' : 'have'} no equal on the other side`;
  const { primaryKey } = left.table;
  if (primaryKey.length === 0) return `${sentence} (no primary key names them)${lookAlike(left.table, l, r)}`;
  if (JSON.stringify(primaryKey) !== JSON.stringify(right.table.primaryKey))
    return `${sentence} (the primary keys are not the same, so they cannot be named)`;

  const [mine, theirs] = [await keysOf(left, l.hashes), await keysOf(right, r.hashes)];
  if (total.some((n) => n > lookedUp)) return `${sentence} (among them ${examples(left.table, [...mine, ...theirs])})`;
  const parts = [
    { keys: mine.filter((key) => !theirs.includes(key)), text: `only on ${names.left}` },
    { keys: theirs.filter((key) => !mine.includes(key)), text: `only on ${names.right}` },
    { keys: mine.filter((key) => theirs.includes(key)), text: 'with different content' },
  ];
  return parts
    .filter(({ keys }) => keys.length > 0)
    .map(({ keys, text }) => `${plural(keys.length)} ${text} (${examples(left.table, keys)})`)
    .join(', ');
}

/** Types of which equal values look the same. Others have 1.0 and 1.00, -0 and 0, 24:00:00 and 1 day, or words in another case. */
const oneForm = new Set(
  'bool int2 int4 int8 oid text varchar bpchar name bytea uuid date time timestamp timestamptz json xml inet cidr macaddr macaddr8 bit varbit'.split(
    ' ',
  ),
);

/**
 * Where the replication has to find a row by all its values, it may take another one that is equal and does not look the same. Then as many
 * rows are too many as are missing. Empty where that is not the cause.
 */
export function lookAlike({ columns, primaryKey }: Table, one: Unmatched, other: Unmatched): string {
  const some = columns.filter(({ builtIn }) => !oneForm.has(builtIn)).map(({ name, type }) => `${name} (${type})`);
  if (primaryKey.length > 0 || one.count !== other.count || some.length === 0) return '';
  return `; with REPLICA IDENTITY FULL a change can reach another row whose ${some.join(', ')} is equal and does not look so, as 1.0 and 1.00: a primary key ends that`;
}

/** Compares buckets first, so that few rows are read if two large tables differ little. */
async function unmatched(left: Source, right: Source): Promise<[Unmatched, Unmatched]> {
  const buckets = bucketsFor(await estimatedRows(left));
  const [l, r] = await together([sumsOf(left, buckets, false), sumsOf(right, buckets, false)]);
  const opened = [...new Set([...l.keys(), ...r.keys()])].filter((b) => !sameSum(l.get(b), r.get(b)));
  const [onlyLeft, onlyRight] = [someHashes(), someHashes()];
  await mergeRows([[left], [right]], { buckets, opened }, (hash, mine, theirs) => {
    onlyLeft.add(hash, mine.first - theirs.first);
    onlyRight.add(hash, theirs.first - mine.first);
  });
  return [onlyLeft, onlyRight];
}

/** Primary keys, as JSON, of the rows with these hashes. */
async function keysOf(source: Source, hashes: readonly bigint[]): Promise<string[]> {
  if (hashes.length === 0) return [];
  const key = source.table.primaryKey.map((name) => `${sqlIdentifier(name)}::text`).join(', ');
  const text = `SELECT k FROM (${hashesOf(source, false).replace('SELECT', `SELECT ARRAY[${key}] AS k,`)}) AS t WHERE h = ANY ($1::bigint[])`;
  const found = await reading(source, (client, limits) =>
    client.query({ text, values: [hashes.map(String)], ...limits }),
  );
  return (found.rows as { k: string[] }[]).map(({ k }) => JSON.stringify(k));
}

/** Names some rows of a table by their primary keys, in brackets; empty without a primary key. */
export async function namesOf(source: Source, hashes: readonly bigint[]): Promise<string> {
  if (source.table.primaryKey.length === 0) return '';
  return ` (${examples(source.table, await keysOf(source, hashes.slice(0, shownKeys)))})`;
}

/** Some of the keys, for a message. */
const examples = (table: Table, keys: readonly string[]): string =>
  keys
    .slice(0, shownKeys)
    .map((key) => describeKey(table, JSON.parse(key) as (string | null)[]))
    .join('; ');

export const plural = (count: number): string => `${count} ${count === 1 ? 'row' : 'rows'}`;
const amount = (count: number | undefined, side: string): string | undefined =>
  count === undefined || count === 0 ? undefined : `${plural(count)} of ${side}`;
