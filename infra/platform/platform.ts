import type { Shared } from './lease.ts';
import type { Colour, EnvironmentName, EnvironmentSpec, StackKind } from '../model.ts';
import type { EngineSettings } from './engine.ts';
import type { Artefacts } from './artefacts.ts';
import type { Environment } from './environment.ts';

/**
 * What a platform must be able to do while a release runs. Programs (what exists) are in `local/` and `aws/`;
 * these interfaces are how the stages reach what the programs made. Every method rejects with an `OperationError`
 * (see `errors.ts`) that says what was being done, what was found and what to do.
 */
export interface Platform {
  readonly name: 'local' | 'aws';
  /** Where its control plane is emulated: who answers instead of the real one. A report has to say so. */
  readonly emulatedBy?: string;
  readonly engine: EngineSettings;
  readonly artefacts: Artefacts;
  /** What becomes of a colour that serves nobody: taken down, or its database stays, as a new one takes long to make. */
  readonly idleColour: 'taken down' | 'database stays';
  /**
   * How an inactive database gets the data of the live one: as a physical copy of its cluster (`Databases.clone`), or by a copy of
   * its schema and then of its rows.
   */
  readonly initialCopy: 'physical' | 'logical';
  /** What becomes of a write while a cutover holds it, after "they": a client's experience, for the plan. */
  readonly heldWrites: string;
  /** Why nobody knows how long a stage takes there before a first release, for a person. Absent: the stages' own estimates hold. */
  readonly noEstimate?: string;
  /** Whether it is reached over a network with credentials: both can be missing where a plan is only looked at. */
  readonly remote: boolean;
  /** Image with k6, where load can be divided among jobs. Absent: all load comes from this machine. */
  readonly loadImage?: string;
  /** Whether `wipe` takes down what the engine could not; else the engine's record must not be forgotten. */
  readonly wipesAll: boolean;
  /** Several machines can release to the same environment: what they must share. Absent: one machine has it all. */
  readonly shared?: Shared;
  /** What is missing or wrong before anything is changed (programs, rights, the wrong account), a sentence each. */
  problems(): Promise<string[]>;
  /**
   * Whether an error means only that this program can do nothing any more (its credentials have expired): then nothing is undone, which
   * would fail alike, and `resume` goes on. Absent: no error does.
   */
  stopsHere?(error: unknown): boolean;
  /** What the environment costs, and its idle colour per hour, with the date of the prices: a sentence. Absent: nothing is billed. */
  cost?(environment: EnvironmentName, spec: EnvironmentSpec): Promise<string>;
  /** What the environment would be made of, and what that would cost: a table for the plan. Asks nobody. Absent: nothing is billed. */
  estimate?(environment: EnvironmentName, spec: EnvironmentSpec): Promise<string>;
  /** What the programs declare for an environment, found without making it. Absent: policies judge what is there (`Environment.audit`). */
  declared?(environment: EnvironmentName, spec: EnvironmentSpec): Promise<DeclaredResources>;
  /** An environment whose foundation is up. `outputs` reads what a stack of it gave out. */
  connect(environment: EnvironmentName, spec: EnvironmentSpec, outputs: StackOutputs): Promise<Environment>;
  /**
   * What runs of an environment, or is left of it, looked for without the engine's record: one that is lost or cut off must
   * not make what serves users look like nothing. Rejects where it cannot be looked for.
   */
  found(environment: EnvironmentName, spec: Pick<EnvironmentSpec, 'application'>): Promise<Found>;
  /**
   * Stops and removes whatever is left of an environment once its stacks are down, or where the engine cannot take
   * them down. Resolves to what it keeps (backups, reports), for a person.
   */
  wipe(environment: EnvironmentName, options: { keepBackups: boolean }): Promise<string[]>;
}

export interface DeclaredResources {
  resources: { type: string; name: string; props: Record<string, unknown> }[];
  /** Names that differ between environments on purpose. */
  words: string[];
}

/** What is there of an environment, whatever the engine recorded. */
export interface Found {
  /** Where it was looked for, for a person. */
  where: string;
  /** Who gets the writes; undefined where nobody does, or where it cannot be told without the record. */
  live: Colour | undefined;
  /** Colours of which there is a database, or what may be one. */
  databases: Colour[];
  /** Of the services of a colour, where it can be told. */
  versions: Partial<Record<Colour, string>>;
  /** All that was found, a sentence each, for a person. */
  facts: string[];
}

/** Outputs of one stack, as recorded; empty where it was never up. Secret ones are left out. */
export type StackOutputs = (kind: StackKind) => Promise<Record<string, unknown>>;
