import { other, type Colour, type Split } from '../../../infra/model.ts';
import type { ColourTraffic, TrafficWindow } from '../../../infra/platform/metrics.ts';
import type { Environment } from '../../../infra/platform/environment.ts';
import { percentile } from '../../canary/judge.ts';
import type { ObservedTraffic } from '../../journal/events.ts';
import type { Journal } from '../../journal/journal.ts';

/** Milliseconds between two records of the traffic, at the beginning. */
const leastMs = 5_000;
/** The share of the time that a record may be of: the longest bake time has some thousands of them, which a plot and the journal can take. */
const share = 0.001;

/** Milliseconds until the next record, when the recording has taken so long. */
export const periodMs = (recordedMs: number): number => Math.max(leastMs, recordedMs * share);

export interface Recorder {
  stop(): Promise<void>;
}

/**
 * Records in the journal, until stopped, what the balancer saw of each colour. A reading that fails is left out: the
 * gates read for themselves, and a gap in the plot is the truth.
 */
export function startRecorder(environment: Pick<Environment, 'metrics' | 'router'>, journal: Journal): Recorder {
  const began = Date.now();
  let from = began;
  let busy: Promise<void> = Promise.resolve();
  const record = async () => {
    const to = Math.max(from, Date.now() - environment.metrics.delayMs);
    try {
      const [window, state] = await Promise.all([environment.metrics.window(from, to), environment.router.read()]);
      // Where the platform counts in periods, there may be no whole one yet.
      if (window.to <= window.from) return;
      if (state.split !== undefined) journal.append(observed(window, state.split));
      from = window.to;
    } catch {
      // Read again next time, over the longer window.
    }
  };
  const next = (): NodeJS.Timeout =>
    setTimeout(
      () => {
        busy = busy.then(record);
        timer = next();
      },
      periodMs(Date.now() - began),
    );
  let timer = next();
  return {
    async stop() {
      clearTimeout(timer);
      await busy;
    },
  };
}

/** The journal's event for a window of traffic. */
export function observed(window: TrafficWindow, split: Split) {
  const colours: Record<Colour, ObservedTraffic> = {
    blue: summarise(window.colours.blue),
    green: summarise(window.colours.green),
  };
  return { type: 'traffic.observed' as const, from: window.from, to: window.to, colours, split };
}

/** Percent of the reads that the split sent to the colour that is not live; undefined without such reads. */
export function observedPercent({ colours }: TrafficWindow, live: Colour): number | undefined {
  const all = colours.blue.splitReads + colours.green.splitReads;
  return all === 0 ? undefined : (100 * colours[other(live)].splitReads) / all;
}

function summarise({ requests, errors, writes, latenciesMs }: ColourTraffic): ObservedTraffic {
  const at = (p: number) => (latenciesMs.length === 0 ? undefined : percentile(latenciesMs, p));
  return { requests, errors, writes, p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99) };
}
