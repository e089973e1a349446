import type { ReleaseVerdict, StageId } from '../../journal/events.ts';
import type { ReleaseContext } from './context.ts';

/**
 * One stage of one release. Its steps are what `--dry-run` prints and what a run does, in this order. A stage can be
 * repeated: after a crash it runs again from its first step.
 */
export interface Stage {
  readonly id: StageId;
  readonly title: string;
  readonly steps: readonly (Step | Span)[];
  /** Milliseconds on a machine of two cores, without configured observation. */
  readonly workMs: number;
  /** Milliseconds of configured observation, load and scan time. */
  readonly observationMs: number;
  /** Reads back what the steps did. Resolves to what is not as it should be; undefined when all is well. */
  readonly verify?: (context: ReleaseContext) => Promise<string | undefined>;
  /**
   * Brings back what was before; must work on a half-done stage. Resolves to what was undone; undefined when there was
   * nothing to undo. Absent: the stage leaves nothing to undo.
   */
  readonly undo?: (context: ReleaseContext, why: Reason) => Promise<string | undefined>;
}

/** Why a release is undone, and what it ends as where no traffic had moved. */
export interface Reason {
  reason: string;
  outcome: ReleaseVerdict;
  /** Whether the release decided so by itself. */
  automatic: boolean;
  /** Whether a person has accepted that a way back loses what it cannot take along. */
  acceptLoss?: boolean;
}

/** What the plan shows of a step. */
interface Planned {
  /** One sentence for a person. */
  readonly says: string;
  /** The parts of the step, in order, as the procedure that does them describes itself. */
  readonly includes?: readonly string[];
  /** Gates that it judges: `id: title`. */
  readonly gates?: Readonly<Record<string, string>>;
}

/** One step. `Given` is what the span around it provides. */
export interface Step<Given = unknown> extends Planned {
  /** Whether to do it, asked when its turn comes: an earlier run may have done it already. Absent: always. */
  readonly when?: (context: ReleaseContext) => boolean;
  readonly do: (context: ReleaseContext, given: Given) => Promise<unknown>;
}

/** Steps inside something that lasts as long as they do: a watch, or a database that is disposed of afterwards. */
export interface Span<Given = never> extends Planned {
  readonly steps: readonly Step<Given>[];
  /** Does its own work, calls `work` with what it provides to the steps, and cleans up. */
  readonly around: (context: ReleaseContext, work: (given: Given) => Promise<void>) => Promise<unknown>;
}

/** Makes a span; its steps are the only ones that see what it provides. */
export const during = <Given>(
  planned: Planned,
  around: Span<Given>['around'],
  steps: readonly Step<Given>[],
): Span => ({ ...planned, around: around as Span['around'], steps });

/** Does the steps of a stage in order, and announces each. Rejects at the first that fails. */
export const takeSteps = (context: ReleaseContext, { steps }: Pick<Stage, 'steps'>): Promise<void> =>
  takeEach(context, steps, undefined);

async function takeEach<Given>(
  context: ReleaseContext,
  steps: readonly (Step<Given> | Span)[],
  given: Given,
): Promise<void> {
  for (const step of steps) {
    context.signal.throwIfAborted();
    if ('when' in step && step.when?.(context) === false) continue;
    context.waiting(step.says);
    await ('around' in step
      ? step.around(context, (provided) => takeEach(context, step.steps, provided))
      : step.do(context, given));
  }
}

/** Everything that the steps of a stage say, in order: what is planned, and what a run announces. */
export const plannedSteps = ({ steps }: Pick<Stage, 'steps'>): Planned[] =>
  steps.flatMap((step) => ('around' in step ? [step, ...step.steps] : [step]));

/** Ends a release on purpose: a gate did not pass, or a person said no. It is no defect, so it has no stack trace. */
export class StageStopped extends Error {
  readonly outcome: 'no-go' | 'aborted' | 'rolled-back';

  constructor(outcome: StageStopped['outcome'], reason: string) {
    super(reason);
    this.name = 'StageStopped';
    this.outcome = outcome;
  }
}
