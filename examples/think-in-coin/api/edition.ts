import type { Queryable } from './database.ts';

/** What of the api differs between versions. The build takes the newest edition that is not newer than the version. */
export interface ApiEdition {
  /** Beside the best score per lesson: what else is said about an account's progress. */
  progressDetails(db: Queryable, accountId: string): Promise<Record<string, unknown>>;
  readPreferences(db: Queryable, accountId: string): Promise<Record<string, unknown>>;
  /** Throws 400 for what is not valid. */
  savePreferences(db: Queryable, accountId: string, body: Record<string, unknown>): Promise<void>;
}

export const currencies = ['EUR', 'USD', 'GBP', 'CHF'] as const;
export const themes = ['system', 'light', 'dark'] as const;
