import type { Queryable } from './database.ts';

/** What of the api differs between versions. The build takes the newest edition that is not newer than the version. */
export interface ApiEdition {
  /** Beside the best score per lesson: what else is said about an account's progress. */
  progressDetails(db: Queryable, accountId: string): Promise<Record<string, unknown>>;
  readPreferences(db: Queryable, accountId: string): Promise<Record<string, unknown>>;
  /**
   * Changes what is given, and leaves the rest: during a release a page of one version meets the api of another, so
   * a field that is missing, or that this version does not know, is no error. Throws 400 for what is not valid.
   */
  savePreferences(db: Queryable, accountId: string, body: Record<string, unknown>): Promise<void>;
}

export const currencies = ['EUR', 'USD', 'GBP', 'CHF'] as const;
export const themes = ['system', 'light', 'dark'] as const;
