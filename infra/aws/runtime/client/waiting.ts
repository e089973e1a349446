import { setTimeout as sleep } from 'node:timers/promises';
import { isServerError, isThrottlingError, isTransientError } from '@smithy/core/retry';
import { messageOf, OperationError } from '../../../lib/errors.ts';
import { causeOf } from './errors.ts';

export interface WaitOptions {
  /** What is waited for; a message begins with it. */
  doing: string;
  deadlineMs: number;
  pollMs: number;
  todo: string;
  signal?: AbortSignal | undefined;
  /** Errors to retry in addition to those of `mayPass`. */
  retry?: (error: unknown) => boolean;
}

/**
 * Whether a later attempt may succeed: throttling, a failure of AWS itself, or of the network. The clients have already
 * retried the call a few times within seconds.
 */
export function mayPass(error: unknown): boolean {
  const cause = causeOf(error);
  if (!(cause instanceof Error)) return false;
  const found = cause as Parameters<typeof isThrottlingError>[0];
  return isThrottlingError(found) || isTransientError(found) || isServerError(found);
}

/** A random interval from 75% to 125% of `ms`, so that concurrent waiters do not call at the same moments. */
export const jittered = (ms: number): number => ms * (0.75 + Math.random() / 2);

/**
 * Repeats `attempt` until it resolves to an object, or until the deadline. If it resolves to a text, that is the state
 * found so far, for the message at the deadline. An error for which `mayPass` or `retry` holds counts as an attempt;
 * any other rejects at once. The SDK's waiters are not used: they retry every error that they do not name until their
 * time is over, even expired credentials, do not report the last state, and know few of the states that a database does
 * not leave by itself.
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
