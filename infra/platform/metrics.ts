import type { Colour } from '../model.ts';

export interface ColourTraffic {
  requests: number;
  /** Responses with status 5xx, and requests without a response. */
  errors: number;
  writes: number;
  /** Reads routed by the split. Excludes reads of a client that has just written: they go to the live colour. */
  splitReads: number;
  /** Of the writes those that are one only because they have no session cookie (`writes.withoutCookie`). Absent: none, or not known. */
  withoutCookie?: number;
  /**
   * Latency of each request at the balancer, ms, unsorted. Of many requests there are a few thousand values that represent `timed` of
   * them, and so of a platform that knows only quantiles. Statistical tests are then less sensitive.
   */
  latenciesMs: number[];
  /** Errors that are an answer which the balancer cut, by the setting of the definition that says when. Absent: none, or not known. */
  cut?: Record<string, number>;
  /** Number of requests with a known latency, if `latenciesMs` has fewer values. */
  timed?: number;
}

export interface TrafficWindow {
  /**
   * Time that the numbers cover, ms since the epoch. Shorter than requested if the platform counts in whole periods.
   */
  from: number;
  to: number;
  colours: Record<Colour, ColourTraffic>;
  /** Time of the newest record of any kind, ms since the epoch. Much older than `to`: the data is stale. */
  newestAt: number | undefined;
}

export interface Metrics {
  /** Maximum delay of a record, ms. Data younger than this is incomplete. */
  readonly delayMs: number;
  /** Length of the periods in which requests are counted, ms. 0: each request is recorded. */
  readonly periodMs: number;
  /** Requests that ended within [from, to), ms since the epoch, except those routed by header. */
  window(from: number, to: number): Promise<TrafficWindow>;
  /** CPU seconds used so far by each part (`api.blue`, `database.blue`, `balancer`), to find a bottleneck. */
  cpuSeconds(): Promise<Record<string, number>>;
}
