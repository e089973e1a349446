import { messageOf } from '../../../infra/lib/errors.ts';
import { compareDatabases } from '../comparison/compare.ts';
import { close, isLost } from '../connect.ts';
import type { CutoverOptions, CutoverResult, CutoverStep } from './types.ts';
import type { Prepared } from './prepare.ts';
import { completeMove } from './settle.ts';

export interface Progress {
  started: number;
  heldAt: number;
  /** Ends a step and begins the next. */
  done: (next: CutoverStep, detail?: string) => void;
}

/**
 * Everything after the flip. Nothing here throws: the new colour is live, and what fails is a problem to decide on. A session
 * that was lost is none: what is left to do is done with new ones.
 */
export async function finish(options: CutoverOptions, prepared: Prepared, progress: Progress): Promise<CutoverResult> {
  const { router, from, to, direction } = options;
  const { fence, reverse, sessions, snapshots, warnings } = prepared;
  const problems: string[] = [];
  const attempt = async <T>(what: string, list: string[], work: () => Promise<T>): Promise<T | undefined> =>
    work().catch((error: unknown) => {
      list.push(`${what}: ${messageOf(error)}`);
      return undefined;
    });
  const step = (next: CutoverStep, detail?: string): void => {
    try {
      progress.done(next, detail);
    } catch (error) {
      // An observer that fails must not stop what has to be finished.
      warnings.push(`recording a step failed: ${messageOf(error)}`);
    }
  };
  step('release');
  // Where this fails the lease ends the hold: the writes go to the new colour all the same, only later.
  await attempt('releasing the held writes', warnings, () => router.resumeWrites());
  const holdMs = performance.now() - progress.heldAt;
  step('fenced');
  await attempt('the fence was down for a moment, and is raised again', warnings, () => fence.commit());
  await fence.lower();
  // The move is ended with sessions of its own, and the version that was left may have taken all but the last.
  await Promise.all([close(sessions.old), close(sessions.new)]);
  step('follow');
  const completed = await attempt('ending the move of writes', problems, () => completeMove({ from, to, direction }));
  if (completed?.following === false && direction === 'forward')
    problems.push(`${from.colour} does not follow, and cannot be made to without a new copy: no way back`);
  step('compare');
  const before = performance.now();
  const names = { left: from.colour, right: to.colour };
  const columns = direction === 'forward' ? 'left' : 'common';
  const tables = await compareDatabases(snapshots.old, snapshots.new, { columns, names }).catch((error: unknown) => {
    const list = isLost(error) ? warnings : problems;
    list.push(`comparing the databases at the instant of the cutover: ${messageOf(error)}`);
    return undefined;
  });
  const compareMs = performance.now() - before;
  step('compare', tables === undefined ? 'not compared' : `${tables.length} tables`);
  await prepared.close();
  return {
    holdMs,
    totalMs: performance.now() - progress.started,
    compared: tables !== undefined,
    tables: tables ?? [],
    compareMs,
    equal: tables !== undefined && tables.length > 0 && tables.every((t) => t.equal),
    reverse,
    problems,
    warnings,
  };
}
