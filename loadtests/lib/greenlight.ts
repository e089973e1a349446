import http, { type Params, type RefinedResponse, type ResponseType } from 'k6/http';
import { Counter, Trend } from 'k6/metrics';
import type { Options } from 'k6/options';

/**
 * What a journey needs to keep Greenlight's contract, whatever the application: the load from the environment, one
 * line per acknowledged write and per failed request, and a summary by endpoint and colour.
 *
 * Environment: BASE_URL; RATE, requests per second in all; DURATION, seconds; ROUTE_HEADERS, JSON; SUMMARY, path of
 * the JSON summary (default: a short text on the console); VUS, most clients at a time.
 */

const number = (name: string, fallback: number): number => {
  const value = Number(__ENV[name] ?? fallback);
  if (!Number.isFinite(value) || value <= 0)
    throw new Error(`${name} has to be a number above 0, not "${__ENV[name]}"`);
  return value;
};

const baseUrl = (__ENV['BASE_URL'] ?? '').replace(/\/$/, '');
const rate = number('RATE', 10);
const duration = number('DURATION', 10);
const headers = {
  ...(JSON.parse(__ENV['ROUTE_HEADERS'] ?? '{}') as Record<string, string>),
  'x-greenlight-synthetic': '1',
};

const scenario = 'journey';
const colours = ['blue', 'green', 'none'] as const;
/** A built-in metric cannot be tagged by its own answer, so requests by colour have metrics of their own. */
const colourRequests = new Counter('greenlight_requests');
const colourDuration = new Trend('greenlight_duration', true);

/** k6 lists a series of some tags in its summary only if a threshold names it: these thresholds always hold. */
const listed = { requests: ['count>=0'], failed: ['rate>=0'], duration: ['max>=0'] };

/**
 * Options of a journey that sends exactly `requests` requests per iteration, so that RATE is what the server sees.
 * Every `endpoint` (the names given to `send`) appears in the summary.
 */
export function journeyOptions(journey: { requests: number; endpoints: readonly string[] }): Options {
  const most = Math.ceil(number('VUS', Math.max(20, rate)));
  const thresholds: Record<string, string[]> = {};
  for (const tags of [
    `scenario:${scenario}`,
    ...journey.endpoints.map((name) => `scenario:${scenario},name:${name}`),
  ]) {
    thresholds[`http_reqs{${tags}}`] = listed.requests;
    thresholds[`http_req_failed{${tags}}`] = listed.failed;
    thresholds[`http_req_duration{${tags}}`] = listed.duration;
  }
  for (const colour of colours) {
    thresholds[`greenlight_requests{scenario:${scenario},colour:${colour}}`] = listed.requests;
    thresholds[`greenlight_duration{scenario:${scenario},colour:${colour}}`] = listed.duration;
  }
  return {
    scenarios: {
      [scenario]: {
        executor: 'constant-arrival-rate',
        // `rate` iterations in as many seconds as an iteration has requests: `rate` requests per second.
        rate: Math.round(rate),
        timeUnit: `${journey.requests}s`,
        duration: `${duration}s`,
        preAllocatedVUs: Math.min(most, Math.max(5, Math.ceil(rate / 5))),
        maxVUs: most,
        gracefulStop: '5s',
      },
    },
    // Each iteration is a client of its own, with the balancer's cookies of its own: a canary's share is of clients, and
    // a few VUs that stayed the same for the whole run would all be on one side.
    noCookiesReset: false,
    setupTimeout: '60s',
    summaryTrendStats: ['avg', 'med', 'p(90)', 'p(95)', 'p(99)', 'max', 'count'],
    thresholds,
  };
}

export interface Call {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  /** Name of the endpoint in the summary. */
  name: string;
  body?: Record<string, unknown>;
  cookies?: Record<string, string>;
  /** Unique key of a write, for the ledger. */
  key?: string;
}

/** Sends one request, and logs what the contract asks for. Never throws. */
export function send(call: Call): RefinedResponse<ResponseType | undefined> {
  const params: Params = {
    headers: { ...headers, ...(call.body ? { 'content-type': 'application/json' } : {}) },
    cookies: call.cookies ?? {},
    tags: { name: call.name },
    timeout: '15s',
    redirects: 0,
  };
  const began = Date.now();
  const response = http.request(
    call.method,
    `${baseUrl}${call.path}`,
    call.body ? JSON.stringify(call.body) : null,
    params,
  );
  const header = response.headers['X-Greenlight-Colour'];
  const colour = colours.find((one) => one === header) ?? 'none';
  colourRequests.add(1, { colour, name: call.name });
  colourDuration.add(response.timings.duration, { colour, name: call.name });
  const done = response.status >= 200 && response.status < 400;
  // After a 5xx, as after no answer, nobody knows whether the write was kept. A 4xx says that it was not.
  if (call.key !== undefined && done) console.log(JSON.stringify({ ledger: 'ack', key: call.key }));
  else if (call.key !== undefined && (response.status === 0 || response.status >= 500))
    console.log(JSON.stringify({ ledger: 'unknown', key: call.key }));
  if (!done)
    console.log(
      JSON.stringify({
        request: 'failed',
        method: call.method,
        url: call.path,
        status: response.status,
        at: Date.now(),
        ms: Date.now() - began,
        colour,
        ...(response.error ? { error: response.error } : {}),
      }),
    );
  return response;
}

interface Values {
  values: Record<string, number>;
}
interface SummaryData {
  metrics: Record<string, Values | undefined>;
}

const latencies = (metric: Values | undefined) => ({
  p50Ms: metric?.values['med'],
  p95Ms: metric?.values['p(95)'],
  p99Ms: metric?.values['p(99)'],
});

/**
 * For `handleSummary`: k6's own data, with the numbers of the journey alone (set-up left out) put first in
 * `greenlight`, by endpoint and by colour. Latencies in milliseconds.
 */
export function summary(data: SummaryData, endpoints: readonly string[]): Record<string, string> {
  const metrics = data.metrics;
  const count = (name: string): number => metrics[name]?.values['count'] ?? 0;
  // In k6, the `passes` of http_req_failed are the requests for which "failed" is true.
  const failed = (name: string): number => metrics[name]?.values['passes'] ?? 0;
  const of = (tags: string) => ({
    requests: count(`http_reqs{${tags}}`),
    failed: failed(`http_req_failed{${tags}}`),
    ...latencies(metrics[`http_req_duration{${tags}}`]),
  });
  const greenlight = {
    ...of(`scenario:${scenario}`),
    droppedIterations: count('dropped_iterations'),
    endpoints: Object.fromEntries(endpoints.map((name) => [name, of(`scenario:${scenario},name:${name}`)])),
    colours: Object.fromEntries(
      colours.map((colour) => [
        colour,
        {
          requests: count(`greenlight_requests{scenario:${scenario},colour:${colour}}`),
          ...latencies(metrics[`greenlight_duration{scenario:${scenario},colour:${colour}}`]),
        },
      ]),
    ),
  };
  const path = __ENV['SUMMARY'];
  if (path) return { [path]: JSON.stringify({ greenlight, ...data }, null, 1) };
  return { stdout: `${JSON.stringify(greenlight, null, 1)}\n` };
}
