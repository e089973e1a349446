import type { Cure } from '../lib/errors.ts';
import type { EnvironmentName } from '../model.ts';

/** What the Pulumi engine needs: backend, secrets provider, plug-ins. */
export interface EngineSettings {
  /** `file:///…` or `s3://…`. */
  backendUrl: string;
  /** The files of that backend, for reading and repairing the state without the engine. */
  state: StateFiles;
  /** `passphrase`, or the URL of a key: `awskms://…`. */
  secretsProvider: string;
  /** Configuration that all stacks of an environment share, by key. */
  stackConfig(environment: EnvironmentName): Record<string, string>;
  /** Paths of the policy packs that check every resource before the engine changes it. */
  policyPacks: string[];
  /**
   * The id of a resource whose creation was interrupted before the engine recorded it. Derived from URN, type and
   * inputs; undefined if only the provider knew it.
   */
  idOf(resource: { urn: string; type: string; inputs?: Record<string, unknown> }): string | undefined;
  /**
   * By resource type: properties that change during operation and are not drift, such as `desiredCount` or `tags/Name`.
   */
  volatile: Record<string, string[]>;
  /** Advice for a known error message of a provider or of the backend, such as an expired token or a quota. */
  cure?(message: string): Cure | undefined;
  /** Environment variables of the engine's process. They include the passphrase, so they must not be printed. */
  env: Record<string, string>;
  pulumiCommand: string;
  plugins: { name: string; path: string; version: string }[];
}

/** Files of a state backend. Paths are relative to its root (`.pulumi/stacks/…`), with `/` as the separator. */
export interface StateFiles {
  /** Undefined if the file does not exist. */
  read(path: string): Promise<string | undefined>;
  write(path: string, text: string): Promise<void>;
  /** Paths of all files below a directory. Empty if it does not exist. */
  list(directory: string): Promise<string[]>;
  /** No-op if the file does not exist. */
  remove(path: string): Promise<void>;
}
