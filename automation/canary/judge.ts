import type { ColourTraffic } from '../../infra/platform/metrics.ts';
import type { ReleaseDefinition } from '../config/schema.ts';
import { passes, worst, type Measurement, type Verdict } from '../journal/verdict.ts';
import { binomialTail, fisherTail, mannWhitneyGreater, percentile } from './statistics.ts';

export { percentile } from './statistics.ts';

/**
 * Judges a window of traffic. Pure: the same traffic gives the same verdict. Against the SLOs a colour is judged by
 * itself; against the live colour, which had the same minutes and the same kind of requests, by comparison. As in
 * Kayenta (the judge of Netflix and Google), a comparison fails only where the difference is both large and significant
 * by a rank test (Mann-Whitney): noise alone does not stop a release. Missing, thin, stale or broken data is
 * `inconclusive`, and so is what lies beyond an SLO, but by so little or on so few requests that it may be chance.
 */

export type JudgeSettings = Pick<ReleaseDefinition, 'slo' | 'canary'>;

export interface Freshness {
  /** ms since the epoch. */
  now: number;
  /** Time of the newest record seen at all, ms since the epoch; undefined where there is none. */
  newestAt: number | undefined;
}

export interface Judgement {
  verdict: Verdict;
  /** One sentence, for a person. */
  reason: string;
  measurements: Measurement[];
}

/**
 * What still counts as chance. A window is looked at about once a second and fails at the first look that says so:
 * with 0.001 the chance of a false alarm in some fifty looks stays below 5 %.
 */
const significance = 0.001;
/** Records arrive within a second. After this long without one, measuring is broken or there is no traffic. */
const staleMs = 5_000;
const quantile = 0.95;

/** Judges the colour that is to go live beside the live one. */
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

/** Judges the colour that serves everybody, during the bake time: by the SLOs alone. */
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

/** Why the data allows no conclusion, not even a failure; undefined if it does. */
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
      const measured = 'counts or latencies that are impossible or not numbers';
      return { name: `measuring of the ${name}`, measured, wanted: 'sound data', verdict: 'inconclusive' };
    }
  }
  return undefined;
}

/** Requests whose latency is known too. */
const known = ({ requests, latenciesMs, timed = latenciesMs.length }: ColourTraffic): number =>
  Math.min(requests, timed);
const isEnough = (traffic: ColourTraffic, least: number): boolean => known(traffic) >= least;

function enoughRequests(name: string, traffic: ColourTraffic, least: number): Measurement {
  const count = known(traffic);
  const verdict = isEnough(traffic, least) ? 'pass' : 'inconclusive';
  return { name, measured: String(count), wanted: `>= ${least}`, verdict };
}

/** The SLOs. Errors are judged however few requests there are: a colour that answers nothing right needs no sample. */
function objectives(traffic: ColourTraffic, { slo, canary }: JudgeSettings): Measurement[] {
  const { requests, errors, latenciesMs } = traffic;
  const errorShare = requests === 0 ? 0 : errors / requests;
  const errorRate: Measurement = {
    name: 'failed requests',
    measured: `${percent(errorShare)} (${errors} of ${requests})`,
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

/** The verdict on a limit: a significant excess fails, an excess that may be chance is inconclusive. */
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

/** Fails where the p95 is too many times the live colour's, and either all latencies or the slow ones have shifted. */
function slowerThanLive(canary: ColourTraffic, live: ColourTraffic, settings: JudgeSettings): Measurement {
  const { maxP95Ratio, noticeableMs } = settings.canary;
  const [ours, theirs] = [percentile(canary.latenciesMs, quantile), percentile(live.latenciesMs, quantile)];
  // Between two fast answers even a large ratio is not noticeable, so a minimum difference is required too.
  const limit = Math.max(theirs * maxP95Ratio, theirs + noticeableMs);
  const shared = {
    name: 'p95 against the live colour',
    measured: `${milliseconds(ours)} against ${milliseconds(theirs)}`,
    wanted: `<= ${maxP95Ratio} times, or ${noticeableMs} ms more`,
  };
  if (ours <= limit) return { ...shared, verdict: 'pass' };
  // The rank test sees a shift of all requests; a slow tail alone hardly moves ranks, so it is counted as well.
  const shift = mannWhitneyGreater(canary.latenciesMs, live.latenciesMs);
  const above = (traffic: ColourTraffic) => traffic.latenciesMs.filter((ms) => ms > limit).length;
  const tail = fisherTail(above(canary), canary.latenciesMs.length, above(live), live.latenciesMs.length);
  const probability = Math.min(shift, tail);
  if (probability < significance) return { ...shared, verdict: 'fail' };
  return { ...shared, verdict: 'pass', note: `above the limit, but this may be chance: p = ${probability.toFixed(3)}` };
}

const milliseconds = (ms: number): string => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;
