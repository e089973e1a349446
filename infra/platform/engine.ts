import type { Cure } from '../lib/errors.ts';
import type { EnvironmentName } from '../model.ts';

/** What the Pulumi engine needs: backend, secrets provider, plug-ins. */
export interface EngineSettings {
  /** `file:///…` or `s3://…`. */
  backendUrl: string;
  /** The files of that backend, read and mended without the engine. */
  state: StateFiles;
  /** `passphrase`, or the URL of a key: `awskms://…`. */
  secretsProvider: string;
  /** Configuration that every stack of an environment gets beside its own, by key. */
  stackConfig(environment: EnvironmentName): Record<string, string>;
  /** Programs of policy packs that judge every resource before it is made. */
  policyPacks: string[];
  /**
   * The id that a resource has which the engine began to create and whose end it never saw; undefined where only the
   * provider knew it. From its URN, type and inputs.
   */
  idOf(resource: { urn: string; type: string; inputs?: Record<string, unknown> }): string | undefined;
  /** By type, properties that change by themselves and so are no drift: `desiredCount`, or one of an object, `tags/Name`. */
  volatile: Record<string, string[]>;
  /** What to do about an error message of a provider or of the backend that the platform knows: an expired token, a quota. */
  cure?(words: string): Cure | undefined;
  /** Environment variables for the engine's process (never printed: one is the passphrase). */
  env: Record<string, string>;
  pulumiCommand: string;
  plugins: { name: string; path: string; version: string }[];
}

/** Files of a state backend by their paths below its root (`.pulumi/stacks/…`), `/` between the parts. */
export interface StateFiles {
  /** Undefined where there is none. */
  read(path: string): Promise<string | undefined>;
  write(path: string, text: string): Promise<void>;
  /** Paths of all files below a directory; empty where there is none. */
  list(directory: string): Promise<string[]>;
  /** No error where there is none. */
  remove(path: string): Promise<void>;
}
