import type { Shared } from './shared.ts';
import type { Artefact, Colour, EnvironmentName, EnvironmentSpec, Split, StackKind } from './model.ts';

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
  /** What to do about words of a provider or of the backend that the platform knows: an expired token, a quota. */
  cure?(words: string): string | undefined;
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

export interface Artefacts {
  /** Stores a finished build. The same content gives the same digest, and is stored once. */
  publish(directory: string, version: string): Promise<Artefact>;
  find(digest: string): Promise<Artefact | undefined>;
}

/** A running environment, as the stages see it. */
export interface Environment {
  readonly name: EnvironmentName;
  readonly router: Router;
  readonly databases: Databases;
  readonly backups: Backups;
  readonly jobs: Jobs;
  readonly metrics: Metrics;
  readonly alerts: Alerts;
  readonly instances: Instances;
  readonly previews: Previews;
  /** Makes an artefact ready to run here: called before a colour or a job gets it. May be repeated. */
  provide(artefact: Artefact): Promise<void>;
  /**
   * Removes what runs that are over left behind (scratch databases, tasks, secrets); resolves to their names. Only while this
   * program has the environment. Absent: it ends with the program, or is found by its next start.
   */
  sweep?(): Promise<string[]>;
  /** What policies are judged by. */
  audit(): Promise<AuditFacts>;
  close(): Promise<void>;
}

/** The entry point, as a client has to call it. */
export interface EntryPoint {
  baseUrl: string;
  /** PEM file of the authority that signed its certificate; absent where the system already trusts it. */
  caFile?: string;
  /** Headers that route a request to `colour` whatever the weights say. Secret: never log them. */
  routeHeaders(colour: Colour): Record<string, string>;
}

export interface ServerState {
  colour: Colour;
  service: string;
  instance: number;
  healthy: boolean;
}

export interface RouterState {
  /** Undefined until the first go-live. */
  split: Split | undefined;
  /** Names of rules that do not do what `split` says: a change of several was cut off, and `apply` ends it. Absent: all do. */
  disagreeing?: string[];
  /** Milliseconds that the hold's lease still has; 0 when writes flow. */
  holdMs: number;
  servers: ServerState[];
}

/** The load balancer at run time. What the traffic stack declares and what this reads must agree: else it is drift. */
export interface Router {
  readonly entry: EntryPoint;
  /** Longest time until a hold or a split that the balancer took is seen at the entry point, ms: a cutover plans for it. */
  readonly settlesMs: number;
  /** Read back from the balancer itself, never from what was asked for. */
  read(): Promise<RouterState>;
  /**
   * Applies a split at once (milliseconds), persisted so that a restarted balancer keeps it. Does not end a hold. Once `signal`
   * aborts it changes nothing more but what it puts back, and rejects: nobody who gave it up is surprised by it later.
   */
  apply(split: Split, signal?: AbortSignal): Promise<void>;
  /** New writes wait, at most `leaseMs`: then they go to the live colour by themselves, even if this program died. */
  hold(leaseMs: number): Promise<void>;
  /** Lets the held writes go, to whatever is live now. */
  release(): Promise<void>;
  /** Writes that were passed to `colour` and are not answered yet. */
  writesInFlight(colour: Colour): Promise<number>;
  /**
   * Ends the writes that were passed to `colour` and are not answered: their clients get an error, and nobody knows whether they
   * were done. Resolves to how many. Absent where the balancer cannot.
   */
  cutWrites?(colour: Colour): Promise<number>;
}

export interface Login {
  user: string;
  password: string;
}

/**
 * One PostgreSQL database and its three roles: `admin` (superuser or rds_superuser, replication), `owner` (owns the
 * schema, runs migrations), `app` (what the services use: may write only as a member of `writerRole`).
 */
export interface DatabaseAccess {
  host: string;
  port: number;
  database: string;
  /** PEM file; connections are `sslmode=verify-full`. */
  caFile: string;
  /** The same authority as another database's server finds it, for replication; absent: `caFile`. */
  peerCaFile?: string;
  admin: Login;
  owner: Login;
  app: Login;
  /**
   * What another database's server logs in with, for replication: its password must last as long as a subscription does.
   * Absent: `admin`.
   */
  replication?: Login;
}

/** A database cluster of its own that nobody else uses, for rehearsals and tests. */
export interface ScratchDatabase {
  access: DatabaseAccess;
  dispose(): Promise<void>;
}

export interface Databases {
  of(colour: Colour): Promise<DatabaseAccess>;
  /** A fresh cluster with an empty database and the three roles. Gone after `dispose`, or at the next start after a crash. */
  scratch(purpose: string): Promise<ScratchDatabase>;
}

export interface Backup {
  id: string;
  environment: EnvironmentName;
  colour: Colour;
  version: string;
  /** ISO 8601, UTC: the state of the data is of this instant or a little later. */
  takenAt: string;
  bytes: number;
  /** LSN at which the backup is consistent; absent where the platform does not tell. */
  lsn?: string;
  /** Where it is, for a person. */
  location: string;
}

export interface Backups {
  /** Backs up the database and `configuration` (JSON) together. Checksums cover both. */
  take(colour: Colour, version: string, configuration: unknown): Promise<Backup>;
  /** Newest first. */
  list(): Promise<Backup[]>;
  /** Checks every stored byte against its checksum; rejects with what is damaged. Returns the configuration. */
  verify(backup: Backup): Promise<unknown>;
  /** Restores into a scratch cluster of its own; the roles' passwords are those of the returned access. */
  restore(backup: Backup): Promise<ScratchDatabase>;
  /** Deletes all but the newest `keep`; returns what was deleted. */
  prune(keep: number): Promise<Backup[]>;
}

export interface Job {
  name: string;
  artefact: Artefact;
  /** Runs in this image, not in the artefact's, where the platform runs images; elsewhere its programs must be installed. */
  image?: string;
  /** Run in the artefact's directory. */
  command: string[];
  env: Record<string, string>;
  timeoutMs: number;
  /** A file that the job writes: `{results}` in the command is replaced by its path where it runs. */
  results?: string;
  /** Where the log (both streams) is kept, redacted. */
  log: string;
  signal?: AbortSignal;
}

export interface JobResult {
  exitCode: number | undefined;
  timedOut: boolean;
  ms: number;
  /** Last lines of the log, for messages. */
  tail: string;
}

/** One-off tasks beside the services: migrations, seeds, tests. A job that fails does not reject: its result says so. */
export interface Jobs {
  run(job: Job): Promise<JobResult>;
}

export interface ColourTraffic {
  requests: number;
  /** Answers with status 5xx, and requests that got no answer. */
  errors: number;
  writes: number;
  /** Reads that the split alone decided on: not those of a client that had just written, which stay on the live colour. */
  splitReads: number;
  /**
   * One per request, milliseconds at the balancer, unsorted. Where the platform knows quantiles only: values that are spread as the
   * quantiles say, as many as there were requests, or some thousands that stand for `timed` of them. A test of them is less sharp then.
   */
  latenciesMs: number[];
  /** Requests whose time is known, where `latenciesMs` has fewer values. */
  timed?: number;
}

export interface TrafficWindow {
  /** What the numbers cover, ms since the epoch: less than was asked for where the platform counts in whole periods. */
  from: number;
  to: number;
  colours: Record<Colour, ColourTraffic>;
  /** Time (ms since the epoch) of the newest record seen at all; older than `to` by much means stale data. */
  newestAt: number | undefined;
}

export interface Metrics {
  /** How late a record may be, ms: what is younger is not complete yet. */
  readonly delayMs: number;
  /** Requests are counted in whole periods of so many ms; 0: each by itself. */
  readonly periodMs: number;
  /** All requests that ended within [from, to), ms since the epoch, without those of the header route. */
  window(from: number, to: number): Promise<TrafficWindow>;
  /** CPU seconds used so far by each part (`api.blue`, `database.blue`, `balancer`), to name a bottleneck. */
  cpuSeconds(): Promise<Record<string, number>>;
}

export interface AlertDelivery {
  receiver: string;
  alert: string;
  status: 'firing' | 'resolved';
  labels: Record<string, string>;
  /** ms since the epoch: when the receiver acknowledged it. */
  at: number;
}

export interface Alerts {
  /** Longest time from a failure to its delivery, ms. */
  readonly deliveryMs: number;
  /** Names of the loaded rules. */
  rules(): Promise<string[]>;
  active(): Promise<{ alert: string; labels: Record<string, string>; since: number }[]>;
  /** What receivers acknowledged since `since` (ms), by the environment's own receiver. */
  deliveries(since: number): Promise<AlertDelivery[]>;
  /** Whether monitoring has seen this instance (`api.blue.1`) up: only then can it notice its loss. */
  watches(instance: string): Promise<boolean>;
  /** Notifications that could not be delivered since `since` (ms; where the platform counts in minutes, since its minute), per configured receiver. */
  failures(since: number): Promise<Record<string, number>>;
  /**
   * Raises the alert that the loss of this instance raises, without stopping it; it ends by itself. Only where an alert
   * takes minutes: elsewhere the instance is stopped, which proves more.
   */
  raise?(instance: string): Promise<void>;
}

export interface InstanceState {
  /** `api.blue.1`; `database.blue`; `balancer`. */
  id: string;
  state: 'running' | 'starting' | 'stopped' | 'failed';
  pid?: number;
  since?: number;
}

export interface Instances {
  list(): Promise<InstanceState[]>;
  /** Stops one, gracefully; `start` brings it back. Used by the proof of alerts and by drills. */
  stop(id: string): Promise<void>;
  start(id: string): Promise<void>;
}

/** How the environment is protected, read from the platform; a part that it cannot tell is undefined. */
export interface AuditFacts {
  secretFiles?: { path: string; mode: number }[] | undefined;
  /** Addresses on which its ports are open, as `host:port`. */
  listeners?: string[] | undefined;
  /** Of them, those meant for everybody. */
  publicPorts?: number[] | undefined;
  volumeEncrypted?: boolean | undefined;
}

/** A version that runs beside the environment, on a database of its own: nothing routes to it but its own entry. */
export interface Preview {
  baseUrl: string;
  caFile?: string;
  /** Headers that lead a request to it; their values are secrets. */
  routeHeaders: Record<string, string>;
  dispose(): Promise<void>;
}

export interface Previews {
  /** Starts one instance of every service of `artefact` on `access` and waits until all are healthy. */
  serve(artefact: Artefact, access: DatabaseAccess): Promise<Preview>;
}
