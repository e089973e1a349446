import { histogramOf, withoutBuckets } from './histogram.ts';
import { colours, lengthOf } from './plan.ts';
import { scenarioName, startAt, summaryPath } from './settings.ts';

interface SummaryData {
  metrics: Record<string, { values: Record<string, number> } | undefined>;
  setup_data?: unknown;
}

/**
 * For `handleSummary`: k6's own data, with the numbers of the journey alone (set-up left out) put first in
 * `greenlight`, by endpoint and by colour. Latencies in milliseconds.
 */
export function summary(data: SummaryData, endpoints: readonly string[]): Record<string, string> {
  // What the set-up gave out are the sessions of those whom it signed up.
  const { metrics, setup_data: _sessions, ...rest } = data;
  const value = (name: string, key: string): number | undefined => metrics[name]?.values[key];
  const of = (tags: string) => {
    const duration = `greenlight_duration{${tags}}`;
    return {
      requests: value(`greenlight_requests{${tags}}`, 'count') ?? 0,
      // In k6, the `passes` of a rate are the times that it was true.
      failed: value(`greenlight_failed{${tags}}`, 'passes') ?? 0,
      p50Ms: value(duration, 'med'),
      p95Ms: value(duration, 'p(95)'),
      p99Ms: value(duration, 'p(99)'),
      maxMs: value(duration, 'max'),
    };
  };
  const each = (tag: string, names: readonly string[]) =>
    Object.fromEntries(names.map((name) => [name, of(`scenario:${scenarioName},${tag}:${name}`)]));
  const greenlight = {
    ...of(`scenario:${scenarioName}`),
    seconds: lengthOf(value('greenlight_begun', 'max')),
    retries: value('greenlight_retries', 'count') ?? 0,
    droppedIterations: value('dropped_iterations', 'count') ?? 0,
    ...(startAt === undefined ? {} : { lateMs: value('greenlight_late', 'value') }),
    ...histogramOf(metrics),
    endpoints: each('name', endpoints),
    colours: each('colour', colours),
  };
  if (summaryPath === undefined || summaryPath === '') return { stdout: `${JSON.stringify(greenlight, null, 1)}\n` };
  return { [summaryPath]: JSON.stringify({ greenlight, ...rest, metrics: withoutBuckets(metrics) }, null, 1) };
}
