import { setTimeout as sleep } from 'node:timers/promises';
import { isServerError, isThrottlingError, isTransientError } from '@smithy/core/retry';
import { messageOf, OperationError } from '../../../lib/errors.ts';
import { causeOf } from './errors.ts';

export interface WaitOptions {
  /** What is waited for, as a message begins with it. */
  doing: string;
  deadlineMs: number;
  pollMs: number;
  todo: string;
  signal?: AbortSignal | undefined;
  /** Also to be tried again, beside throttling and what goes wrong on the way to AWS. */
  retry?: (error: unknown) => boolean;
}

/**
 * Whether a later attempt may succeed: throttling, a failure of AWS itself, or of the network. The clients have repeated the
 * call a few times already, within seconds.
 */
export function mayPass(error: unknown): boolean {
  const cause = causeOf(error);
  if (!(cause instanceof Error)) return false;
  const found = cause as Parameters<typeof isThrottlingError>[0];
  return isThrottlingError(found) || isTransientError(found) || isServerError(found);
}

/** An interval around `ms`, so that many who wait do not ask at the same moments. */
export const jittered = (ms: number): number => ms * (0.75 + Math.random() / 2);

/**
 * Tries until `attempt` resolves to something, or the deadline is over. `attempt` may return a text instead: what it found so
 * far, for the message. An error that may pass is an attempt without result; any other ends the waiting.
 * Not by the waiters of the SDK: they repeat every error that they do not name until their time is over, expired credentials
 * too, do not say what was found last, and know few of the states that a database does not leave by itself.
 */
export async function until<T extends object>(options: WaitOptions, attempt: () => Promise<T | string>): Promise<T> {
  const { doing, deadlineMs, pollMs, todo, signal } = options;
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    let found: string;
    try {
      const result = await attempt();
      if (typeof result !== 'string') return result;
      found = result;
    } catch (error) {
      if (!mayPass(error) && options.retry?.(error) !== true) throw error;
      found = messageOf(error);
    }
    if (Date.now() >= deadline)
      throw new OperationError(doing, `after ${Math.round(deadlineMs / 1000)} s: ${found}`, todo);
    await sleep(jittered(pollMs), undefined, signal === undefined ? {} : { signal });
  }
}
