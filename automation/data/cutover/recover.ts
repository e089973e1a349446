import { OperationError, messageOf } from '../../../infra/lib/errors.ts';
import { type Colour, other } from '../../../infra/model.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import type { Router } from '../../../infra/platform/router.ts';
import { withClient } from '../connect.ts';
import { linkBetween, type Side } from '../link.ts';
import { mayWrite } from '../schema.ts';
import { completeMove, leaveOld, reopen, standDown, type Move } from './settle.ts';
import { syncStatus, type SyncStatus } from '../replication/sync.ts';

export interface DataState {
  /** Undefined before the first go-live. */
  live: Colour | undefined;
  /** Milliseconds that a hold still lasts. */
  holdMs: number;
  /** Who may write; undefined where that database cannot be reached. */
  writers: Record<Colour, boolean | undefined>;
  /** The replication to each colour. */
  links: Record<Colour, SyncStatus | undefined>;
  /** `interrupted`: a cutover did not end; `recoverCutover` brings it to an end. `replicating`: before a cutover, or in the bake time. */
  phase: 'idle' | 'replicating' | 'interrupted';
  /** Why it is `interrupted`, for people. */
  findings: string[];
}

/** Looks at router and databases, and says where a cutover stands. Changes nothing. */
export async function inspect(databases: Record<Colour, DatabaseAccess>, router: Router): Promise<DataState> {
  const { split, holdMs } = await router.read();
  const side = (colour: Colour): Side => ({ colour, access: databases[colour] });
  const writer = (colour: Colour) => withClient(databases[colour], 'admin', mayWrite).catch(() => undefined);
  const link = (colour: Colour) => syncStatus(linkBetween(side(other(colour)), side(colour))).catch(() => undefined);
  const [blue, green, toBlue, toGreen] = await Promise.all([
    writer('blue'),
    writer('green'),
    link('blue'),
    link('green'),
  ]);
  const state = { live: split?.live, holdMs, writers: { blue, green }, links: { blue: toBlue, green: toGreen } };
  const findings = findingsOf(state);
  const replicating = [toBlue, toGreen].some((l) => l !== undefined && l.state !== 'none');
  return { ...state, phase: findings.length > 0 ? 'interrupted' : replicating ? 'replicating' : 'idle', findings };
}

/** What contradicts a state of rest: the live colour alone writes, and nothing is replicated into it. */
export function findingsOf(state: Pick<DataState, 'live' | 'holdMs' | 'writers' | 'links'>): string[] {
  const { live, writers, links, holdMs } = state;
  if (live === undefined) return [];
  const findings: string[] = [];
  if (holdMs > 0) findings.push(`writes are held for another ${Math.round(holdMs)} ms`);
  if (writers[live] === false) findings.push(`${live} is live and may not write`);
  if (writers[other(live)] === true) findings.push(`${other(live)} is not live and may write`);
  const into = links[live];
  if (into !== undefined && into.state !== 'none') findings.push(`there is a replication into ${live}, which is live`);
  return findings;
}

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
      await router.resumeWrites();
      const { revoked, replicating, problem } = await standDown(move);
      if (!revoked) return { ...recovery, problems: [`${to.colour} may still write: ${problem}`] };
      return { ...recovery, replicating, ...(problem === undefined ? {} : { warning: problem }) };
    }
    if (disagreeing !== undefined || split.percent !== 0) await router.apply({ live, percent: 0 });
    // Held writes go on once they cannot meet what the old colour may still have taken; or at once, where that cannot be had.
    await leaveOld(move).finally(() => router.resumeWrites());
    const { following } = await completeMove(move);
    const problem = `${from.colour} does not follow, and cannot be made to without a new copy: no way back`;
    return { ...recovery, replicating: following, problems: following || direction === 'rollback' ? [] : [problem] };
  } catch (error) {
    return { ...recovery, problems: [messageOf(error)] };
  }
}
