/** Latencies from what CloudWatch tells of them: quantiles of each period. Pure. */

/** Percents that are asked for, between the smallest and the largest value: dense where objectives are. */
export const askedPercents = [1, 5, 10, 25, 40, 50, 60, 75, 85, 90, 92.5, 95, 97.5, 99, 99.5, 99.9] as const;

export interface Quantile {
  /** 0 to 100. */
  percent: number;
  value: number;
}

/**
 * As many values as there were requests, spread as the quantiles say: linear between two of them. Empty where no quantile is
 * known: then nothing is known of the requests' times.
 */
export function spread(quantiles: Quantile[], count: number): number[] {
  const known = rising(quantiles);
  if (known.length === 0) return [];
  return Array.from({ length: count }, (_, index) => at(known, (100 * (index + 0.5)) / count));
}

/** In order, and never falling: quantiles that AWS estimates may cross where there are few values. */
function rising(quantiles: Quantile[]): Quantile[] {
  let least = 0;
  return quantiles
    .filter(({ value }) => Number.isFinite(value) && value >= 0)
    .toSorted((a, b) => a.percent - b.percent)
    .map(({ percent, value }) => ({ percent, value: (least = Math.max(least, value)) }));
}

function at(known: Quantile[], percent: number): number {
  const above = known.findIndex((quantile) => quantile.percent >= percent);
  const [first, last] = [known[0], known.at(-1)] as [Quantile, Quantile];
  if (above <= 0) return above === 0 ? first.value : last.value;
  const [low, high] = [known[above - 1], known[above]] as [Quantile, Quantile];
  return low.value + ((high.value - low.value) * (percent - low.percent)) / (high.percent - low.percent);
}
