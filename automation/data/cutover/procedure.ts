import { messageOf } from '../../../infra/lib/errors.ts';
import type { Colour } from '../../../infra/model.ts';

/** Which way writes move. `forward`: afterwards `from` follows `to`, for the way back. `rollback`: `from` is detached. */
export type Direction = 'forward' | 'rollback';

/** A move of writes as far as its description needs it. */
export interface PlannedMove {
  from: Colour;
  to: Colour;
  direction: Direction;
}

/**
 * The cutover from top to bottom: its steps in order, and what each does. The dry run prints this table and the real run
 * walks it, so they cannot differ. Up to `grant` a failure undoes everything. `flip` decides. The steps after it are
 * finished in any case.
 */
const procedure = {
  prepare: ({ from, to, direction }: PlannedMove) =>
    direction === 'forward'
      ? `check that ${from} is live and ${to} follows it, prepare the replication back to ${from}, let ${to} catch up`
      : `check that ${from} is live and ${to} follows it, let ${to} catch up, end sessions that block its replication`,
  hold: () => 'hold new writes at the balancer',
  drain: ({ from, direction }: PlannedMove) =>
    direction === 'forward'
      ? `wait until ${from} has answered the writes in flight`
      : `wait for the writes in flight on ${from}, cut those that are not answered in time`,
  fence: ({ from, direction }: PlannedMove) =>
    `lock all tables of ${from} against writing, take away the application's right to write there${direction === 'forward' ? '' : ', end sessions that still write'}`,
  replay: ({ from, to }: PlannedMove) => `wait until ${to} has applied everything that ${from} committed`,
  'carry-over': ({ from, to, direction }: PlannedMove) =>
    `continue the sequences of ${from} on ${to}, open a snapshot of both databases${direction === 'forward' ? `, mark where the replication back to ${from} starts` : ''}`,
  grant: ({ to }: PlannedMove) => `give the application the right to write on ${to}`,
  flip: ({ to }: PlannedMove) => `check that writes are still held, route all reads and writes to ${to}`,
  release: ({ to }: PlannedMove) => `release the held writes to ${to}`,
  fenced: ({ from }: PlannedMove) => `commit the fence: the application cannot write on ${from} any more`,
  follow: ({ from, to, direction }: PlannedMove) =>
    direction === 'forward'
      ? `end the replication to ${to}, let ${from} take what the migrations loosened, start the replication back to it`
      : `end the replication to ${to}`,
  compare: () => 'compare the contents of both databases at that instant',
} satisfies Record<string, (move: PlannedMove) => string>;

export type CutoverStep = keyof typeof procedure;

/** The names of the steps, in order. */
export const cutoverSteps = Object.keys(procedure) as CutoverStep[];

/** What a cutover will do: a sentence for each step, in order. */
export const describeCutover = (move: PlannedMove): string[] => cutoverSteps.map((step) => procedure[step](move));

/** Called after each step with its duration in ms, and with a detail if there is one. */
export type OnStep = (step: CutoverStep, ms: number, detail?: string) => void;

/** One run through a procedure, step by step. Of its steps `flip` decides. */
export class Walk<Step extends string> {
  readonly #steps: readonly Step[];
  readonly #onStep: ((step: Step, ms: number, detail?: string) => void) | undefined;
  #at = 0;
  #since = performance.now();
  /** When the walk began (`performance.now()`). */
  readonly started = this.#since;
  /** When the last step ended (`performance.now()`). */
  get since(): number {
    return this.#since;
  }

  /** Reports that the observer could not take, from the flip on. */
  readonly warnings: string[] = [];

  constructor(steps: readonly Step[], onStep: ((step: Step, ms: number, detail?: string) => void) | undefined) {
    this.#steps = steps;
    this.#onStep = onStep;
  }

  /** The step that is running or comes next. */
  get current(): Step {
    return (this.#steps[this.#at] ?? this.#steps.at(-1)) as Step;
  }

  /**
   * Runs the next step of the procedure and reports it; `detail` describes its result. Rejects if `work` does, or if `name`
   * is not the next step. An observer that throws aborts before the flip. From the flip on this is only a warning, as the
   * move must be finished.
   */
  async step<T>(name: Step, work: () => Promise<T>, detail?: (found: T) => string | undefined): Promise<T> {
    const next = this.#steps[this.#at];
    if (next !== name) throw new Error(`step ${name} was begun in the place of ${next ?? 'none'}`);
    const found = await work();
    const ms = performance.now() - this.#since;
    this.#at += 1;
    this.#since = performance.now();
    try {
      this.#onStep?.(name, ms, detail?.(found));
    } catch (error) {
      if (this.#at <= this.#steps.findIndex((step) => step === 'flip')) throw error;
      this.warnings.push(`recording a step failed: ${messageOf(error)}`);
    }
    return found;
  }
}
