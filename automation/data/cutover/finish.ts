import { messageOf } from '../../../infra/lib/errors.ts';
import { close, isLost } from '../connect.ts';
import { compareSides } from './compare-sides.ts';
import type { CutoverOptions, CutoverResult } from './types.ts';
import type { Prepared } from './prepare.ts';
import type { CutoverStep, Walk } from './procedure.ts';
import { completeMove } from './settle.ts';

/** What the steps up to the flip hand over. */
export interface Moved {
  prepared: Prepared;
  /** When writes were asked to be held (`performance.now()`). */
  heldAt: number;
}

/**
 * The steps after the flip. The new colour is live, so a failure does not throw but is reported as a problem to decide on. A
 * lost session is no problem, as the remaining work opens sessions of its own.
 */
export async function finish(
  { router, from, to, direction }: CutoverOptions,
  { prepared, heldAt }: Moved,
  walk: Walk<CutoverStep>,
): Promise<CutoverResult> {
  const { fence, sessions, snapshots } = prepared;
  const { sequences } = prepared;
  const warnings = [...sequences.warnings, ...(direction === 'forward' ? sequences.missing : [])];
  const problems: string[] = [];
  const attempt = async <T>(what: string, list: string[], work: () => Promise<T>): Promise<T | undefined> =>
    work().catch((error: unknown) => {
      list.push(`${what}: ${messageOf(error)}`);
      return undefined;
    });

  const holdMs = await walk.step('release', async () => {
    // If this fails, the lease ends the hold: the writes reach the new colour later.
    await attempt('releasing the held writes', warnings, () => router.resumeWrites());
    return performance.now() - heldAt;
  });

  await walk.step('fenced', async () => {
    // Between the check under the fence and the flip a change was still possible.
    const look = 'looking for late changes of the schema';
    const changed = await attempt(look, warnings, async () => prepared.schema?.changed());
    if (changed !== undefined) problems.push(`${changed}, while the writes moved`);
    await attempt('the fence was down for a moment, and is raised again', warnings, () => fence.commit());
    await fence.lower();
    // `completeMove` opens its own sessions. The old version may have used up all but the last free one.
    await Promise.all([close(sessions.old), close(sessions.new)]);
  });

  const complete = async (): Promise<void> => {
    const move = { from, to, direction };
    const completed = await attempt('ending the move of writes', problems, () => completeMove(move));
    if (completed?.following === false && direction === 'forward')
      problems.push(`${from.colour} does not follow, and cannot be made to without a new copy: no way back`);
  };
  await walk.step('follow', complete);

  const { tables, compareMs } = await walk.step(
    'compare',
    async () => {
      const before = performance.now();
      const columns = direction === 'forward' ? 'left' : 'common';
      const found = await compareSides(snapshots, { from, to, columns }).catch((error: unknown) => {
        const list = isLost(error) ? warnings : problems;
        list.push(`comparing the databases at the instant of the cutover: ${messageOf(error)}`);
        return undefined;
      });
      return { tables: found, compareMs: performance.now() - before };
    },
    ({ tables: found }) => (found === undefined ? 'not compared' : `${found.length} tables`),
  );

  await prepared.close();
  // A connection that broke during the comparison has stopped the way back.
  if (problems.length === 0) await complete();
  return {
    holdMs,
    totalMs: performance.now() - walk.started,
    compared: tables !== undefined,
    tables: tables ?? [],
    compareMs,
    ...(prepared.schema === undefined ? {} : { objects: prepared.schema.objects }),
    equal: tables !== undefined && tables.length > 0 && tables.every((t) => t.equal),
    problems,
    warnings: [...warnings, ...walk.warnings],
  };
}
