/**
 * What Greenlight tells a journey, by the environment: BASE_URL; RATE, requests per second in all; DURATION, seconds;
 * ROUTE_HEADERS, JSON; SUMMARY, path of the JSON summary (default: a short text on the console); VUS, most clients at a
 * time. For load from several processes or machines: SEGMENTS, how many there are; START_AT, when all begin
 * (milliseconds since the epoch); HISTOGRAM=1, so that their latencies can be added up.
 */

const number = (name: string, fallback: number): number => {
  const value = Number(__ENV[name] ?? fallback);
  if (!Number.isFinite(value) || value <= 0)
    throw new Error(`${name} has to be a number above 0, not "${__ENV[name]}"`);
  return value;
};

export const baseUrl = (__ENV['BASE_URL'] ?? '').replace(/\/$/, '');
export const rate = Math.max(1, Math.round(number('RATE', 10)));
export const duration = number('DURATION', 10);
export const segments = number('SEGMENTS', 1);
export const startAt = __ENV['START_AT'] === undefined ? undefined : number('START_AT', 0);
export const clients = number('VUS', Math.max(20, rate));
export const histogramWanted = __ENV['HISTOGRAM'] === '1';
export const summaryPath = __ENV['SUMMARY'];
export const headers: Record<string, string> = {
  ...(JSON.parse(__ENV['ROUTE_HEADERS'] ?? '{}') as Record<string, string>),
  'x-greenlight-synthetic': '1',
};

/** Name of the one scenario: k6 tags with it what the load sends, and not what its set-up sends. */
export const scenarioName = 'journey';
