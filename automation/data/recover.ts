import { OperationError, messageOf } from '../../infra/errors.ts';
import type { Colour } from '../../infra/model.ts';
import { other } from '../../infra/model.ts';
import type { DatabaseAccess, Router } from '../../infra/platform.ts';
import { grantWrites, revokeWrites } from '../../infra/roles.ts';
import { close, connect, withClient } from './connect.ts';
import { caughtUpTo } from './cutover-steps.ts';
import { Fence, removeStaleFences } from './fence.ts';
import { dropSlot, dropSubscription, linkBetween, type Link, type Side } from './link.ts';
import { dropReverse, reverseState, startReverse, untilFollowing, type Sessions } from './reverse.ts';
import { mayWrite } from './schema.ts';
import { syncStatus, type SyncStatus } from './sync.ts';
import { measure, replayed } from './sync-state.ts';

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
}

/** Longest wait for writers of the colour that was left, and for the replay of what they wrote, ms. */
const leaveMs = 10_000;

/**
 * Nothing more can be written to the colour that was left, and what was is on the new one: a node of the balancer that followed
 * late may have sent it a write. A replication that has ended already had replayed everything before the flip.
 */
async function leave(from: Side, forward: Link, sessions: Sessions): Promise<void> {
  const deadline = performance.now() + leaveMs;
  const fence = await Fence.prepare(from.access, leaveMs);
  try {
    await fence.raise(deadline);
    await fence.commit();
  } finally {
    await fence.lower();
  }
  const { worker } = await measure(forward, sessions.old, sessions.new);
  if (!worker) return;
  const lsn = await caughtUpTo(sessions, forward, deadline);
  if (await replayed(sessions.old, forward.name, lsn)) return;
  throw new OperationError(
    `finishing the cutover to ${forward.to.colour}`,
    `it has not replayed the last writes of ${from.colour} after ${leaveMs / 1000} s`,
    'see that both databases run, then: npm run resume',
  );
}

/**
 * Brings a cutover to an end whose program died. The router decides: where `from` is live it is undone, where `to`
 * is live it is finished. May be repeated, and after a cutover that ended well it changes nothing. The databases
 * are not compared here: the snapshots died with the program.
 */
export async function recoverCutover(options: {
  router: Router;
  from: Side;
  to: Side;
  direction: 'forward' | 'rollback';
}): Promise<Recovery> {
  const { router, from, to, direction } = options;
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
  const sessions = { old: await connect(from.access, 'admin'), new: await connect(to.access, 'admin') };
  const forward = linkBetween(from, to);
  const reverse = linkBetween(to, from);
  try {
    await removeStaleFences(sessions.old);
    if (live === from.colour) {
      await sessions.old.query(grantWrites);
      await sessions.new.query(revokeWrites);
      // A balancer that changes one rule after the other may have stopped in between; while it held the writes.
      if (disagreeing !== undefined) await router.apply(split);
      await router.release();
      if (direction === 'forward') await dropReverse(reverse, sessions);
      const status = await syncStatus(forward);
      recovery.replicating = status.state === 'copying' || status.state === 'streaming';
      if (status.problem !== undefined) recovery.problems.push(status.problem);
      return recovery;
    }
    await sessions.new.query(grantWrites);
    if (disagreeing !== undefined || split.percent !== 0) await router.apply({ live, percent: 0 });
    await leave(from, forward, sessions);
    await router.release();
    await dropSubscription(sessions.new, forward.name);
    await dropSlot(sessions.old, forward.name);
    await sessions.old.query(`DROP PUBLICATION IF EXISTS ${forward.name}`);
    if (direction === 'rollback') return recovery;
    const state = await reverseState(reverse, sessions.old);
    if (state === 'missing')
      recovery.problems.push(`${from.colour} does not follow, and cannot be made to without a new copy: no way back`);
    if (state === 'prepared') await startReverse(reverse, sessions);
    if (state !== 'missing') await untilFollowing(reverse, sessions.new);
    recovery.replicating = state !== 'missing';
    return recovery;
  } catch (error) {
    recovery.problems.push(messageOf(error));
    return recovery;
  } finally {
    await Promise.all([close(sessions.old), close(sessions.new)]);
  }
}
