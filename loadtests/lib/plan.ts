import { sleep } from 'k6';
import { scenario } from 'k6/execution';
import { Gauge } from 'k6/metrics';
import type { Options } from 'k6/options';
import { histogramThresholds } from './histogram.ts';
import { clients, duration, rate, scenarioName, segments, startAt } from './settings.ts';

/** Colours in which a request can be answered, as the entry point says; `none`: it does not say. */
export const colours = ['blue', 'green', 'none'] as const;

/** k6 lists a series of some tags in its summary only if a threshold names it: these thresholds always hold. */
const listed: Record<string, string[]> = {
  greenlight_requests: ['count>=0'],
  greenlight_failed: ['rate>=0'],
  greenlight_duration: ['max>=0'],
};

/** For how long after the end a visit that was due before may still start, ms: a tenth of the load and half a second at most. */
const lateStartMs = Math.min(500, duration * 100);

/** When the last visit of the load began, since the start of the scenario: how long the load really was. */
const begun = new Gauge('greenlight_begun', true);

let planned = Infinity;
let periodMs = 0;

/**
 * Options of a journey that sends exactly `requests` requests per iteration, so that RATE is what the server sees.
 * Every `endpoint` (the names given to `send`) appears in the summary. An iteration has to begin with `nextVisit`.
 */
export function journeyOptions(journey: { requests: number; endpoints: readonly string[] }): Options {
  planned = Math.ceil((rate * duration) / journey.requests);
  periodMs = (journey.requests / rate) * 1000;
  // k6 divides the clients among the segments as well: each of them must have enough for a moment without answers.
  const most = Math.ceil(Math.max(clients, segments)) + 20 * (segments - 1);
  const thresholds = histogramThresholds();
  const tags = [
    `scenario:${scenarioName}`,
    ...journey.endpoints.map((name) => `scenario:${scenarioName},name:${name}`),
    ...colours.map((colour) => `scenario:${scenarioName},colour:${colour}`),
  ];
  for (const tag of tags)
    for (const [metric, always] of Object.entries(listed)) thresholds[`${metric}{${tag}}`] = always;
  return {
    scenarios: {
      [scenarioName]: {
        executor: 'constant-arrival-rate',
        // `rate` iterations in as many seconds as an iteration has requests: `rate` requests per second.
        rate,
        timeUnit: `${journey.requests}s`,
        // Whether an iteration that is due at the very end still starts is a race in k6. So there is some time more, and
        // `nextVisit` says which iterations are part of the load.
        duration: `${duration * 1000 + lateStartMs}ms`,
        preAllocatedVUs: Math.min(most, Math.max(5, Math.ceil(rate / 5)) + 10 * (segments - 1)),
        maxVUs: most,
        gracefulStop: '5s',
      },
    },
    // Each iteration is a client of its own, with the balancer's cookies of its own: a canary's share is of clients, and
    // a few VUs that stayed the same for the whole run would all be on one side.
    noCookiesReset: false,
    setupTimeout: `${60 + Math.max(0, Math.ceil(((startAt ?? 0) - Date.now()) / 1000))}s`,
    summaryTrendStats: ['avg', 'med', 'p(90)', 'p(95)', 'p(99)', 'max', 'count'],
    thresholds,
  };
}

/**
 * Number of this iteration, from 0, unique over all segments; undefined once the load is complete: then the iteration
 * has to do nothing. So the load is the same number of iterations every time, in however many segments.
 */
export function nextVisit(): number | undefined {
  const visit = scenario.iterationInTest;
  if (visit >= planned) return undefined;
  // Where iterations were dropped, their numbers are behind the time. They must not be made up for after the end.
  const elapsed = Date.now() - scenario.startTime;
  const behind = elapsed - visit * periodMs;
  if (elapsed > duration * 1000 && behind > lateStartMs) return undefined;
  begun.add(elapsed);
  return visit;
}

/** How long a load was whose last visit began at `begunMs`, seconds: the time until the next one is part of it. */
export const lengthOf = (begunMs: number | undefined): number =>
  begunMs === undefined ? 0 : Math.min(duration, (begunMs + periodMs) / 1000);

const late = new Gauge('greenlight_late', true);

/** Ends a set-up: waits until all segments are to begin. One that is ready later than that says so in its summary. */
export function startTogether(): void {
  if (startAt === undefined) return;
  const wait = startAt - Date.now();
  late.add(Math.max(0, -wait));
  if (wait > 0) sleep(wait / 1000);
}
