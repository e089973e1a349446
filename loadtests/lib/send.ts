import { sleep } from 'k6';
import http, { type Params, type RefinedResponse, type ResponseType } from 'k6/http';
import { Counter, Rate, Trend } from 'k6/metrics';
import { record } from './histogram.ts';
import { colours } from './plan.ts';
import { baseUrl, headers } from './settings.ts';

/**
 * Requests have metrics of their own. k6's cannot be tagged by the answer, which the colour is part of; and they count
 * each attempt, but what counts for a user is the last one.
 */
const requests = new Counter('greenlight_requests');
const failures = new Rate('greenlight_failed');
const duration = new Trend('greenlight_duration', true);
const retries = new Counter('greenlight_retries');

/**
 * How often a request is repeated that has to wait, and for how long in all, seconds: a cutover on AWS holds writes for some
 * seconds, and a client that gives up before would call that a failure.
 */
const mostRetries = 20;
const longestWait = 20;

export interface Call {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  /** Name of the endpoint in the summary. */
  name: string;
  body?: Record<string, unknown>;
  cookies?: Record<string, string>;
  /** Unique key of a write, for the ledger. */
  key?: string;
  /** Counter that a write with a key increments by one: what `data.ledger.counters` finds the row by. */
  counter?: string;
}

type Answer = RefinedResponse<ResponseType | undefined>;

/**
 * Sends one request, and logs what the contract asks for. Never throws. An entry point that cannot let writes wait
 * answers 503 and when to come again (Retry-After, seconds): then the request is repeated, and only its last answer counts. A refused
 * write is not repeated: a read-only window is longer than a user waits.
 */
export function send(call: Call): Answer {
  // Before it is sent: a load that is ended in the middle cannot say so afterwards.
  if (call.counter !== undefined) console.log(JSON.stringify({ ledger: 'sent', counter: call.counter }));
  let began = Date.now();
  let response = attempt(call);
  let waited = 0;
  for (let retry = 1; retry <= mostRetries; retry += 1) {
    const pause = retryAfter(response);
    if (pause === undefined || waited + pause > longestWait) break;
    retries.add(1, { name: call.name });
    sleep(pause);
    waited += pause;
    // A wait that was asked for is not one for an answer.
    began = Date.now();
    response = attempt(call);
  }
  report(call, response, Date.now() - began);
  return response;
}

function attempt(call: Call): Answer {
  const params: Params = {
    headers: { ...headers, ...(call.body ? { 'content-type': 'application/json' } : {}) },
    cookies: call.cookies ?? {},
    tags: { name: call.name },
    timeout: '15s',
    redirects: 0,
  };
  return http.request(call.method, `${baseUrl}${call.path}`, call.body ? JSON.stringify(call.body) : null, params);
}

/** Whether the entry point says that it refused the write, and passed it to nobody. */
const wasRefused = (response: Answer): boolean =>
  response.status === 503 && response.headers['X-Greenlight-Writes'] === 'refused';

/** Seconds after which the server wants the request again. */
function retryAfter(response: Answer): number | undefined {
  if (wasRefused(response)) return undefined;
  const header = response.headers['Retry-After'];
  return response.status === 503 && header !== undefined && /^\d+$/.test(header) ? Number(header) : undefined;
}

function report(call: Call, response: Answer, ms: number): void {
  const header = response.headers['X-Greenlight-Colour'];
  const colour = colours.find((one) => one === header) ?? 'none';
  const tags = { colour, name: call.name };
  const done = response.status >= 200 && response.status < 400;
  requests.add(1, tags);
  failures.add(!done, tags);
  duration.add(response.timings.duration, tags);
  record(response.timings.duration);
  // After a 5xx, as after no answer, nobody knows whether the write was kept. A 4xx and a refusal say that it was not.
  const unknown = (response.status === 0 || response.status >= 500) && !wasRefused(response);
  if (call.key !== undefined && (done || unknown)) {
    const counter = call.counter === undefined ? {} : { counter: call.counter };
    console.log(JSON.stringify({ ledger: done ? 'ack' : 'unknown', key: call.key, ...counter }));
  }
  if (!done)
    console.log(
      JSON.stringify({
        request: 'failed',
        method: call.method,
        url: call.path,
        status: response.status,
        at: Date.now(),
        ms,
        colour,
        ...(response.error ? { error: response.error } : {}),
      }),
    );
}
