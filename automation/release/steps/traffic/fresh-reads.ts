import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../../../infra/lib/errors.ts';
import { other, type Colour, type Split } from '../../../../infra/model.ts';
import { wroteSeconds, type Router } from '../../../../infra/platform/router.ts';
import { DelayMeter } from '../../../data/replication/delay.ts';
import type { ReleaseContext } from '../../context/context.ts';
import { StageStopped } from '../../context/stage.ts';
import { linkOf } from './link.ts';

/** Pause between two looks, and how long one waits for the canary to apply its mark, ms. */
const lookMs = 500;
const patienceMs = 300;
/** A look that is not answered for so long is one that found the canary behind, ms. */
const unansweredMs = 1_000;
/** To change the split, with a reserve, ms. */
const changeMs = 1_500;

/**
 * How old the data of the canary may be, ms. A client's own write is read from the live colour for `wroteSeconds`; after that its
 * reads may go to the canary, which has to have the write by then. So reads must be back before the data is that old.
 */
export const staleMs = wroteSeconds * 1000 - lookMs - unansweredMs - changeMs;
/** Longest time to wait for the canary to catch up, ms. A transaction that writes a million rows needs less to be applied. */
const regainMs = 60_000;

export interface FreshReads {
  /** Whether the canary's reads are with the live colour at the moment, as its data would be too old. */
  readonly behind: boolean;
  /** Resolves once reads may go to the canary. Rejects with StageStopped if that takes too long. */
  regained(): Promise<void>;
  /** Nothing changes the split from the moment on at which this resolves, until `resume`: a flip must have it alone. */
  pause(): Promise<void>;
  resume(): void;
}

export interface Guarded {
  live: Colour;
  router: Pick<Router, 'read' | 'apply'>;
  meter: Pick<DelayMeter, 'look' | 'delayMs' | 'close'>;
  note: (text: string, level?: 'info' | 'warning') => void;
  /** Called with each split that is set. */
  set: (split: Split, ms: number) => void;
  /** Whether this program still owns the environment. */
  ours?: (() => boolean) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * While `work` runs: as soon as the canary's data may be older than `staleMs`, all reads go back to the live colour. They go to the
 * canary again once it has caught up. What cannot be measured counts as too old.
 */
export async function whileReadsAreFresh<T>(guarded: Guarded, work: (fresh: FreshReads) => Promise<T>): Promise<T> {
  const { live, router, meter, note, set, ours } = guarded;
  const canary = other(live);
  const end = new AbortController();
  /** Since when it is behind (`performance.now()`), and the percent that was taken back; 0: no reads were there. */
  let late: { since: number; percent: number } | undefined;
  let paused = false;
  let applying: Promise<unknown> = Promise.resolve();

  const apply = async (percent: number): Promise<void> => {
    const split = { live, percent };
    const started = performance.now();
    const applied = router.apply(split);
    applying = applied.catch(() => undefined);
    await applied;
    set(split, Math.round(performance.now() - started));
  };
  const look = async (): Promise<void> => {
    const unanswered = sleep(unansweredMs, 'it was not answered in time', { ref: false });
    const problem = await Promise.race([meter.look(patienceMs).then(() => undefined, messageOf), unanswered]);
    if (end.signal.aborted || paused || ours?.() === false) return;
    const { delayMs } = meter;
    if (delayMs > staleMs) {
      late ??= { since: performance.now(), percent: 0 };
      const { split } = await router.read();
      // Nothing is there, or it is there no more; a step may set its percent later. Meanwhile it may have been paused.
      if (paused || split?.live !== live || split.percent === 0) return;
      late.percent = split.percent;
      await apply(0);
      const why = problem === undefined ? '' : ` (${problem})`;
      note(
        `${canary} is ${(delayMs / 1000).toFixed(1)} s behind${why}: its reads are with ${live} until it has caught up`,
        'warning',
      );
    } else if (late !== undefined && delayMs < staleMs / 2) {
      const { since, percent } = late;
      const state = percent > 0 ? await router.read() : undefined;
      if (paused) return;
      if (state?.split?.live === live) {
        await apply(percent);
        const seconds = ((performance.now() - since) / 1000).toFixed(1);
        note(`${canary} has caught up after ${seconds} s, and has its reads again`);
      }
      late = undefined;
    }
  };
  const watching = (async () => {
    while (!end.signal.aborted) {
      // The balancer cannot be asked: it is tried again at the next look.
      if (!paused)
        await look().catch((error: unknown) =>
          note(`the reads of ${canary} are not watched: ${messageOf(error)}`, 'warning'),
        );
      await sleep(lookMs, undefined, { signal: end.signal }).catch(() => undefined);
    }
    await meter.close();
  })();
  const fresh: FreshReads = {
    get behind() {
      return late !== undefined;
    },
    async regained() {
      while (late !== undefined) {
        guarded.signal?.throwIfAborted();
        if (performance.now() - late.since > regainMs)
          throw new StageStopped(
            'rolled-back',
            `${canary} has been more than ${staleMs / 1000} s behind for ${regainMs / 1000} s: its reads would be too old for clients that have written`,
          );
        await sleep(lookMs, undefined, guarded.signal === undefined ? {} : { signal: guarded.signal });
      }
    },
    async pause() {
      paused = true;
      await applying;
    },
    resume() {
      paused = false;
    },
  };
  try {
    return await work(fresh);
  } finally {
    end.abort();
    await watching;
  }
}

/** What `keepReadsFresh` does, for the plan. */
export const readsFresh = (live: Colour): string =>
  `take all reads back to ${live} while ${other(live)} is more than ${staleMs / 1000} s behind`;

/** The same for a canary of a release. */
export async function keepReadsFresh<T>(
  context: ReleaseContext,
  live: Colour,
  work: (fresh: FreshReads) => Promise<T>,
): Promise<T> {
  const { journal, note, hasLock, signal } = context;
  const { router } = await context.connect();
  const meter = new DelayMeter(await linkOf(context, live, other(live)));
  const set = (split: Split, ms: number): unknown => journal.append({ type: 'traffic.set', split, by: 'balancer', ms });
  return whileReadsAreFresh({ live, router, meter, note, set, ours: hasLock, signal }, work);
}
