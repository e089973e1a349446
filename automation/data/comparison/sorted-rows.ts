import type pg from 'pg';
import { bucketOf, hashesOf } from './multiset.ts';
import { reading, type Limits, type Source } from './reading.ts';

/** Rows per page. This bounds the memory, whatever the table's size. */
const pageRows = 5_000;
const cursor = 'greenlight_rows';

/** The rows of a table that are read. */
export interface Selection {
  /** The number of buckets, and those whose rows are read. */
  buckets: number;
  opened: readonly number[];
}

/** One look at a table, or two at different times. A row that only one of two looks sees was written in between. */
export type Looks = readonly [Source, Source?];

/** How many rows of one hash each look sees. `stayed`: rows that are the same in both looks and were not touched. */
export interface Seen {
  first: number;
  second: number;
  stayed: number;
}

/**
 * Reads the selected rows of two sides and calls `see` for every hash, with the number of its rows on each side. Keeps one
 * page per look in memory.
 */
export async function mergeRows(
  [left, right]: [Looks, Looks],
  which: Selection,
  see: (hash: bigint, left: Seen, right: Seen) => void,
): Promise<void> {
  await opened([...left, ...right], which, left.length > 1 || right.length > 1, async (all) => {
    const [l, r] = [all.slice(0, left.length), all.slice(left.length)];
    for (;;) {
      let least: bigint | undefined;
      for (const { head } of all)
        if (head !== undefined && (least === undefined || head.hash < least)) least = head.hash;
      if (least === undefined) return;
      see(least, await take(l, least), await take(r, least));
    }
  });
}

/**
 * Opens the streams one inside the other, as each is read within its own `reading`. Each holds a session of its snapshot: always
 * in the same order, so that two tables never wait for each other's.
 */
async function opened(
  sources: readonly (Source | undefined)[],
  which: Selection,
  versions: boolean,
  work: (streams: SortedRows[]) => Promise<void>,
  streams: SortedRows[] = [],
): Promise<void> {
  const [source, ...others] = sources;
  if (source === undefined) return work(streams);
  await reading(source, async (client, limits) => {
    const stream = await SortedRows.open(source, client, limits, which, versions);
    await opened(others, which, versions, work, [...streams, stream]);
  });
}

/** Takes all rows of one hash from the looks at one side. */
async function take([one, other]: SortedRows[], hash: bigint): Promise<Seen> {
  const seen: Seen = { first: 0, second: 0, stayed: 0 };
  const next = async (stream: SortedRows): Promise<void> => {
    const page = stream.advance();
    if (page !== undefined) await page;
  };
  for (;;) {
    const a = one?.head?.hash === hash ? one.head : undefined;
    const b = other?.head?.hash === hash ? other.head : undefined;
    if (a === undefined && b === undefined) break;
    const order = (a?.writer ?? Infinity) - (b?.writer ?? Infinity);
    if (order === 0) seen.stayed += Math.min(a?.rows ?? 0, b?.rows ?? 0);
    if (order <= 0) seen.first += a?.rows ?? 0;
    if (order >= 0) seen.second += b?.rows ?? 0;
    if (one !== undefined && order <= 0) await next(one);
    if (other !== undefined && order >= 0) await next(other);
  }
  return other === undefined ? { first: seen.first, second: seen.first, stayed: seen.first } : seen;
}

interface Entry {
  hash: bigint;
  /** The transaction that wrote these rows; 0 if versions are not read. */
  writer: number;
  rows: number;
}

/** A table's rows in the order of their hashes, read page by page from a cursor. */
class SortedRows {
  readonly #client: pg.Client;
  readonly #limits: Limits;
  #page: { h: string; x: number; n: number }[] = [];
  #at = 0;
  head: Entry | undefined;

  private constructor(client: pg.Client, limits: Limits) {
    this.#client = client;
    this.#limits = limits;
  }

  static async open(
    source: Source,
    client: pg.Client,
    limits: Limits,
    { buckets, opened }: Selection,
    versions: boolean,
  ): Promise<SortedRows> {
    const which = opened.length === buckets ? '' : `WHERE ${bucketOf(buckets)} = ANY ('{${opened.join()}}'::int[])`;
    const writer = versions ? 'x::text::float8' : '0::float8';
    const text = `DECLARE ${cursor} NO SCROLL CURSOR FOR SELECT h::text, ${writer} AS x, count(*)::float8 AS n
      FROM (${hashesOf(source, versions)} OFFSET 0) AS t ${which} GROUP BY t.h, 2 ORDER BY t.h, 2`;
    await client.query({ text, ...limits });
    const stream = new SortedRows(client, limits);
    await stream.#fetch();
    return stream;
  }

  /** Advances to the next entry. Returns a promise only if a page has to be fetched. */
  advance(): Promise<void> | undefined {
    this.#at += 1;
    if (this.#at < this.#page.length || this.#page.length < pageRows) return this.#show();
    return this.#fetch();
  }

  async #fetch(): Promise<void> {
    const text = `FETCH ${pageRows} FROM ${cursor}`;
    const { rows } = await this.#client.query<{ h: string; x: number; n: number }>({ text, ...this.#limits });
    this.#page = rows;
    this.#at = 0;
    this.#show();
  }

  #show(): undefined {
    const row = this.#page[this.#at];
    this.head = row === undefined ? undefined : { hash: BigInt(row.h), writer: row.x, rows: row.n };
  }
}
