import { holdApart, releaseApart, settleApart, type ApartSettled } from '../apart/settle.ts';
import { takeSnapshot } from '../comparison/snapshot.ts';
import { readNumbers, setNumbers } from '../replication/sequences.ts';
import type { Prepared } from './prepare.ts';
import type { Walk } from './procedure.ts';
import { requireUnchanged } from './schema-guard.ts';

/** What became of the rows that were written apart, and which rows are the same on both sides. */
export type Apart = Awaited<ReturnType<typeof settleApart>>;

/** What is done, and within which time, differs: see `level`. */
interface Leveling {
  /** Raises the fence. Resolves to a position of the log that no commit of a writer lies behind. */
  raise: () => Promise<string>;
  /** Lets the side that writes move to apply everything up to there. Resolves to what is said of it. */
  replay: (fencedAt: string) => Promise<string>;
  /** Marks where the way back starts. Everything is applied then. */
  mark?: () => Promise<unknown>;
  /** Rejects where there is no time left. */
  inTime: <T>(work: Promise<T>) => Promise<T>;
}

/**
 * The steps from `fence` to `carry-over`. Afterwards nobody writes, both databases have the same rows, numbers and schema, and a snapshot
 * of each is open. Resolves to what became of the rows that were written apart: nothing where no table is.
 */
export async function level(
  walk: Pick<Walk<'fence' | 'replay' | 'carry-over'>, 'step'>,
  { sessions, snapshots, sequences, schema, apart }: Prepared,
  { raise, replay, mark, inTime }: Leveling,
): Promise<Apart> {
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
  const carryOver = async (): Promise<Apart & { count: number }> => {
    let done: Apart = { settled: [], compared: new Map() };
    if (apart !== undefined) {
      // Who writes there waits until the snapshot is open and the way back has its start: what he writes then goes back.
      await holdApart(sessions.new);
      done = await settleApart(apart, sessions);
    }
    const marked = beside(mark?.() ?? Promise.resolve());
    const [count] = await Promise.all([
      numbers.then((found) => setNumbers(sequences, sessions.new, found)),
      takeSnapshot(snapshots.new),
      oldSnapshot,
      unchanged,
    ]);
    if (apart !== undefined) {
      await marked;
      await releaseApart(sessions.new);
    }
    return { count, ...done };
  };
  return await walk.step(
    'carry-over',
    () => inTime(carryOver()),
    ({ count, settled }) => [`${count} sequences`, ...settled.map(describeSettled)].join('; '),
  );
}

export const describeSettled = ({ table, kept, dropped }: ApartSettled): string =>
  `${table}, apart: ${kept} rows kept, ${dropped} dropped`;

/** Work that goes on beside a step, and is waited for later. */
export function beside<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  return work;
}
