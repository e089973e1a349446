import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { greenlight } from '../../../infra/lib/command.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import { close, connect } from '../connect.ts';
import type { CutoverOptions } from './types.ts';
import { caughtUp, unobstructed } from './catch-up.ts';
import { Fence } from './fence.ts';
import { readySnapshot } from '../comparison/snapshot.ts';
import { linkBetween, type Link } from '../link.ts';
import { prepareReverse, type Sessions } from '../replication/reverse.ts';
import { Rest } from '../replication/rest.ts';
import { noTries, revive } from '../replication/revive.ts';
import { mayWrite } from '../schema.ts';
import { guardSchema, type SchemaGuard } from './schema-guard.ts';
import { planSequences, type SequencePlan } from '../replication/sequences.ts';
import { completeMove, standDown, type Move } from './settle.ts';
import { removeLink } from '../replication/subscription.ts';
import { measure } from '../replication/sync-state.ts';

/** `settings.holdMs`: how long the fence lives after it was last used, and what the catch-up is measured by. */
export type PrepareOptions = Pick<CutoverOptions, 'router' | 'settings' | 'rest' | 'signal'> & Move;

/** Everything that a cutover can prepare before writes are held. */
export interface Prepared {
  sessions: Sessions;
  /** Separate sessions, as the snapshots stay open until the comparison is done. */
  snapshots: Sessions;
  fence: Fence;
  /** `from` -> `to`, streaming. */
  forward: Link;
  /** `to` -> `from`, disabled; absent in a rollback and in a window. */
  reverse?: Link | undefined;
  /** What a stopped replication has not applied; absent where it streams. */
  rest?: Rest | undefined;
  sequences: SequencePlan;
  /** Absent in a rollback, which a change of the schema must not hold up. */
  schema?: SchemaGuard;
  close(): Promise<void>;
}

/** Statement timeout of the comparison, ms. */
const compareMs = 600_000;
/** How much longer than the hold an idle fence lives, ms. It must not end before the hold does. */
const fenceGraceMs = 2_000;
/** How long to wait for a worker, ms. PostgreSQL restarts one within 5 s (wal_retrieve_retry_interval). */
const workerMs = 15_000;
/** Lock timeout of the comparison, ms. */
const snapshotLockMs = 30_000;
const pollMs = 10;

/**
 * Opens all sessions, checks that the cutover may begin, creates the way back if there is to be one, and waits for the catch-up. If it
 * fails, it removes what it created.
 */
export async function prepareCutover(options: PrepareOptions): Promise<Prepared> {
  const { from, to, router, direction, settings } = options;
  const byHand = options.rest === 'apply';
  const forward = linkBetween(from, to);
  const { split, disagreeing } = await router.read();
  const live = split?.live;
  if (disagreeing !== undefined)
    throw refused(`the balancer is half way between two splits: ${disagreeing.join(', ')}`);
  if (live !== from.colour) throw refused(`${live ?? 'no colour'} is live, not ${from.colour}`);
  // The program may have died right after the flip of the move that is taken back. Its direction must end first.
  if (direction === 'rollback') await completeMove({ from: to, to: from, direction: 'forward', follow: !byHand });

  const opened: pg.Client[] = [];
  const open = async (side: typeof from, statementMs?: number): Promise<pg.Client> => {
    const client = await connect(side.access, 'admin', statementMs === undefined ? {} : { statementMs });
    opened.push(client);
    // Nothing of what is asked in the hold is worth a second plan.
    await client.query('SET plan_cache_mode = force_generic_plan');
    return client;
  };
  let fence: Fence | undefined;
  let reverse: Link | undefined;
  const closeAll = async (): Promise<void> => {
    await fence?.lower();
    await Promise.all(opened.map(close));
  };
  try {
    const sessions = { old: await open(from), new: await open(to) };
    const snapshots = { old: await open(from, compareMs), new: await open(to, compareMs) };
    // The comparison must not wait for ever for a lock.
    for (const client of [snapshots.old, snapshots.new]) {
      await client.query(`SET lock_timeout = ${snapshotLockMs}`);
      await readySnapshot(client);
    }
    // An interrupted attempt may have left the way back, which must not run beside the forward direction.
    if (direction !== 'rollback') await removeLink(linkBetween(to, from), sessions.new, sessions.old);
    if (!byHand) await streaming(forward, sessions);
    if (!(await mayWrite(sessions.old))) throw refused(`${from.colour} is live, but may not write`);
    if (await mayWrite(sessions.new)) throw refused(`${to.colour} is not live, but may write`);
    fence = await Fence.prepare(from.access, settings.holdMs + fenceGraceMs);
    if (direction === 'forward') reverse = await prepareReverse(from, to, sessions);
    const sequences = await planSequences(snapshots.old, sessions.new, to.colour);
    const schema = direction === 'rollback' ? {} : { schema: await guardSchema(forward, sessions, await open(from)) };
    await unobstructed(fence, options);
    const rest = byHand ? await Rest.open(forward, sessions.old, sessions.new) : undefined;
    if (rest === undefined) await caughtUp(sessions, forward, options);
    else await rest.apply();
    return {
      sessions,
      snapshots,
      fence,
      forward,
      reverse,
      rest,
      sequences,
      ...schema,
      close: closeAll,
    };
  } catch (error) {
    await closeAll();
    // Also restarts the replication, which a server that broke off has stopped.
    await standDown({ from, to, direction }).catch(() => undefined);
    throw error;
  }
}

/** Waits out a restarting apply worker. Throws at once on anything else, as it does not pass by itself. */
async function streaming(forward: Link, sessions: Sessions): Promise<void> {
  const deadline = performance.now() + workerMs;
  const tries = noTries();
  for (;;) {
    const { state, worker, problem, lasting } = await measure(forward, sessions.old, sessions.new);
    if (state === 'streaming' && worker) return;
    if (state === 'broken' && (await revive(forward, sessions.old, sessions.new, tries))) continue;
    if (state !== 'streaming')
      throw refused(`the replication to ${forward.to.colour} is not ready: ${problem ?? state}`, lasting);
    if (performance.now() > deadline)
      throw refused(`nothing has been applying changes to ${forward.to.colour} for ${workerMs} ms`);
    await sleep(pollMs);
  }
}

const refused = (found: string, lasting = false): OperationError =>
  new OperationError('checking that the cutover may begin', found, `run: ${greenlight('status')}`, {
    code: lasting ? 'lasting' : 'failed',
  });
