/**
 * Response times by logarithmic bucket, as a load script counts them: bucket n holds `fromMs * (1 + resolution) ^ n` and
 * up to the next one. Counts of several segments add up exactly; their percentiles would not.
 */
export interface Histogram {
  fromMs: number;
  /** Width of a bucket relative to where it begins: 0.02 is 2 %. */
  resolution: number;
  /** By the bucket's number; empty ones are left out. */
  counts: Record<string, number>;
}

export const countOf = ({ counts }: Histogram): number => Object.values(counts).reduce((sum, count) => sum + count, 0);

/** Adds histograms up; undefined where they have not all the same buckets, or there is none. */
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
 * The `p`-th quantile (0 to 1), ms, as k6 interpolates it; undefined without a value. A bucket stands for the middle of
 * what it holds, so it is wrong by half of the resolution at most.
 */
export function quantileOf(histogram: Histogram, p: number): number | undefined {
  const total = countOf(histogram);
  if (total === 0) return undefined;
  const at = p * (total - 1);
  const [below, above] = [valueAt(histogram, Math.floor(at)), valueAt(histogram, Math.ceil(at))];
  return below + (above - below) * (at - Math.floor(at));
}

/** The value of a rank, from 0. */
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
