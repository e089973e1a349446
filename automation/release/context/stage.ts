import type { StageId } from '../../journal/events.ts';
import type { ReleaseContext } from './context.ts';

/**
 * One step of a release. `apply` does it and can be repeated: after a crash it runs again from its beginning.
 * `verify` reads back what `apply` said it did. `undo` brings back what was before; it must work on a half-done stage.
 */
export interface Stage {
  readonly id: StageId;
  readonly title: string;
  /** What it will do, for `--dry-run`; pure. */
  plan(input: PlanInput): StagePlan;
  apply(context: ReleaseContext): Promise<void>;
  /** Resolves to what is not as it should be; undefined when all is well. */
  verify(context: ReleaseContext): Promise<string | undefined>;
  /** Resolves to what was undone; undefined when there was nothing to undo. */
  undo(context: ReleaseContext): Promise<string | undefined>;
}

export interface PlanInput {
  kind: ReleaseContext['kind'];
  definition: ReleaseContext['definition'];
  from?: { colour: string; version: string };
  to: { colour: string; version: string };
}

export interface StagePlan {
  steps: string[];
  /** Gates that it judges: `id: title`. */
  gates?: Record<string, string>;
  /** Milliseconds on a machine of two cores, without configured observation. */
  workMs: number;
  /** Milliseconds of configured observation, load and scan time. */
  observationMs: number;
}

/** Ends a release on purpose: a gate did not pass, a person said no. Not a defect, so no stack trace. */
export class StageStopped extends Error {
  readonly outcome: 'no-go' | 'aborted' | 'rolled-back';

  constructor(outcome: StageStopped['outcome'], reason: string) {
    super(reason);
    this.name = 'StageStopped';
    this.outcome = outcome;
  }
}
