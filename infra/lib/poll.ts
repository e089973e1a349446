import { setTimeout as sleep } from 'node:timers/promises';
import { OperationError } from './errors.ts';

export interface Pace {
  /** Pause between two calls, ms. */
  everyMs: number;
  /** The last call starts when this time is over, ms. */
  timeoutMs: number;
  /** Ends the wait at once; the promise rejects with an AbortError. */
  signal?: AbortSignal | undefined;
}

/**
 * Calls `look` until it returns something other than undefined, and resolves to that. Resolves to undefined after the
 * timeout. Calls at least once, and one call at a time. Rejects with what `look` throws.
 */
export async function poll<T>(
  look: () => Promise<T | undefined> | T | undefined,
  { everyMs, timeoutMs, signal }: Pace,
): Promise<T | undefined> {
  // Monotonic clock: a change of the system time must not end the wait.
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    const left = deadline - performance.now();
    if (found !== undefined || left <= 0) return found;
    await sleep(Math.min(everyMs, left), undefined, signal === undefined ? {} : { signal });
  }
}

export interface Wait extends Pace {
  /** Parts of the error message after a timeout: what was awaited, and what to do. */
  doing: string;
  todo: string;
}

/**
 * Calls `condition` until it returns true. A returned text says what was found instead. After the timeout, rejects with
 * an OperationError (`timeout`) that contains the last text.
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
