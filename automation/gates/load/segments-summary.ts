import { z } from 'zod';
import { OperationError } from '../../../infra/lib/errors.ts';
import { addHistograms, countOf, quantileOf, type Histogram } from './histogram.ts';

/** Numbers that k6 measured. A number missing in its summary is undefined, not 0. */
export interface LoadNumbers {
  requests: number | undefined;
  /** Duration of the load, from the script; if it gives none, of the whole run of k6, including the script's set-up. */
  seconds: number | undefined;
  /** Iterations that k6 could not start in time, because earlier ones took too long. */
  droppedIterations: number;
  p95Ms: number | undefined;
  p99Ms: number | undefined;
  /** Share (0 to 1) of requests without an answer, or with a status of 400 or higher. */
  errorRate: number | undefined;
  /** Share (0 to 1) of the script's checks that passed; undefined if it has none. */
  checkRate: number | undefined;
  /** 0, or 99: a threshold of the script was crossed. */
  exitCode: number;
  /** Number of k6 processes that shared the load; left out if it was one. */
  segments?: number;
}

const parse = (text: string, doing: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    const found = text.trim() === '' ? 'k6 left no summary' : "k6's summary is not JSON";
    throw new OperationError(
      doing,
      found,
      "let the script's handleSummary write its data as JSON to the path in SUMMARY",
      { cause: error },
    );
  }
};

/**
 * Reads the data of k6's `handleSummary`. A script may give the numbers without its set-up in `greenlight`, which then
 * take precedence. Throws an OperationError if the text is empty or not JSON.
 */
export function readSummary(text: string, doing: string): Omit<LoadNumbers, 'exitCode'> {
  const summary = parse(text, doing) as {
    metrics?: Record<string, { values?: Record<string, unknown> }>;
    greenlight?: { requests?: unknown; seconds?: unknown; failed?: unknown; p95Ms?: unknown; p99Ms?: unknown };
    state?: { testRunDurationMs?: unknown };
  };
  const finite = (number: unknown) => (typeof number === 'number' && Number.isFinite(number) ? number : undefined);
  const value = (metric: string, key: string) => finite(summary.metrics?.[metric]?.values?.[key]);
  const runMs = finite(summary.state?.testRunDurationMs);
  const seconds = finite(summary.greenlight?.seconds) ?? (runMs === undefined ? undefined : runMs / 1000);
  const both = {
    seconds,
    droppedIterations: value('dropped_iterations', 'count') ?? 0,
    checkRate: value('checks', 'rate'),
  };
  if (summary.greenlight !== undefined) {
    const { requests, failed, p95Ms, p99Ms } = summary.greenlight;
    const [sent, bad] = [finite(requests), finite(failed)];
    const errorRate = sent === undefined || bad === undefined || sent === 0 ? undefined : bad / sent;
    return { ...both, requests: sent, p95Ms: finite(p95Ms), p99Ms: finite(p99Ms), errorRate };
  }
  return {
    ...both,
    requests: value('http_reqs', 'count'),
    p95Ms: value('http_req_duration', 'p(95)'),
    p99Ms: value('http_req_duration', 'p(99)'),
    errorRate: value('http_req_failed', 'rate'),
  };
}

const count = z.number().int().nonnegative();
const part = z.object({ requests: count, failed: count });
const parts = z.record(z.string(), part).default({});

/** What a segment's summary must contain so that it can be merged with the others. */
const segmentSummary = z.object({
  greenlight: part.extend({
    seconds: z.number().nonnegative(),
    retries: count.default(0),
    droppedIterations: count,
    maxMs: z.number().optional(),
    lateMs: z.number(),
    histogram: z.object({
      fromMs: z.number().positive(),
      resolution: z.number().positive(),
      counts: z.record(z.string().regex(/^\d+$/), count),
    }),
    endpoints: parts,
    colours: parts,
  }),
  metrics: z.object({ checks: z.object({ values: z.object({ passes: count, fails: count }) }).optional() }).default({}),
});
export type SegmentSummary = z.output<typeof segmentSummary>;

/** How long after the common start time a segment may begin, ms. */
const mostLateMs = 1000;

/** Reads the summary of one of several segments. Throws an OperationError if it cannot be merged with the others. */
export function readSegmentSummary(text: string, doing: string): SegmentSummary {
  const data = parse(text, doing);
  const { success, data: summary, error } = segmentSummary.safeParse(data);
  if (!success) {
    const [issue] = error.issues;
    const builtOnLib = (data as { greenlight?: { histogram?: unknown; lateMs?: unknown } } | null)?.greenlight;
    if (builtOnLib?.histogram === undefined || builtOnLib.lateMs === undefined) {
      throw new OperationError(
        doing,
        'its summary has no histogram or no lateMs, so it cannot be merged with the other segments',
        'build the script on loadtests/lib/greenlight.ts as loadtests/journey.ts is (journeyOptions, send, startTogether, summary), or set load.segments to 1',
      );
    }
    throw new OperationError(
      doing,
      `its summary is damaged: ${issue?.path.join('.')}: ${issue?.message}`,
      'see the summary among the evidence, then run the release again',
    );
  }
  const { greenlight } = summary;
  if (greenlight.lateMs > mostLateMs) {
    throw new OperationError(
      doing,
      `it began ${(greenlight.lateMs / 1000).toFixed(1)} s after the common start, so the load was not the one asked for`,
      'make the set-up of the script shorter, or use fewer segments',
    );
  }
  const counted = countOf(greenlight.histogram);
  if (counted !== greenlight.requests) {
    throw new OperationError(
      doing,
      `its summary is damaged: ${greenlight.requests} requests, but ${counted} response times`,
      'send every request of the journey by send() of loadtests/lib/greenlight.ts',
    );
  }
  return summary;
}

/** The numbers of all segments, in the shape of one summary. */
export interface MergedSummary {
  greenlight: {
    segments: number;
    requests: number;
    failed: number;
    /** Duration of the longest segment: they share the visits, and only one of them has the last visit. */
    seconds: number;
    retries: number;
    droppedIterations: number;
    p50Ms: number | undefined;
    p95Ms: number | undefined;
    p99Ms: number | undefined;
    maxMs: number | undefined;
    /** The largest delay of a segment after the common start time. */
    lateMs: number;
    histogram: Histogram;
    endpoints: Record<string, { requests: number; failed: number }>;
    colours: Record<string, { requests: number; failed: number }>;
  };
  metrics: Record<string, { values: Record<string, number> }>;
}

/**
 * Merges the summaries of `expected` segments. Counts are exact; percentiles come from the sum of the histograms.
 * Throws an OperationError if a summary is missing or the histograms have different buckets.
 */
export function mergeSummaries(summaries: SegmentSummary[], expected: number, doing: string): MergedSummary {
  if (summaries.length !== expected) {
    const found = `${summaries.length} summaries of ${expected} segments`;
    throw new OperationError(doing, found, 'see the logs among the evidence, then run the release again');
  }
  const all = summaries.map(({ greenlight }) => greenlight);
  const histogram = addHistograms(all.map((one) => one.histogram));
  if (histogram === undefined)
    throw new OperationError(
      doing,
      'its segments have histograms with different buckets',
      'run all with the same script',
    );
  const quantile = (p: number) => quantileOf(histogram, p);
  const longest = all.flatMap(({ maxMs }) => (maxMs === undefined ? [] : [maxMs]));
  const checks = summaries.flatMap(({ metrics }) => (metrics.checks === undefined ? [] : [metrics.checks.values]));
  const [passes, fails] = [sum(checks.map((one) => one.passes)), sum(checks.map((one) => one.fails))];
  const droppedIterations = sum(all.map((one) => one.droppedIterations));
  return {
    greenlight: {
      segments: all.length,
      ...addParts(all),
      seconds: Math.max(...all.map((one) => one.seconds)),
      retries: sum(all.map((one) => one.retries)),
      droppedIterations,
      p50Ms: quantile(0.5),
      p95Ms: quantile(0.95),
      p99Ms: quantile(0.99),
      maxMs: longest.length === 0 ? undefined : Math.max(...longest),
      lateMs: Math.max(...all.map((one) => one.lateMs)),
      histogram,
      endpoints: addByName(all.map((one) => one.endpoints)),
      colours: addByName(all.map((one) => one.colours)),
    },
    metrics: {
      dropped_iterations: { values: { count: droppedIterations } },
      ...(passes + fails === 0 ? {} : { checks: { values: { rate: passes / (passes + fails), passes, fails } } }),
    },
  };
}

type Part = z.output<typeof part>;

const sum = (numbers: number[]): number => numbers.reduce((total, number) => total + number, 0);
const addParts = (list: Part[]): Part => ({
  requests: sum(list.map((one) => one.requests)),
  failed: sum(list.map((one) => one.failed)),
});

function addByName(list: Record<string, Part>[]): Record<string, Part> {
  const names = new Set(list.flatMap((one) => Object.keys(one)));
  return Object.fromEntries([...names].map((name) => [name, addParts(list.flatMap((one) => one[name] ?? []))]));
}
