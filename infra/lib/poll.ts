import { setTimeout as sleep } from 'node:timers/promises';
import { OperationError } from './errors.ts';

export interface Pace {
  /** Pause between two looks, ms. */
  everyMs: number;
  /** The last look begins when this time is over, ms. */
  timeoutMs: number;
  /** Ends the wait at once; the promise rejects with an AbortError. */
  signal?: AbortSignal | undefined;
}

/**
 * Calls `look` until it gives anything but undefined, and resolves to that; resolves to undefined after the timeout. Looks at
 * least once, and never while an earlier look is unfinished. What `look` throws ends the wait.
 */
export async function poll<T>(
  look: () => Promise<T | undefined> | T | undefined,
  { everyMs, timeoutMs, signal }: Pace,
): Promise<T | undefined> {
  // The monotonic clock: a corrected system time must not end a wait.
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    const left = deadline - performance.now();
    if (found !== undefined || left <= 0) return found;
    await sleep(Math.min(everyMs, left), undefined, signal === undefined ? {} : { signal });
  }
}

export interface Wait extends Pace {
  /** What is waited for, and what to do where it does not come: parts of the error's message. */
  doing: string;
  todo: string;
}

/**
 * Calls `condition` until it gives true. A text says what it found instead; the last one is in the error. Rejects with an
 * OperationError (`timeout`) after the timeout.
 */
export async function until(condition: () => Promise<true | string>, wait: Wait): Promise<void> {
  let last = '';
  const met = await poll(async () => {
    const found = await condition();
    if (found === true) return true;
    last = found;
    return undefined;
  }, wait);
  if (met) return;
  throw new OperationError(wait.doing, `after ${wait.timeoutMs / 1000} s: ${last}`, wait.todo, { code: 'timeout' });
}
