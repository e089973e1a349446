import type { Colour } from '../model.ts';

/** A worker or a schedule of one colour, as its guard reports it. */
export interface WorkerState {
  /** `mail.green.1`; of a schedule `nightly.green`. */
  id: string;
  colour: Colour;
  kind: 'worker' | 'schedule';
  /** `running`: its command runs. `idle`: it does not, and its guard waits. `unguarded`: its guard does not run. */
  state: 'running' | 'idle' | 'unguarded';
  /** Whether its guard has acted on what was said last about who may run. */
  ready: boolean;
  /** How often its command has failed since its colour was started, and since it last ran for ten minutes. */
  failures: number;
}

export interface WorkerStates {
  /** The colour whose workers may run; undefined: none. */
  runs: Colour | undefined;
  all: WorkerState[];
}

export interface Paused {
  /** From the request until the last one had ended, ms. */
  ms: number;
  /** Ids of those whose command was ended. */
  ended: string[];
  /** Those of them that did not end on SIGTERM in their time, and were killed. */
  killed: string[];
}

/**
 * Workers and schedules of an environment. Those of at most one colour run at a time. Which one is on disk, so that it outlives
 * every program.
 */
export interface Workers {
  states(): Promise<WorkerStates>;
  /**
   * Takes away from every worker that it may run, and waits until all have ended. Rejects with an OperationError if a guard does not
   * answer within the longest time to stop and a margin; with `insist` that guard is ended then, and what it ran. Where it rejects, a
   * worker may still end later, and until `run` nothing is started.
   */
  pause(options?: { insist?: boolean; signal?: AbortSignal | undefined }): Promise<Paused>;
  /** Lets the workers of `colour` run, and no others. Does nothing where that is so already. */
  run(colour: Colour): Promise<void>;
}
