import type { Colour, Split } from '../model.ts';

/** Seconds for which reads of a client that has written go to the live colour: the lifetime of its cookie. */
export const wroteSeconds = 5;

/** Header with the value `refused` of the answer 503 to a refused write: tells it from a 503 of the application. */
export const refusedHeader = 'x-greenlight-writes';
/** `Retry-After` of that answer, seconds. */
export const refusedRetrySeconds = 10;

/** How a client reaches the entry point. */
export interface EntryPoint {
  baseUrl: string;
  /** PEM file of the authority that signed its certificate. Absent: the system trusts it already. */
  caFile?: string;
  /** Headers that route a request to `colour` regardless of the split. Secret: never log them. */
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
  /**
   * Names of balancer rules that contradict `split` because a change was interrupted. `apply` repairs them. Absent:
   * none.
   */
  disagreeing?: string[];
  /** Remaining lease of the write hold or of the refusal, ms. 0: writes are neither held nor refused. */
  holdMs: number;
  /** Writes are refused, and not held. */
  refuses?: true;
  servers: ServerState[];
}

/** A write that was passed to a colour and has no response yet. */
export interface WriteInFlight {
  service: string;
  /** Number of the instance that has it; absent where the balancer does not know it yet. */
  instance?: number;
  method: string;
  /** Without the query string; a long one is cut. */
  path: string;
  /** Since it was passed on, ms. */
  ms: number;
}

/** Connections that were ended because their colour is not live any more. */
export interface LongEnded {
  /** Connections that were upgraded. */
  webSockets: number;
  /** Event streams, and other answers that took longer than they were given. */
  streams: number;
  /** Until the last of them had ended, ms. */
  ms: number;
}

/** The load balancer at run time. A difference between `read` and what the traffic stack declares is drift. */
export interface Router {
  readonly entry: EntryPoint;
  /** Maximum delay, ms, until an accepted hold or split takes effect at the entry point. */
  readonly settlesMs: number;
  /** Reads the actual state from the balancer, never what was requested. */
  read(): Promise<RouterState>;
  /**
   * Applies a split and persists it, so that a restarted balancer keeps it. Ends neither a hold nor a refusal. On abort: reverts
   * partial changes and rejects; nothing changes afterwards. A platform that switches in one step ignores `signal`.
   */
  apply(split: Split, signal?: AbortSignal): Promise<void>;
  /**
   * Holds new writes for at most `leaseMs`. The hold ends by itself then, even if this program has died. `next`: the split that is
   * likely to be applied meanwhile, which a balancer may prepare before it holds. After an abort of `signal` a hold does not begin any
   * more: one that began before ends with the next `resumeWrites`.
   */
  hold(leaseMs: number, next?: Split, signal?: AbortSignal): Promise<void>;
  /**
   * Answers new writes 503 at once, with `Retry-After`, for at most `leaseMs`: it ends by itself then, even if this program has died.
   * Called again it renews the lease, which then ends `leaseMs` from now; that is cheap, and no write passes meanwhile. After the
   * lease has ended it begins anew. It takes the place of a hold, whose writes are refused too, and a hold takes its place. Reads and
   * the header route are not refused. After an abort of `signal` a refusal does not begin any more. A renewal waits for an `apply` that is
   * under way, so `leaseMs` has to be longer than `settlesMs`.
   */
  refuse(leaseMs: number, signal?: AbortSignal): Promise<void>;
  /** Ends the hold or the refusal. Held writes go to the colour that is live now. */
  resumeWrites(): Promise<void>;
  /** Number of writes that were passed to `colour` and have no response yet. */
  writesInFlight(colour: Colour): Promise<number>;
  /** Names these writes, the oldest first, for a person. Absent: the balancer knows their number only. */
  nameWrites?(colour: Colour): Promise<WriteInFlight[]>;
  /**
   * Cuts the connections of writes that were passed to `colour` and have no response yet. Their clients get an error,
   * and the outcome of these writes is unknown. Resolves to their number. Absent: the balancer cannot do it.
   */
  cutWrites?(colour: Colour): Promise<number>;
  /**
   * Ends what stays connected to `colour`, which has just ceased to be live: WebSockets at once, event streams spread over `withinMs`, and whatever
   * began before this call and is not answered by then. Their clients connect again, to the live colour. Requests that end by themselves are left
   * alone. Ends early once nothing of it is left, on an abort of `signal`, and where `colour` is live. It can be called again at any time. Absent: the balancer cannot
   * end connections, and they last until the instances of the colour stop.
   */
  endLong?(colour: Colour, withinMs: number, signal?: AbortSignal): Promise<LongEnded>;
}
