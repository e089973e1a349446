import { greenlight } from '../../../infra/lib/command.ts';
import { hasCode, OperationError, messageOf } from '../../../infra/lib/errors.ts';
import type { CutoverStep } from './procedure.ts';
import type { WindowStep } from './window-procedure.ts';

/** What is said of a move that did not happen. */
interface Wording {
  doing: string;
  undone: string;
}

const ofCutover: Wording = {
  doing: 'cutover',
  undone: 'writes go to the live colour as before, and the replication goes on; put that right, then repeat',
};

/** Writes did not move. `undone`: they go where they went; otherwise the message lists what is not undone. */
export class CutoverAborted extends OperationError {
  readonly step: CutoverStep | WindowStep;
  readonly undone: boolean;
  /** From the end of the last step until writes were passed on again, ms; absent if none were held, or not released. */
  readonly undoMs: number | undefined;
  readonly #wording: Wording;

  constructor(
    step: CutoverStep | WindowStep,
    cause: unknown,
    leftovers: string[],
    undoMs?: number,
    wording: Wording = ofCutover,
  ) {
    const undone = leftovers.length === 0;
    const found = cause instanceof OperationError ? `${cause.doing}: ${cause.found}` : messageOf(cause);
    super(
      `${wording.doing}, step ${step}`,
      undone ? found : `${found}; and undoing it: ${leftovers.join('; ')}`,
      undone ? wording.undone : `run: ${greenlight('resume')}`,
      { cause, code: hasCode(cause, 'lasting') ? 'lasting' : 'failed' },
    );
    this.name = 'CutoverAborted';
    this.step = step;
    this.undone = undone;
    this.undoMs = undoMs;
    this.#wording = wording;
  }

  /** The same once nothing is left to undo. */
  asUndone(): CutoverAborted {
    return new CutoverAborted(this.step, this.cause, [], this.undoMs, this.#wording);
  }
}
