import { takeSnapshot } from '../comparison/snapshot.ts';
import { readNumbers, setNumbers } from '../replication/sequences.ts';
import type { Prepared } from './prepare.ts';
import type { Walk } from './procedure.ts';
import { requireUnchanged } from './schema-guard.ts';

/** What is done, and within which time, differs: see `level`. */
interface Leveling {
  /** Raises the fence. Resolves to a position of the log that no commit of a writer lies behind. */
  raise: () => Promise<string>;
  /** Lets the side that writes move to apply everything up to there. Resolves to what is said of it. */
  replay: (fencedAt: string) => Promise<string>;
  /** Rejects where there is no time left. */
  inTime: <T>(work: Promise<T>) => Promise<T>;
}

/**
 * The steps from `fence` to `carry-over`. Afterwards nobody writes, both databases have the same rows, numbers and schema, and a snapshot
 * of each is open.
 */
export async function level(
  walk: Pick<Walk<'fence' | 'replay' | 'carry-over'>, 'step'>,
  { sessions, snapshots, sequences, schema }: Prepared,
  { raise, replay, inTime }: Leveling,
): Promise<void> {
  const fencedAt = await walk.step('fence', () => inTime(raise()));

  // Beside the replay, as the old side is at rest. The fence does not keep functions from being replaced.
  const unchanged = beside(schema === undefined ? Promise.resolve() : requireUnchanged(schema));
  const numbers = beside(readNumbers(sequences, snapshots.old));
  const oldSnapshot = beside(takeSnapshot(snapshots.old));

  await walk.step(
    'replay',
    () => inTime(replay(fencedAt)),
    (upTo) => upTo,
  );
  await walk.step(
    'carry-over',
    () =>
      inTime(
        Promise.all([
          numbers.then((found) => setNumbers(sequences, sessions.new, found)),
          takeSnapshot(snapshots.new),
          oldSnapshot,
          unchanged,
        ]),
      ),
    ([count]) => `${count} sequences`,
  );
}

/** Work that goes on beside a step, and is waited for later. */
export function beside<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  return work;
}
