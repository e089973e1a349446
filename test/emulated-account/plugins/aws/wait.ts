import { setTimeout as delay } from 'node:timers/promises';

const pollMs = 500;
/** Longest wait for a resource, ms. A stand-in waits for processes of this machine, not for AWS. */
const longestMs = 300_000;

/** False for a bare emulator, behind which nothing runs and so nothing becomes ready. */
export const waits = process.env['GREENLIGHT_TEST_NO_WAIT'] !== '1';

/** Polls until `look` resolves to a value. Rejects after `mostMs`. */
export async function until<T>(what: string, look: () => Promise<T | undefined>, mostMs = longestMs): Promise<T> {
  const deadline = Date.now() + mostMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`timeout while waiting for ${what}`);
    await delay(pollMs);
  }
}
