import { setTimeout as delay } from 'node:timers/promises';

const pollMs = 500;
/** How long anything may take to become what it should be. A stand-in waits for processes of this machine, not for AWS. */
const longestMs = 300_000;

/** Nothing runs behind a bare emulator, so nothing becomes ready, and a test says so. */
export const waits = process.env['GREENLIGHT_TEST_NO_WAIT'] !== '1';

/** Looks until `look` gives something. Rejects with what it was waiting for. */
export async function until<T>(what: string, look: () => Promise<T | undefined>, mostMs = longestMs): Promise<T> {
  const deadline = Date.now() + mostMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`timeout while waiting for ${what}`);
    await delay(pollMs);
  }
}
