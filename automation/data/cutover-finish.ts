import { messageOf } from '../../infra/errors.ts';
import { revokeWrites } from '../../infra/roles.ts';
import type { TableComparison } from '../release/events.ts';
import { compareDatabases } from './compare.ts';

import type { CutoverOptions, CutoverResult, CutoverStep } from './cutover.ts';
import type { Prepared } from './cutover-prepare.ts';
import { dropSlot, dropSubscription } from './link.ts';
import { startReverse, untilFollowing } from './reverse.ts';

export interface Progress {
  started: number;
  heldAt: number;
  /** Ends a step and begins the next. */
  done: (next: CutoverStep, detail?: string) => void;
}

/** Everything after the flip. Nothing here throws: the new colour is live, and what fails is a problem to decide on. */
export async function finish(options: CutoverOptions, prepared: Prepared, progress: Progress): Promise<CutoverResult> {
  const { router, from, to, direction } = options;
  const { fence, sessions, forward, reverse, snapshots } = prepared;
  const problems: string[] = [];
  const warnings = prepared.warnings;
  const attempt = async (what: string, list: string[], work: () => Promise<unknown>): Promise<void> => {
    await work().catch((error: unknown) => list.push(`${what}: ${messageOf(error)}`));
  };
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
  await attempt('releasing the held writes', warnings, () => router.release());
  const holdMs = performance.now() - progress.heldAt;
  step('fenced');
  await attempt('fencing the old colour', problems, async () => {
    await fence.commit().catch(async (error: unknown) => {
      await sessions.old.query(revokeWrites);
      throw new Error(
        `the fence was down for a moment, in which something beside the balancer may have written: ${messageOf(error)}`,
      );
    });
  });
  await fence.lower();
  step('detach');
  let detached = false;
  await attempt('ending the replication to the new colour', problems, async () => {
    await dropSubscription(sessions.new, forward.name);
    detached = true;
    await dropSlot(sessions.old, forward.name);
    await sessions.old.query(`DROP PUBLICATION IF EXISTS ${forward.name}`);
  });
  step('follow');
  // Before the forward direction has ended for good, changes would go round in a circle.
  if (reverse !== undefined && detached) {
    await attempt('establishing the way back', problems, async () => {
      await startReverse(reverse, sessions);
      await untilFollowing(reverse, sessions.new);
    });
  }
  step('compare');
  const before = performance.now();
  let tables: TableComparison[] = [];
  await attempt('comparing the databases', problems, async () => {
    const names = { left: from.colour, right: to.colour };
    const columns = direction === 'forward' ? 'left' : 'common';
    tables = await compareDatabases(snapshots.old, snapshots.new, { columns, names });
  });
  const compareMs = performance.now() - before;
  step('compare', `${tables.length} tables`);
  await prepared.close();
  return {
    holdMs,
    totalMs: performance.now() - progress.started,
    tables,
    compareMs,
    equal: tables.length > 0 && tables.every((t) => t.equal),
    ...(reverse === undefined ? {} : { reverse }),
    problems,
    warnings,
  };
}
