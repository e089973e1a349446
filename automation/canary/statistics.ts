/**
 * The statistics that a canary is judged by. Pure functions. The alternative @stdlib was rejected: its distributions
 * bring 223 packages, 26 MB and native add-ons.
 */

/**
 * The `p`-quantile (0 to 1) of unsorted values, interpolated linearly as k6 does for `p(95)`. NaN for no values.
 */
export function percentile(values: readonly number[], p: number): number {
  const sorted = Float64Array.from(values).sort();
  if (sorted.length === 0) return Number.NaN;
  const position = p * (sorted.length - 1);
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position - Math.floor(position));
}

/** ln(n!): summed for n < 10, otherwise by Stirling's series with an error below 1e-10. */
function logFactorial(n: number): number {
  if (n < 10) {
    let sum = 0;
    for (let i = 2; i <= n; i++) sum += Math.log(i);
    return sum;
  }
  const x = n + 1;
  return (
    (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + 1 / (12 * x) - 1 / (360 * x ** 3) + 1 / (1260 * x ** 5)
  );
}

const logChoose = (n: number, k: number): number => logFactorial(n) - logFactorial(k) - logFactorial(n - k);

/** Sums a decreasing series until its terms are below 1e-12 of the sum. */
function sumTail(first: number, last: number, logTerm: (i: number) => number): number {
  let sum = 0;
  for (let i = first; i <= last; i++) {
    const term = Math.exp(logTerm(i));
    sum += term;
    if (term < sum * 1e-12) break;
  }
  return Math.min(1, sum);
}

/** Exact binomial test, one-sided: the probability of `k` or more events in `n` trials of probability `p`. */
export function binomialTail(k: number, n: number, p: number): number {
  if (k <= 0) return 1;
  if (p <= 0) return 0;
  // At or below the mean the tail is about one half or more, so it is not significant; also, the series does not
  // decrease there.
  if (p >= 1 || k <= n * p) return 1;
  return sumTail(k, n, (i) => logChoose(n, i) + i * Math.log(p) + (n - i) * Math.log1p(-p));
}

/**
 * Fisher's exact test, one-sided: the probability that the first group has `a` or more of all events if both groups
 * have the same rate. `a` of `n` in the first group, `b` of `m` in the second.
 */
export function fisherTail(a: number, n: number, b: number, m: number): number {
  const events = a + b;
  if (a <= 0 || a <= (events * n) / (n + m)) return 1;
  const all = logChoose(n + m, events);
  return sumTail(a, Math.min(n, events), (i) => logChoose(n, i) + logChoose(m, events - i) - all);
}

/** Upper tail of the standard normal distribution. Abramowitz and Stegun 26.2.17; absolute error below 7.5e-8. */
function normalTail(z: number): number {
  if (z < 0) return 1 - normalTail(-z);
  const t = 1 / (1 + 0.2316419 * z);
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  return density * t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
}

/**
 * Mann-Whitney U test, one-sided: the probability that `left` is at least this far above `right` if both have the same
 * distribution. Normal approximation with corrections for ties and continuity, good from about 20 values each. It
 * compares ranks, so a few extreme values have little effect.
 */
export function mannWhitneyGreater(left: readonly number[], right: readonly number[]): number {
  const [n, m] = [left.length, right.length];
  const total = n + m;
  if (n === 0 || m === 0) return 1;
  const all = [...left.map((value) => ({ value, isLeft: true })), ...right.map((value) => ({ value, isLeft: false }))];
  all.sort((a, b) => a.value - b.value);
  let rankSum = 0;
  let ties = 0;
  for (let start = 0; start < total;) {
    let end = start;
    let ours = 0;
    while (end < total && all[end]?.value === all[start]?.value) {
      if (all[end]?.isLeft) ours += 1;
      end += 1;
    }
    const count = end - start;
    rankSum += (ours * (start + 1 + end)) / 2;
    ties += count ** 3 - count;
    start = end;
  }
  const u = rankSum - (n * (n + 1)) / 2;
  const variance = ((n * m) / 12) * (total + 1 - ties / (total * (total - 1)));
  // All values are equal.
  if (!(variance > 0)) return 1;
  return normalTail((u - (n * m) / 2 - 0.5) / Math.sqrt(variance));
}
