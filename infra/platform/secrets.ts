import type { EnvironmentName } from '../model.ts';

/**
 * The secrets of the application, per environment. A version of a secret is an opaque name for one value, from which the value cannot
 * be guessed: stacks and their state have versions alone. A version stays until it is pruned, so that a colour keeps what it runs with.
 */
export interface ApplicationSecrets {
  /** Keeps values, by name, and makes them the current ones. Resolves to their versions. Equal values have equal versions. */
  keep(environment: EnvironmentName, values: Readonly<Record<string, string>>): Promise<Record<string, string>>;
  /** The version that a value would have. */
  versionOf(environment: EnvironmentName, value: string): Promise<string>;
  /** Versions of the current values, by name. Empty if nothing was kept. */
  current(environment: EnvironmentName): Promise<Record<string, string>>;
  /** The current values, by name. */
  values(environment: EnvironmentName): Promise<Record<string, string>>;
  /** Every value that is kept, old ones too: for the redactor. */
  everyValue(environment: EnvironmentName): Promise<string[]>;
  /** Deletes all versions but the current ones and those that are `used`, by name. */
  prune(environment: EnvironmentName, used: readonly Readonly<Record<string, string>>[]): Promise<void>;
}
