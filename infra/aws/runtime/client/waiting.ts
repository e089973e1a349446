import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, OperationError } from '../../../lib/errors.ts';
import { codeOf } from './errors.ts';

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

/** What a later attempt may not meet again. The clients have repeated it a few times already, within seconds. */
const passing =
  /Throttl|TooManyRequests|RequestLimitExceeded|SlowDown|InternalFailure|InternalError|ServerException|ServiceUnavailable|TimeoutError|ECONNRESET|ECONNREFUSED|ETIMEDOUT|EPIPE|EAI_AGAIN|socket hang up/;

export const mayPass = (error: unknown): boolean => passing.test(`${codeOf(error)} ${messageOf(error)}`);

/** An interval around `ms`, so that many who wait do not ask at the same moments. */
export const jittered = (ms: number): number => ms * (0.75 + Math.random() / 2);

/**
 * Tries until `attempt` resolves to something, or the deadline is over. `attempt` may return a text instead: what it found so
 * far, for the message. An error that may pass is an attempt without result; any other ends the waiting.
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
