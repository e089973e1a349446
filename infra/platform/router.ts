import type { Colour, Split } from '../model.ts';

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
   * aborts: reverts partial changes and rejects; nothing changes afterwards.
   */
  apply(split: Split, signal?: AbortSignal): Promise<void>;
  /** New writes wait, at most `leaseMs`: then they go to the live colour by themselves, even if this program died. */
  hold(leaseMs: number): Promise<void>;
  /** Lets the held writes go, to whatever is live now. */
  resumeWrites(): Promise<void>;
  /** Writes that were passed to `colour` and are not answered yet. */
  writesInFlight(colour: Colour): Promise<number>;
  /**
   * Ends the writes that were passed to `colour` and are not answered: their clients get an error, and nobody knows whether they
   * were done. Resolves to how many. Absent where the balancer cannot.
   */
  cutWrites?(colour: Colour): Promise<number>;
}
