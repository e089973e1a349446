import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../../infra/lib/errors.ts';
import { cutover, CutoverAborted } from './cutover.ts';
import { recoverCutover, type Recovery } from './recover.ts';
import type { CutoverOptions, CutoverResult } from './types.ts';

/** How long a cutover that could not be undone is settled again and again, ms. A server that restarts replays its log first. */
const settleMs = 15 * 60_000;
const pauseMs = 1_000;

interface SettleOptions extends CutoverOptions {
  /** Called when the cutover is to be settled again, with the reason. */
  onUnsettled?: (why: string) => void;
}

/**
 * As `cutover`, but what could not be undone at once, because a database or the balancer did not answer, is settled until it is: the
 * move is then undone (CutoverAborted with `undone`) or completed. Rejects with `undone` false after `settleMs`, or if another
 * program has taken the environment over.
 */
export async function settledCutover(options: SettleOptions): Promise<CutoverResult> {
  const started = performance.now();
  try {
    return await cutover(options);
  } catch (error) {
    if (!(error instanceof CutoverAborted) || error.undone) throw error;
    options.onUnsettled?.(error.message);
    const recovery = await settle(options, started + settleMs);
    if (recovery === undefined) throw error;
    if (recovery.outcome === 'undone') throw new CutoverAborted(error.step, error.cause, [], error.undoMs);
    const totalMs = performance.now() - started;
    const warnings = [`the cutover was settled after: ${error.found}`];
    return {
      holdMs: totalMs,
      totalMs,
      compared: false,
      tables: [],
      compareMs: 0,
      equal: false,
      problems: [],
      warnings,
    };
  }
}

/** Resolves to how the move ended; undefined if that is not known in time. */
async function settle(options: CutoverOptions, deadline: number): Promise<Recovery | undefined> {
  const { router, from, to, direction, ours } = options;
  while (performance.now() < deadline && ours?.() !== false) {
    const recovery = await recoverCutover({ router, from, to, direction }).catch((error: unknown) => messageOf(error));
    if (typeof recovery !== 'string' && recovery.problems.length === 0) return recovery;
    await sleep(pauseMs);
  }
  return undefined;
}
