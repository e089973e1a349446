import type { Shared } from './lease.ts';
import type { Colour, EnvironmentName, EnvironmentSpec, PlatformName, StackKind } from '../model.ts';
import type { EngineSettings } from './engine.ts';
import type { Artefacts } from './artefacts.ts';
import type { Environment } from './environment.ts';

/**
 * What a platform provides while a release runs. The Pulumi programs in `local/` and `aws/` create the resources; the
 * stages of a release use them through these interfaces. Every method rejects with an `OperationError` (see
 * `errors.ts`).
 */
export interface Platform {
  readonly name: PlatformName;
  /** Name of the emulator that replaces the control plane, for the report. Absent: the real one is used. */
  readonly emulatedBy?: string;
  readonly engine: EngineSettings;
  readonly artefacts: Artefacts;
  /** What happens to a colour without traffic. A database that takes long to create stays. */
  readonly idleColour: 'taken down' | 'database stays';
  /**
   * How the inactive database gets the live data: by a physical copy of the cluster (`Databases.clone`), or by a copy of
   * the schema and then of the rows.
   */
  readonly initialCopy: 'physical' | 'logical';
  /** What happens to writes during the write hold, for the plan. Completes a sentence whose subject is "they". */
  readonly heldWrites: string;
  /** Whether `Router.endLong` is there. */
  readonly endsLong: boolean;
  /** `settlesMs` of the routers of its environments, for the plan. */
  readonly settlesMs: number;
  /**
   * Why stages have no estimated duration before the first release, for a person. Absent: the stages' estimates apply.
   */
  readonly noEstimate?: string;
  /** Whether using it needs network access and credentials. A dry run must work without both. */
  readonly remote: boolean;
  /** Image with k6 for load tests that are divided among jobs. Absent: this machine generates the load. */
  readonly loadImage?: string;
  /** Whether `wipe` also removes resources that the engine could not. If not, the engine's state must be kept. */
  readonly wipesAll: boolean;
  /** State shared by machines that release to the same environment. Absent: only one machine can. */
  readonly shared?: Shared;
  /** Missing or wrong prerequisites (programs, rights, account), a sentence each. Changes nothing. */
  problems(): Promise<string[]>;
  /**
   * Whether the error means that this program cannot continue at all, such as expired credentials. Nothing is undone
   * then, because undoing would fail too; `resume` continues the release. Absent: never.
   */
  stopsHere?(error: unknown): boolean;
  /**
   * Cost of the environment and of its idle colour per hour, with the date of the prices, as a sentence. Absent: no
   * cost.
   */
  cost?(environment: EnvironmentName, spec: EnvironmentSpec): Promise<string>;
  /** Resources and cost of the environment as a table for the plan. Makes no network calls. Absent: no cost. */
  estimate?(environment: EnvironmentName, spec: EnvironmentSpec): Promise<string>;
  /**
   * Resources that the programs declare, without creating them. Absent: policies check the running environment
   * (`Environment.audit`).
   */
  declared?(environment: EnvironmentName, spec: EnvironmentSpec): Promise<DeclaredResources>;
  /** Connects to an environment whose foundation is up. `outputs` reads the outputs of its stacks. */
  connect(environment: EnvironmentName, spec: EnvironmentSpec, outputs: StackOutputs): Promise<Environment>;
  /**
   * Finds what exists of an environment without the engine's state, so that lost or damaged state does not make a
   * running environment look empty. Rejects if the search is impossible.
   */
  found(environment: EnvironmentName, spec: Pick<EnvironmentSpec, 'application'>): Promise<Found>;
  /**
   * Stops and removes what is left of an environment after its stacks were destroyed, or if the engine cannot destroy
   * them. Resolves to what is kept (backups, reports), for a person.
   */
  wipe(environment: EnvironmentName, options: { keepBackups: boolean }): Promise<string[]>;
}

export interface DeclaredResources {
  resources: { type: string; name: string; props: Record<string, unknown> }[];
  /** Names that differ between environments intentionally. */
  words: string[];
}

/** What exists of an environment, independent of the engine's state. */
export interface Found {
  /** Where the search took place, for a person. */
  where: string;
  /** The colour that gets the writes. Undefined if none does, or if that cannot be determined. */
  live: Colour | undefined;
  /** Colours that have a database or may have one. */
  databases: Colour[];
  /** Versions of the running services by colour, as far as they can be determined. */
  versions: Partial<Record<Colour, string>>;
  /** Everything that was found, a sentence each, for a person. */
  facts: string[];
}

/** Recorded outputs of a stack, without secret ones. Empty if it was never up. */
export type StackOutputs = (kind: StackKind) => Promise<Record<string, unknown>>;
