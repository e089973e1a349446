import type { ColourTraffic } from '../../infra/platform/metrics.ts';
import type { ReleaseDefinition } from '../config/schema.ts';
import { passes, worst, type Measurement, type Verdict } from '../journal/verdict.ts';
import { binomialTail, fisherTail, mannWhitneyGreater, percentile } from './statistics.ts';

export { percentile } from './statistics.ts';

/**
 * Judges a window of traffic. Pure. A colour is judged by the SLOs, and a canary is also compared with the live colour,
 * which had the same kind of requests at the same time. As in Kayenta (Netflix and Google), a difference in latency
 * fails only if it is both large and significant, by a rank test (Mann-Whitney) or by the count of slow requests.
 * Missing, thin, stale or invalid data is `inconclusive`, and so is an excess over an SLO that is not significant.
 */

export type JudgeSettings = Pick<ReleaseDefinition, 'slo' | 'canary'>;

export interface Freshness {
  /** ms since the epoch. */
  now: number;
  /** Time of the newest record, ms since the epoch; undefined if there is none. */
  newestAt: number | undefined;
}

export interface Judgement {
  verdict: Verdict;
  /** One sentence, for a person. */
  reason: string;
  measurements: Measurement[];
}

/**
 * Significance level. A window is judged about once a second, and the first failure counts. With 0.001 the probability
 * of a false alarm in about fifty judgements stays below 5 %.
 */
const significance = 0.001;
/** Records arrive within a second. Without one for this long, measuring is broken or there is no traffic. */
const staleMs = 5_000;
const quantile = 0.95;

/** Judges the new colour by the SLOs and by comparison with the live colour. */
export function judgeCanary(
  { live, canary }: { live: ColourTraffic; canary: ColourTraffic },
  settings: JudgeSettings,
  freshness: Freshness,
): Judgement {
  const unusable = whyUnusable({ 'new colour': canary, 'live colour': live }, freshness);
  if (unusable !== undefined) return inconclusive(unusable);
  const { minRequests } = settings.canary;
  return judged([
    enoughRequests('requests on the new colour', canary, minRequests),
    enoughRequests('requests on the live colour', live, minRequests),
    ...objectives(canary, settings),
    errorsAgainstLive(canary, live),
    ...(isEnough(canary, minRequests) && isEnough(live, minRequests) ? [slowerThanLive(canary, live, settings)] : []),
  ]);
}

/** Judges the live colour during the bake time, by the SLOs only. */
export function judgeLive(traffic: ColourTraffic, settings: JudgeSettings, freshness: Freshness): Judgement {
  const unusable = whyUnusable({ 'live colour': traffic }, freshness);
  if (unusable !== undefined) return inconclusive(unusable);
  return judged([enoughRequests('requests', traffic, settings.canary.minRequests), ...objectives(traffic, settings)]);
}

function judged(measurements: Measurement[]): Judgement {
  const verdict = worst(measurements.map((m) => m.verdict));
  const decisive = measurements.find((m) => m.verdict === verdict);
  const passed = `${measurements.length} measurements are within their limits`;
  const reason = passes(verdict) || decisive === undefined ? passed : sentence(decisive);
  return { verdict, reason, measurements };
}

const sentence = ({ name, measured, wanted, note }: Measurement): string =>
  `${name}: ${measured}, wanted ${wanted}${note === undefined ? '' : ` (${note})`}`;

const inconclusive = (measurement: Measurement): Judgement => ({
  verdict: 'inconclusive',
  reason: sentence(measurement),
  measurements: [measurement],
});

/** Why the data allows no verdict at all; undefined if it is usable. */
function whyUnusable(colours: Record<string, ColourTraffic>, { now, newestAt }: Freshness): Measurement | undefined {
  const wanted = `newest record at most ${staleMs / 1000} s old`;
  if (newestAt === undefined || !Number.isFinite(newestAt)) {
    return { name: 'measuring', measured: 'no record at all', wanted, verdict: 'inconclusive' };
  }
  if (!(now - newestAt <= staleMs)) {
    const measured = `newest record ${((now - newestAt) / 1000).toFixed(1)} s old`;
    return {
      name: 'measuring',
      measured,
      wanted,
      verdict: 'inconclusive',
      note: 'measuring is broken, or there is no traffic',
    };
  }
  for (const [name, { requests, errors, latenciesMs, timed = 0 }] of Object.entries(colours)) {
    const isCount = (value: number) => Number.isInteger(value) && value >= 0;
    const sound =
      [requests, errors, timed].every(isCount) &&
      errors <= requests &&
      latenciesMs.every((ms) => ms >= 0 && ms < Infinity);
    if (!sound) {
      const measured = 'impossible counts or latencies';
      return { name: `measuring of the ${name}`, measured, wanted: 'valid data', verdict: 'inconclusive' };
    }
  }
  return undefined;
}

/** Number of requests whose latency is known. */
const known = ({ requests, latenciesMs, timed = latenciesMs.length }: ColourTraffic): number =>
  Math.min(requests, timed);
const isEnough = (traffic: ColourTraffic, least: number): boolean => known(traffic) >= least;

function enoughRequests(name: string, traffic: ColourTraffic, least: number): Measurement {
  const count = known(traffic);
  const verdict = isEnough(traffic, least) ? 'pass' : 'inconclusive';
  return { name, measured: String(count), wanted: `>= ${least}`, verdict };
}

/**
 * Judges by the SLOs. Errors are judged with few requests too, because the test of significance accounts for the
 * number.
 */
function objectives(traffic: ColourTraffic, { slo, canary }: JudgeSettings): Measurement[] {
  const { requests, errors, latenciesMs, cut = {} } = traffic;
  const by = Object.entries(cut).map(([setting, count]) => `; ${count} cut by ${setting}`);
  const errorShare = requests === 0 ? 0 : errors / requests;
  const errorRate: Measurement = {
    name: 'failed requests',
    measured: `${percent(errorShare)} (${errors} of ${requests}${by.join('')})`,
    wanted: `<= ${percent(slo.errorRate)}`,
    ...beyond(errorShare > slo.errorRate, binomialTail(errors, requests, slo.errorRate)),
  };
  if (requests === 0) return [];
  if (!isEnough(traffic, canary.minRequests)) return [errorRate];
  // The p95 is beyond its limit exactly when more than 5 % of all requests take longer than the limit.
  const p95 = percentile(latenciesMs, quantile);
  const slow = latenciesMs.filter((ms) => ms > slo.p95Ms).length;
  const latency: Measurement = {
    name: 'p95',
    measured: milliseconds(p95),
    wanted: `<= ${milliseconds(slo.p95Ms)}`,
    ...beyond(p95 > slo.p95Ms, binomialTail(slow, latenciesMs.length, 1 - quantile)),
  };
  return [errorRate, latency];
}

/** A significant excess over a limit fails; an excess that may be chance is inconclusive. */
function beyond(isBeyond: boolean, probability: number): Pick<Measurement, 'verdict' | 'note'> {
  if (!isBeyond) return { verdict: 'pass' };
  if (probability < significance) return { verdict: 'fail' };
  return {
    verdict: 'inconclusive',
    note: `may be chance, p = ${probability.toFixed(3)}; more requests are needed to decide`,
  };
}

function errorsAgainstLive(canary: ColourTraffic, live: ColourTraffic): Measurement {
  const probability = fisherTail(canary.errors, canary.requests, live.errors, live.requests);
  return {
    name: 'failed requests against the live colour',
    measured: `${canary.errors} of ${canary.requests}`,
    wanted: `not more often than ${live.errors} of ${live.requests}`,
    verdict: probability < significance ? 'fail' : 'pass',
  };
}

/**
 * Fails if the p95 is above the limit relative to the live colour, and a rank test or the count of slow requests is
 * significant.
 */
function slowerThanLive(canary: ColourTraffic, live: ColourTraffic, settings: JudgeSettings): Measurement {
  const { maxP95Ratio, noticeableMs } = settings.canary;
  const [ours, theirs] = [percentile(canary.latenciesMs, quantile), percentile(live.latenciesMs, quantile)];
  // For fast answers a large ratio may be a few milliseconds that nobody notices, so a minimum difference is required
  // too.
  const limit = Math.max(theirs * maxP95Ratio, theirs + noticeableMs);
  const shared = {
    name: 'p95 against the live colour',
    measured: `${milliseconds(ours)} against ${milliseconds(theirs)}`,
    wanted: `<= ${maxP95Ratio} times, or ${noticeableMs} ms more`,
  };
  if (ours <= limit) return { ...shared, verdict: 'pass' };
  // The rank test detects a shift of all latencies. A slow tail hardly changes the ranks, so slow requests are counted
  // too.
  const shift = mannWhitneyGreater(canary.latenciesMs, live.latenciesMs);
  const above = (traffic: ColourTraffic) => traffic.latenciesMs.filter((ms) => ms > limit).length;
  const tail = fisherTail(above(canary), canary.latenciesMs.length, above(live), live.latenciesMs.length);
  const probability = Math.min(shift, tail);
  if (probability < significance) return { ...shared, verdict: 'fail' };
  return { ...shared, verdict: 'pass', note: `above the limit, but this may be chance: p = ${probability.toFixed(3)}` };
}

const milliseconds = (ms: number): string => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;
