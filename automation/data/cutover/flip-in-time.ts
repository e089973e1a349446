import { setTimeout as sleep } from 'node:timers/promises';
import { revokeWrites } from '../../../infra/application/roles.ts';
import type { OperationError } from '../../../infra/lib/errors.ts';
import type { Router } from '../../../infra/platform/router.ts';
import type { Side } from '../link.ts';
import type { Sessions } from '../replication/reverse.ts';
import { beside } from './level.ts';
import { flip, readRouter } from './steps.ts';

/**
 * Least reserve for the flip and its read-back at the end of the lease, ms. A balancer that settles slowly gets a fifth of that
 * time. The reserve is at most a fifth of the lease.
 */
const flipReserveMs = 200;

/** When a flip must have been made at the latest, within a lease that was asked for at `since` (`performance.now()`). */
export const lastFlipOf = (since: number, leaseMs: number, { settlesMs }: Pick<Router, 'settlesMs'>): number =>
  since + leaseMs - Math.min(leaseMs / 5, Math.max(flipReserveMs, settlesMs / 5));

interface Flip {
  router: Router;
  from: Side;
  to: Side;
  lastFlip: number;
  /** What is thrown about a flip that was late. */
  late: OperationError;
}

/**
 * Flips the balancer. One that has not flipped by `lastFlip` may do so once the lease has ended and the old colour writes again, and both
 * would have the writes of that time. So the new colour loses the right to write then, and the balancer is put back.
 */
export async function flipInTime(sessions: Sessions, { router, from, to, lastFlip, late }: Flip): Promise<void> {
  const flipped = beside(flip(router, from, to));
  const timer = new AbortController();
  const over = beside(sleep(Math.max(0, lastFlip - performance.now()), true, { signal: timer.signal }));
  const isLate = await Promise.race([flipped.then(() => false), over]).finally(() => timer.abort());
  if (!isLate || (await readRouter(router))?.split?.live === to.colour) return flipped;
  await sessions.new.query(revokeWrites);
  await flipped;
  await flip(router, to, from);
  throw late;
}
