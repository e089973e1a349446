import { binomialTail, fisherTail } from './statistics.ts';

export interface Counted {
  requests: number;
  errors: number;
}

export interface HarmFacts {
  /** Requests in the minutes before the change. */
  before: Counted;
  /** All requests since the change. */
  since: Counted;
  /** Requests of the last seconds: in `since` a failure that begins late is diluted by the requests before it. */
  recent: Counted;
}

/**
 * Significance level. Two windows are tested about once a second, for an hour at most. With 0.00001 the probability of
 * a false alarm stays below 5 %, because successive tests share nearly all of their requests.
 */
const significance = 0.00001;
/** Fewer failures than this never count as harm. */
const leastErrors = 3;
/**
 * With fewer requests than this before the change, the baseline is the SLO or their error rate, whichever is higher.
 */
const leastBefore = 100;

/**
 * Whether the live colour fails significantly more often since a change than before it. Pure. Returns a text for
 * people; undefined if it does not, or if the counts are not valid. `errorRate` is the SLO, a share from 0 to 1.
 */
export function judgeHarm({ before, since, recent }: HarmFacts, errorRate: number): string | undefined {
  if (![before, since, recent].every(isSound)) return undefined;
  const worse = [since, recent].find((window) => isWorse(before, window, errorRate));
  if (worse === undefined) return undefined;
  const which = worse === since ? 'since then' : 'lately';
  return `${worse.errors} of ${worse.requests} requests failed ${which}, ${before.errors} of ${before.requests} before`;
}

function isWorse(before: Counted, { errors, requests }: Counted, errorRate: number): boolean {
  if (errors < leastErrors) return false;
  if (before.requests >= leastBefore)
    return fisherTail(errors, requests, before.errors, before.requests) < significance;
  const share = before.requests === 0 ? 0 : before.errors / before.requests;
  return binomialTail(errors, requests, Math.max(errorRate, share)) < significance;
}

const isSound = ({ requests, errors }: Counted): boolean =>
  Number.isSafeInteger(requests) && Number.isSafeInteger(errors) && errors >= 0 && errors <= requests;
