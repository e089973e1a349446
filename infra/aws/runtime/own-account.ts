import type { Shared } from '../../shared.ts';

/**
 * Locks and journals are the first that a command writes: `refuse` is asked before, once, and rejects where the account is not
 * the one of the release definition. What it rejected is asked again.
 */
export function inOwnAccount(shared: Shared, refuse: () => Promise<void>): Shared {
  let asked: Promise<void> | undefined;
  const first = (): Promise<void> =>
    (asked ??= refuse().catch((error: unknown) => {
      asked = undefined;
      throw error;
    }));
  return {
    acquire: (environment, by) => first().then(() => shared.acquire(environment, by)),
    holder: (environment) => first().then(() => shared.holder(environment)),
    pushRelease: (...release) => first().then(() => shared.pushRelease(...release)),
    pullReleases: (...releases) => first().then(() => shared.pullReleases(...releases)),
  };
}
