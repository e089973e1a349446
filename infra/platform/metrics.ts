import type { Colour } from '../model.ts';

export interface ColourTraffic {
  requests: number;
  /** Answers with status 5xx, and requests that got no answer. */
  errors: number;
  writes: number;
  /** Reads that the split alone decided on: not those of a client that had just written, which stay on the live colour. */
  splitReads: number;
  /**
   * One per request, milliseconds at the balancer, unsorted. Where the platform knows quantiles only: values that are spread as the
   * quantiles say, as many as there were requests, or some thousands that stand for `timed` of them. A test of them is less sharp then.
   */
  latenciesMs: number[];
  /** Requests whose time is known, where `latenciesMs` has fewer values. */
  timed?: number;
}

export interface TrafficWindow {
  /** What the numbers cover, ms since the epoch: less than was asked for where the platform counts in whole periods. */
  from: number;
  to: number;
  colours: Record<Colour, ColourTraffic>;
  /** Time (ms since the epoch) of the newest record seen at all; older than `to` by much means stale data. */
  newestAt: number | undefined;
}

export interface Metrics {
  /** How late a record may be, ms: what is younger is not complete yet. */
  readonly delayMs: number;
  /** Requests are counted in whole periods of so many ms; 0: each by itself. */
  readonly periodMs: number;
  /** All requests that ended within [from, to), ms since the epoch, without those of the header route. */
  window(from: number, to: number): Promise<TrafficWindow>;
  /** CPU seconds used so far by each part (`api.blue`, `database.blue`, `balancer`), to name a bottleneck. */
  cpuSeconds(): Promise<Record<string, number>>;
}
