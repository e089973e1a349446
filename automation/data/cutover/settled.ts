import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../../infra/lib/errors.ts';
import type { Router } from '../../../infra/platform/router.ts';
import { CutoverAborted } from './aborted.ts';
import { cutover } from './cutover.ts';
import { recoverCutover, type Recovery } from './recover.ts';
import type { Move } from './settle.ts';
import type { CutoverOptions, CutoverResult } from './types.ts';

/** How long a cutover that could not be undone is settled again and again, ms. A server that restarts replays its log first. */
const settleMs = 15 * 60_000;
const pauseMs = 1_000;

interface Settling extends Move {
  router: Router;
  /** Whether this program still owns the environment. */
  ours?: (() => boolean) | undefined;
  /** Called when the move is to be settled again, with the reason. */
  onUnsettled?: ((why: string) => void) | undefined;
}

/** How a move ended that was settled: it was finished, after this. */
export interface Finished {
  warning: string;
  totalMs: number;
}

/**
 * As `cutover`, but what could not be undone at once, because a database or the balancer did not answer, is settled until it is: the
 * move is then undone (CutoverAborted with `undone`) or completed. Rejects with `undone` false after `settleMs`, or if another
 * program has taken the environment over.
 */
export async function settledCutover(options: CutoverOptions & Pick<Settling, 'onUnsettled'>): Promise<CutoverResult> {
  const done = await settled(() => cutover(options), options);
  if (!('warning' in done)) return done;
  const { warning, totalMs } = done;
  return {
    holdMs: totalMs,
    totalMs,
    compared: false,
    tables: [],
    compareMs: 0,
    equal: false,
    problems: [],
    warnings: [warning],
  };
}

/** Runs a move of writes that rejects with CutoverAborted, and settles it as `settledCutover` says. */
export async function settled<T extends object>(work: () => Promise<T>, options: Settling): Promise<T | Finished> {
  const started = performance.now();
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CutoverAborted) || error.undone) throw error;
    options.onUnsettled?.(error.message);
    const recovery = await settle(options, started + settleMs);
    if (recovery === undefined) throw error;
    if (recovery.outcome === 'undone') throw error.asUndone();
    return { warning: `the cutover was settled after: ${error.found}`, totalMs: performance.now() - started };
  }
}

/** Resolves to how the move ended; undefined if that is not known in time. */
async function settle(
  { router, from, to, direction, ours }: Settling,
  deadline: number,
): Promise<Recovery | undefined> {
  while (performance.now() < deadline && ours?.() !== false) {
    const recovery = await recoverCutover({ router, from, to, direction }).catch((error: unknown) => messageOf(error));
    if (typeof recovery !== 'string' && recovery.problems.length === 0) return recovery;
    await sleep(pauseMs);
  }
  return undefined;
}
