import { OperationError, messageOf } from '../../../infra/lib/errors.ts';
import type { Router } from '../../../infra/platform/router.ts';
import { completeMove, leaveOld, reopen, standDown, type Move } from './settle.ts';

export interface Recovery {
  /** `undone`: `from` is live as before. `finished`: `to` is. */
  outcome: 'undone' | 'finished';
  /** Whether the way back stands (`finished`), or the replication to `to` (`undone`). */
  replicating: boolean;
  /** What is wrong still; a release in this state must not go on without a decision. */
  problems: string[];
  /** Why the replication to `to` does not go on (`undone`): it harms nobody, and whoever needs it finds it. */
  warning?: string;
}

/**
 * Brings a cutover to an end whose program died. The router decides: where `from` is live it is undone, where `to`
 * is live it is finished. What only lost its connection is started again. May be repeated, and after a cutover that ended
 * well it changes nothing. The databases are not compared here: the snapshots died with the program.
 */
export async function recoverCutover({ router, ...move }: { router: Router } & Move): Promise<Recovery> {
  const { from, to, direction } = move;
  const { split, disagreeing } = await router.read();
  if (split === undefined) {
    throw new OperationError(
      'recovering a cutover',
      'the balancer does not say who is live',
      'see that it runs, then: npm run resume',
    );
  }
  const { live } = split;
  const recovery: Recovery = { outcome: live === to.colour ? 'finished' : 'undone', replicating: false, problems: [] };
  try {
    if (live === from.colour) {
      await reopen(move);
      // A balancer that changes one rule after the other may have stopped in between; while it held the writes.
      if (disagreeing !== undefined) await router.apply(split);
      await router.release();
      const { revoked, replicating, problem } = await standDown(move);
      if (!revoked) return { ...recovery, problems: [`${to.colour} may still write: ${problem}`] };
      return { ...recovery, replicating, ...(problem === undefined ? {} : { warning: problem }) };
    }
    if (disagreeing !== undefined || split.percent !== 0) await router.apply({ live, percent: 0 });
    // Held writes go on once they cannot meet what the old colour may still have taken; or at once, where that cannot be had.
    await leaveOld(move).finally(() => router.release());
    const { following } = await completeMove(move);
    const problem = `${from.colour} does not follow, and cannot be made to without a new copy: no way back`;
    return { ...recovery, replicating: following, problems: following || direction === 'rollback' ? [] : [problem] };
  } catch (error) {
    return { ...recovery, problems: [messageOf(error)] };
  }
}
