import { binomialTail, fisherTail } from './statistics.ts';

/** Requests and how many of them failed. */
export interface Counted {
  requests: number;
  errors: number;
}

export interface HarmFacts {
  /** The minutes before the change. */
  before: Counted;
  /** Since the change, and in the last seconds alone: a failure that begins late would be diluted by the hour before. */
  since: Counted;
  recent: Counted;
}

/**
 * What still counts as chance. Two windows are looked at about once a second, for an hour at most: with 0.00001 the chance of a false alarm stays
 * below 5 %, as successive looks share nearly all of their requests.
 */
const significance = 0.00001;
/** Fewer failures than this are never significant, however few there were before. */
const leastErrors = 3;
/** With fewer requests before the change, the baseline is the SLO or their error rate, whichever is higher. */
const leastBefore = 100;

/**
 * Whether a colour that serves everybody fails more often since something was changed about it, by more than chance. Pure. Resolves to what was seen, for
 * people; undefined where nothing was, or where the counts are not sound.
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
