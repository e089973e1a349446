import { row } from '../connect.ts';
import { together } from './in-parallel.ts';
import { piecesOf, Rewritten, whole, type Piece } from './pieces.ts';
import { reading, relationsOf, type Source } from './reading.ts';

/**
 * Compares tables as multisets: rows without order, each possibly several times. Two tables are equal if the number of their
 * rows and the sum of the rows' hashes (`row-hash.ts`) are equal. The sum is exact (`numeric`): with XOR, an even number of
 * copies would cancel out.
 */

export interface Sum {
  rows: number;
  /** Sum of the rows' hashes. */
  sum: bigint;
  /** With `versions`: sum of the transactions that wrote the rows; else 0. */
  written: bigint;
}

export const nothing: Sum = { rows: 0, sum: 0n, written: 0n };
export const sameSum = (one: Sum = nothing, other: Sum = nothing): boolean =>
  one.rows === other.rows && one.sum === other.sum;

/** The sum of a whole table, in one pass. */
export async function sumOf(source: Source): Promise<Sum> {
  return (await sumsOf(source, 1, false)).get(0) ?? nothing;
}

/**
 * Sums per bucket, in one pass by all sessions. Hashes spread the rows over `buckets`, a power of two. Empty buckets are left
 * out.
 */
export async function sumsOf(source: Source, buckets: number, versions: boolean): Promise<Map<number, Sum>> {
  const sums = new Map<number, Sum>();
  try {
    const pieces = await piecesOf(source);
    // Added up as they come: there may be dozens of pieces.
    await together(pieces.map(async (piece) => addUp(sums, await sumsOfPiece(source, piece, buckets, versions))));
  } catch (error) {
    if (!(error instanceof Rewritten)) throw error;
    sums.clear();
    addUp(sums, await sumsOfPiece(source, whole(source), buckets, versions));
  }
  return sums;
}

interface BucketRow {
  b: number;
  rows: number;
  sum: string;
  written: string | null;
}

function addUp(sums: Map<number, Sum>, found: readonly BucketRow[]): void {
  for (const { b, rows, sum, written } of found) {
    if (rows === 0) continue;
    const one = sums.get(b) ?? nothing;
    sums.set(b, { rows: one.rows + rows, sum: one.sum + BigInt(sum), written: one.written + BigInt(written ?? 0) });
  }
}

async function sumsOfPiece(source: Source, piece: Piece, buckets: number, versions: boolean): Promise<BucketRow[]> {
  const written = versions ? 'sum(x::text::bigint)::text' : `'0'`;
  const bucket = buckets === 1 ? '0' : bucketOf(buckets);
  // The group is evaluated for each row, and the hash with it: OFFSET 0 keeps it from being computed anew for each use.
  const sql = `SELECT ${bucket} AS b, count(*)::float8 AS rows, coalesce(sum(h), 0)::text AS sum, ${written} AS written
    FROM (${hashesOf(source, versions, piece)}${buckets === 1 ? '' : ' OFFSET 0'}) AS t${buckets === 1 ? '' : ' GROUP BY 1'}`;
  return await reading(source, async (client, limits) => {
    const { rows } = await client.query<BucketRow>({ text: sql, ...limits });
    await piece.check(client);
    return rows;
  });
}

/** SELECT of each row's hash `h` and, with `versions`, of the transaction `x` that wrote it. */
export const hashesOf = (source: Source, versions: boolean, { from }: Pick<Piece, 'from'> = whole(source)): string =>
  `SELECT ${source.hash} AS h${versions ? ', xmin AS x' : ''} FROM ${from}`;

export const bucketOf = (buckets: number): string => `(h & ${buckets - 1})::int`;

/** Wanted rows per bucket, and the limits of the number of buckets. Each session sends the sums of all buckets: 4 MB of the most. */
const rowsPerBucket = 500;
const [fewestBuckets, mostBuckets] = [64, 16_384];

/** A suitable number of buckets for `count` rows. A changed row then costs reading one bucket, not the whole table. */
export const bucketsFor = (count: number): number =>
  Math.min(mostBuckets, Math.max(fewestBuckets, 2 ** Math.ceil(Math.log2(Math.max(1, count / rowsPerBucket)))));

/** The server's estimate of the number of rows, from the last ANALYZE and the table's size. */
export async function estimatedRows(source: Source): Promise<number> {
  const sql = `SELECT coalesce(sum(greatest(c.reltuples, pg_relation_size(c.oid) / 500)), 0)::float8 AS n
    FROM ${relationsOf} JOIN pg_class c ON c.oid = relid AND c.relkind IN ('r', 'm')`;
  return (await reading(source, (client) => row<{ n: number }>(client, sql, [source.table.sql]))).n;
}
