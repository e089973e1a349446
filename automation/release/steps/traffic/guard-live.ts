import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../../../infra/lib/errors.ts';
import type { Colour } from '../../../../infra/model.ts';
import type { Metrics } from '../../../../infra/platform/metrics.ts';
import { withdrawSync } from '../../../data/replication/sync.ts';
import { judgeHarm, type Counted } from '../../../canary/harm.ts';
import type { ReleaseContext } from '../../context/context.ts';
import { StageStopped } from '../../context/stage.ts';
import { linkOf } from './link.ts';

/** Milliseconds between two looks at the failed requests of the live colour; they are compared with the minutes before. */
const lookMs = 1_000;
const beforeMs = 5 * 60_000;
const recentMs = 20_000;

export interface Guarded {
  metrics: Metrics;
  live: Colour;
  /** The SLO's share of failed requests: the baseline where there were too few requests before. */
  errorRate: number;
  /** Drops the publication at once. Idempotent. */
  withdraw: () => Promise<unknown>;
  note: (text: string, level?: 'info' | 'warning') => void;
}

/**
 * Does `work`, which publishes the live database, and watches the live colour meanwhile. Once more of its requests fail than before,
 * the publication is dropped, `work` is aborted by its signal, and this rejects with StageStopped. Missing or late metrics do not
 * stop the release; a note says so.
 */
export async function whileLiveIsWell<T>(guarded: Guarded, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { live, note } = guarded;
  const [over, harmed] = [new AbortController(), new AbortController()];
  const watching = untilHarm(guarded, over.signal).then(async (seen) => {
    if (seen === undefined) return undefined;
    harmed.abort(new Error(`${live} fails since it is published`));
    const taken = await withdraw(guarded);
    note(`${live} fails more often since it is published (${seen}): ${taken}`, 'warning');
    return seen;
  });
  const outcome = await work(harmed.signal).then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  over.abort();
  const seen = await watching;
  if (seen !== undefined) {
    // Again: `work` may have published once more before it ended.
    await withdraw(guarded);
    throw new StageStopped(
      'no-go',
      `publishing ${live} made its users' requests fail: ${seen}; the publication was taken away`,
    );
  }
  if ('error' in outcome) throw outcome.error;
  return outcome.value;
}

/** What `guardLive` does, for the plan. */
export const guarding = (live: Colour): string =>
  `watch the requests of ${live} meanwhile; end the replication from it if more of them fail than before`;

/** The same for a stage of a release, whose live colour is published for the new one. */
export async function guardLive<T>(
  context: ReleaseContext,
  live: Colour,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { to, definition, note } = context;
  const { metrics } = await context.connect();
  const withdraw = async (): Promise<void> => {
    // Another machine may have taken the environment over: then nothing may be changed.
    if (context.hasLock?.() === false) throw new Error('another machine has the environment');
    await withdrawSync(await linkOf(context, live, to.colour));
  };
  return whileLiveIsWell({ metrics, live, errorRate: definition.slo.errorRate, note, withdraw }, work);
}

async function withdraw({ withdraw }: Guarded): Promise<string> {
  const started = performance.now();
  return withdraw().then(
    () => `the publication was taken away within ${Math.round(performance.now() - started)} ms`,
    (error: unknown) => `taking the publication away failed: ${messageOf(error)}`,
  );
}

/** Resolves to what was seen, or to undefined at the end. */
async function untilHarm({ metrics, live, errorRate, note }: Guarded, over: AbortSignal): Promise<string | undefined> {
  const since = Date.now();
  const recent = Math.max(recentMs, 2 * metrics.periodMs);
  let before: Counted | undefined;
  // Counted once: to count all again with every look would read hours of the balancer's log each second.
  let earlier: Counted = { requests: 0, errors: 0 };
  let earlierTo = since;
  let looks = 0;
  let missed: string | undefined;
  const count = async (from: number, to: number): Promise<Counted> => (await metrics.window(from, to)).colours[live];
  const look = async (): Promise<string | undefined> => {
    const now = Date.now() - metrics.delayMs;
    if (now <= since) return undefined;
    before ??= await count(since - beforeMs, since).catch((error: unknown) => {
      note(
        `how ${live} did before it was published is not known (${messageOf(error)}): it is judged by its SLO`,
        'warning',
      );
      return { requests: 0, errors: 0 };
    });
    if (now - recent > earlierTo) {
      const { to, colours } = await metrics.window(earlierTo, now - recent);
      [earlier, earlierTo] = [sum(earlier, colours[live]), to];
    }
    const lately = await count(earlierTo, now);
    looks += 1;
    return judgeHarm({ before, since: sum(earlier, lately), recent: lately }, errorRate);
  };
  while (!over.aborted) {
    await sleep(lookMs, undefined, { signal: over }).catch(() => undefined);
    // The last look is not awaited once the work is over: with late metrics it can take minutes.
    const seen = await Promise.race([look().catch(miss), ended(over)]);
    if (seen !== undefined) return seen;
  }
  if (looks > 0 || Date.now() - since < lookMs) return undefined;
  const why = missed ?? `its metrics are ${metrics.delayMs / 1000} s late, and it took less`;
  note(`the failed requests of ${live} could not be watched while it was published: ${why}`, 'warning');
  return undefined;

  function miss(error: unknown): undefined {
    if (missed === undefined && !over.aborted)
      note(`a look at the traffic of ${live} was missed: ${messageOf(error)}`, 'warning');
    missed = messageOf(error);
  }
}

const sum = (one: Counted, other: Counted): Counted => ({
  requests: one.requests + other.requests,
  errors: one.errors + other.errors,
});

const ended = (signal: AbortSignal): Promise<undefined> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
