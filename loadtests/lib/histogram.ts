import { Counter } from 'k6/metrics';
import { histogramWanted, scenarioName } from './settings.ts';

/**
 * Response times by logarithmic bucket, as percentiles of several segments cannot be added up but counts can. Bucket n
 * holds `fromMs * (1 + resolution) ^ n` and up to the next; the first and the last also what is beyond.
 *
 * k6 keeps the state of its clients apart, so the counts have to be a metric of its own: one counter, tagged with the
 * bucket. A counter per bucket would do too, but each client would hold all of them: 650 MB for 300 clients, not 120.
 */
const fromMs = 0.1;
const toMs = 60_000;
const resolution = 0.02;

const bucketOf = (ms: number): number => Math.floor(Math.log(ms / fromMs) / Math.log(1 + resolution));
const last = bucketOf(toMs);

const name = 'greenlight_bucket';
const buckets = histogramWanted ? new Counter(name) : undefined;
const series = (bucket: number): string => `${name}{scenario:${scenarioName},bucket:${bucket}}`;

/** k6 lists a bucket in its summary only if a threshold names it. */
export const histogramThresholds = (): Record<string, string[]> =>
  Object.fromEntries(
    histogramWanted ? Array.from({ length: last + 1 }, (_, bucket) => [series(bucket), ['count>=0']]) : [],
  );

/** Counts one response time. */
export function record(ms: number): void {
  buckets?.add(1, { bucket: String(Math.min(last, Math.max(0, bucketOf(Math.max(ms, fromMs))))) });
}

type Metrics = Record<string, { values: Record<string, number> } | undefined>;

/** For the summary: the buckets that are not empty; nothing where no histogram was asked for. */
export function histogramOf(metrics: Metrics): Record<string, unknown> {
  if (!histogramWanted) return {};
  const counts: Record<string, number> = {};
  for (let bucket = 0; bucket <= last; bucket += 1) {
    const count = metrics[series(bucket)]?.values['count'] ?? 0;
    if (count > 0) counts[bucket] = count;
  }
  return { histogram: { fromMs, resolution, counts } };
}

/** The metrics without the buckets: hundreds of entries that say nothing more. */
export const withoutBuckets = (metrics: Metrics): Metrics =>
  Object.fromEntries(Object.entries(metrics).filter(([key]) => !key.startsWith(name)));
