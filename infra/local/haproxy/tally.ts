import { colours, type Colour } from '../../model.ts';
import type { ColourTraffic, TrafficWindow } from '../../platform/metrics.ts';
import type { AccessRecord } from './access-log.ts';
import { isLong } from './backends.ts';

/** Requests are kept one by one for this long: a window may begin at any of these times, ms. */
const singlyMs = 60_000;
/** A window that was not asked for over this long is forgotten, ms. */
const askedMs = 2 * 60_000;
/** Longer times have three digits, as there could be as many different ones as requests, ms. */
const exactMs = 10_000;
/**
 * Most latencies of a window. Of more, as many are taken at equal ranks. A share of slow requests of 5 % then has a standard error of 0.15
 * percentage points.
 */
export const mostLatencies = 20_000;

/** What is kept of one request. */
interface Counted {
  at: number;
  colour: Colour;
  write: boolean;
  split: boolean;
  anew: boolean;
  error: boolean;
  /** The setting by which it was cut. */
  cut: string | undefined;
  /** -1: not available. */
  ms: number;
}

/** Traffic of a colour. HAProxy measures whole milliseconds: many requests have the same. */
interface Sums {
  requests: number;
  errors: number;
  writes: number;
  splitReads: number;
  withoutCookie: number;
  latencies: Map<number, number>;
  cut: Map<string, number>;
}

/** The requests from the time `from` on, until the next segment begins. */
interface Segment {
  from: number;
  /** The newest request when a window was last asked for that begins here, ms since the epoch. */
  asked: number;
  colours: Record<Colour, Sums>;
}

/**
 * Counts requests, so that windows of days need no more memory than windows of minutes. It keeps single requests of the last minute, and before
 * that the sums between the times at which windows begin. A window is asked for again and again with the same beginning.
 */
export class Tally {
  readonly #patienceMs: number;
  #segments: Segment[];
  #recent: Counted[] = [];
  /** Single requests are kept from here on, ms since the epoch. */
  #singlyFrom: number;
  #newestAt: number | undefined;

  /** `from`: the first time that a window may begin at. `patienceMs`: a client that left later than this had waited in vain. */
  constructor(from: number, patienceMs: number) {
    this.#patienceMs = patienceMs;
    this.#singlyFrom = from;
    this.#segments = [segment(from, from)];
  }

  /** How many requests and segments are kept. */
  get size(): { requests: number; segments: number } {
    return { requests: this.#recent.length, segments: this.#segments.length };
  }

  /** Requests come about in the order in which they ended. */
  add(record: AccessRecord): void {
    if (record.at < (this.#segments[0]?.from ?? 0)) return;
    this.#newestAt = record.at;
    const request = counted(record, this.#patienceMs);
    if (request === undefined) return;
    if (request.at < this.#singlyFrom) this.#sum(request);
    else this.#recent.push(request);
    const [oldest] = this.#recent;
    // Not for each request: it looks at all of them.
    if (oldest !== undefined && record.at - oldest.at > 2 * singlyMs) this.#settle(record.at - singlyMs);
  }

  /**
   * The traffic within [from, to), ms since the epoch. Undefined if it is not known: the window begins or ends more than a minute ago, and
   * not where one began before.
   */
  window(from: number, to: number): TrafficWindow | undefined {
    if (!this.#begins(from) || (to < this.#singlyFrom && !this.#segments.some((one) => one.from === to)))
      return undefined;
    const found = { blue: nothing(), green: nothing() };
    for (const segment of this.#segments)
      if (segment.from >= from && segment.from < to)
        for (const colour of colours) addUp(found[colour], segment.colours[colour]);
    for (const request of this.#recent)
      if (request.at >= from && request.at < to) count(found[request.colour], request);
    this.#forget();
    return {
      from,
      to,
      colours: { blue: traffic(found.blue), green: traffic(found.green) },
      newestAt: this.#newestAt,
    };
  }

  /** Whether a window can begin there. From now on one does. */
  #begins(from: number): boolean {
    const at = this.#segments.findIndex((one) => one.from >= from);
    const found = this.#segments[at];
    const asked = this.#newestAt ?? from;
    if (found?.from === from) {
      found.asked = asked;
      return true;
    }
    if (from < this.#singlyFrom) return false;
    this.#segments.splice(at < 0 ? this.#segments.length : at, 0, segment(from, asked));
    return true;
  }

  #sum(request: Counted): void {
    const into = this.#segments.findLast(({ from }) => from <= request.at);
    if (into !== undefined) count(into.colours[request.colour], request);
  }

  /** Adds the single requests before `until` to the sums. */
  #settle(until: number): void {
    for (const request of this.#recent) if (request.at < until) this.#sum(request);
    this.#recent = this.#recent.filter(({ at }) => at >= until);
    this.#singlyFrom = until;
  }

  /** Joins each segment that nobody asks for any more with the one before it. What lies before all windows is dropped. */
  #forget(): void {
    const stale = (this.#newestAt ?? 0) - askedMs;
    const kept: Segment[] = [];
    for (const one of this.#segments) {
      const before = kept.at(-1);
      if (before === undefined || one.asked >= stale) kept.push(one);
      else for (const colour of colours) addUp(before.colours[colour], one.colours[colour]);
    }
    this.#segments = kept;
    if (this.#segments.length > 1 && (this.#segments[0]?.asked ?? 0) < stale) this.#segments.shift();
  }
}

/**
 * HAProxy's termination state. First letter, the side that ended the request: `C` or `c` the client, `S` or `s` the
 * server by abort or timeout, which is an error even if the status had been sent. Second letter `D` or `L`: the
 * response was already being sent.
 */
function judge({ status, state, ms, kind }: AccessRecord, patienceMs: number): 'answered' | 'error' | 'left' {
  // Ended by the router after a flip: nothing of the release.
  if (isLong(kind) && state.startsWith('K')) return status > 0 ? 'answered' : 'left';
  // What was upgraded is the application's: how it ends says nothing.
  if (status === 101) return 'answered';
  if (/^[Cc][^DL]/.test(state)) return ms < patienceMs ? 'left' : 'error';
  return status >= 500 || status <= 0 || /^[Ss]/.test(state) ? 'error' : 'answered';
}

/**
 * The setting of the definition by which an answer was cut. HAProxy's termination state: `s` the time-out of the server, in phase `H` before the
 * answer began, in phase `D` within it; `PH` the answer has no head that can be read.
 */
function cutBy({ state, service, kind }: AccessRecord): string | undefined {
  if (state === 'PH') return 'application.http.headerKilobytes';
  if (state !== 'sH' && state !== 'sD') return undefined;
  const quiet = kind === 'stream' || (kind === 'tunnel' && state === 'sD');
  return `timeouts.${quiet ? 'quietSeconds' : 'answerSeconds'} of the service ${service}`;
}

/**
 * Undefined for what does not count: requests routed by header, requests without a colour, and requests that the client aborted
 * before `patienceMs` without a response. A later abort is an error.
 */
function counted(record: AccessRecord, patienceMs: number): Counted | undefined {
  const { at, colour, kind, by, ms } = record;
  if (by === 'header' || colour === undefined) return undefined;
  const outcome = judge(record, patienceMs);
  if (outcome === 'left') return undefined;
  const write = kind === 'write';
  const rounded = ms < exactMs ? ms : Number(ms.toPrecision(3));
  return {
    at,
    colour,
    write,
    split: (kind === 'read' || kind === 'stream') && by === 'split',
    anew: by === 'anew',
    error: outcome === 'error',
    cut: cutBy(record),
    ms: rounded,
  };
}

const nothing = (): Sums => ({
  requests: 0,
  errors: 0,
  writes: 0,
  splitReads: 0,
  withoutCookie: 0,
  latencies: new Map(),
  cut: new Map(),
});

const segment = (from: number, asked: number): Segment => ({
  from,
  asked,
  colours: { blue: nothing(), green: nothing() },
});

function count(sums: Sums, { write, split, anew, error, cut, ms }: Omit<Counted, 'at' | 'colour'>): void {
  sums.requests += 1;
  if (write) sums.writes += 1;
  if (split) sums.splitReads += 1;
  if (anew) sums.withoutCookie += 1;
  if (error) sums.errors += 1;
  if (error && cut !== undefined) sums.cut.set(cut, (sums.cut.get(cut) ?? 0) + 1);
  if (ms >= 0) sums.latencies.set(ms, (sums.latencies.get(ms) ?? 0) + 1);
}

function addUp(sums: Sums, more: Sums): void {
  for (const name of ['requests', 'errors', 'writes', 'splitReads', 'withoutCookie'] as const) sums[name] += more[name];
  for (const [ms, times] of more.latencies) sums.latencies.set(ms, (sums.latencies.get(ms) ?? 0) + times);
  for (const [setting, times] of more.cut) sums.cut.set(setting, (sums.cut.get(setting) ?? 0) + times);
}

function traffic({ latencies, cut, withoutCookie, ...sums }: Sums): ColourTraffic {
  const timed = latencies.values().reduce((sum, times) => sum + times, 0);
  const values = Math.min(timed, mostLatencies);
  const perValue = timed / values;
  const latenciesMs: number[] = [];
  let upTo = 0;
  for (const [ms, times] of [...latencies].sort(([a], [b]) => a - b)) {
    upTo += times;
    // The value of rank r stands for the middle of its share.
    while (latenciesMs.length < values && (latenciesMs.length + 0.5) * perValue < upTo) latenciesMs.push(ms);
  }
  return {
    ...sums,
    latenciesMs,
    ...(withoutCookie > 0 ? { withoutCookie } : {}),
    ...(cut.size > 0 ? { cut: Object.fromEntries(cut) } : {}),
    ...(timed > values ? { timed } : {}),
  };
}
