/**
 * Response times in logarithmic buckets, counted by the load script. Bucket n begins at `fromMs * (1 + resolution) ^ n`
 * ms. Counts of several segments can be added exactly; their percentiles cannot.
 */
export interface Histogram {
  fromMs: number;
  /** Width of a bucket relative to its lower bound: 0.02 is 2 %. */
  resolution: number;
  /** By bucket number; empty buckets are left out. */
  counts: Record<string, number>;
}

export const countOf = ({ counts }: Histogram): number => Object.values(counts).reduce((sum, count) => sum + count, 0);

/** The sum of the histograms; undefined if their buckets differ or there is no histogram. */
export function addHistograms(histograms: Histogram[]): Histogram | undefined {
  const [first] = histograms;
  if (first === undefined) return undefined;
  const { fromMs, resolution } = first;
  if (histograms.some((other) => other.fromMs !== fromMs || other.resolution !== resolution)) return undefined;
  const counts: Record<string, number> = {};
  for (const histogram of histograms)
    for (const [bucket, count] of Object.entries(histogram.counts)) counts[bucket] = (counts[bucket] ?? 0) + count;
  return { fromMs, resolution, counts };
}

/**
 * The `p`-quantile (0 to 1) in ms, interpolated like k6's; undefined for an empty histogram. Each value counts as the
 * middle of its bucket, so the relative error is at most about half of the resolution.
 */
export function quantileOf(histogram: Histogram, p: number): number | undefined {
  const total = countOf(histogram);
  if (total === 0) return undefined;
  const at = p * (total - 1);
  const [below, above] = [valueAt(histogram, Math.floor(at)), valueAt(histogram, Math.ceil(at))];
  return below + (above - below) * (at - Math.floor(at));
}

/** The value of a rank, counted from 0, in ms. */
function valueAt({ fromMs, resolution, counts }: Histogram, rank: number): number {
  let seen = 0;
  let middle = 0;
  for (const [bucket, count] of Object.entries(counts).sort(([a], [b]) => Number(a) - Number(b))) {
    seen += count;
    middle = fromMs * (1 + resolution) ** (Number(bucket) + 0.5);
    if (rank < seen) break;
  }
  return middle;
}
