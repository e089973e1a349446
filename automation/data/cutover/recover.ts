import { greenlight } from '../../../infra/lib/command.ts';
import { OperationError, messageOf } from '../../../infra/lib/errors.ts';
import type { Router } from '../../../infra/platform/router.ts';
import { completeMove, leaveOld, reopen, standDown, type Move } from './settle.ts';

export interface Recovery {
  /** `undone`: `from` is live as before. `finished`: `to` is. */
  outcome: 'undone' | 'finished';
  /** Whether the way back replicates (`finished`), or the replication to `to` does (`undone`). */
  replicating: boolean;
  /** What is still wrong. A release must not go on in this state without a decision. */
  problems: string[];
  /** Why the replication to `to` does not go on (`undone`). The live colour serves as before. */
  warning?: string;
}

/** As `recoverCutover`, after a read-only window. Of the window no replication is left, unless it had not begun to end the one to `to`. */
export const recoverWindow = (move: { router: Router } & Pick<Move, 'from' | 'to'>): Promise<Recovery> =>
  recoverCutover({ ...move, direction: 'window' });

/**
 * Completes or undoes a cutover whose program died. The balancer decides: if `from` is live, the cutover is undone; if `to`
 * is live, it is finished. Restarts a replication that lost its connection. Idempotent; after a complete cutover it changes
 * nothing. It does not compare the databases, as the snapshots died with the program.
 */
export async function recoverCutover({ router, ...move }: { router: Router } & Move): Promise<Recovery> {
  const { from, to, direction, follow = true } = move;
  const { split, disagreeing } = await router.read();
  if (split === undefined) {
    throw new OperationError(
      'recovering a cutover',
      'the balancer does not say who is live',
      `see that it runs, then: ${greenlight('resume')}`,
    );
  }
  const { live } = split;
  const recovery: Recovery = { outcome: live === to.colour ? 'finished' : 'undone', replicating: false, problems: [] };
  try {
    if (live === from.colour) {
      await reopen(move);
      // A balancer that changes its rules one by one may have stopped between two, while writes were held.
      if (disagreeing !== undefined) await router.apply(split);
      await router.resumeWrites();
      const { revoked, replicating, problem } = await standDown(move);
      if (!revoked) return { ...recovery, problems: [`${to.colour} may still write: ${problem}`] };
      return { ...recovery, replicating, ...(problem === undefined ? {} : { warning: problem }) };
    }
    if (disagreeing !== undefined || split.percent !== 0) await router.apply({ live, percent: 0 });
    // Releases held writes once the new colour has everything from the old one, or at once if that fails.
    await leaveOld(move).finally(() => router.resumeWrites());
    const { following } = await completeMove(move);
    const problem = `${from.colour} does not follow, and cannot be made to without a new copy: no way back`;
    return {
      ...recovery,
      replicating: following,
      problems: following || direction !== 'forward' || !follow ? [] : [problem],
    };
  } catch (error) {
    return { ...recovery, problems: [messageOf(error)] };
  }
}
