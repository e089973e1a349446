import { setTimeout as sleep } from 'node:timers/promises';
import { greenlight } from '../../../../infra/lib/command.ts';
import { messageOf, OperationError } from '../../../../infra/lib/errors.ts';
import type { DatabaseAccess } from '../../../../infra/platform/databases.ts';
import { compareFollowing } from '../../../data/comparison/following.ts';
import { isStarting, runsButRefuses, withClient } from '../../../data/connect.ts';
import { analyse } from '../../../data/copying/statistics.ts';
import { stopSync } from '../../../data/replication/sync.ts';
import { unmark } from '../../../data/written-by.ts';
import { allOf } from '../../../journal/entries.ts';
import type { ReleaseContext } from '../../context/context.ts';
import { copiesFiles, upgradeIn, type Replacement } from '../../context/release.ts';
import type { Lost, Remedy } from '../traffic/keep-way-back.ts';
import { linkOf } from '../traffic/link.ts';
import { untilReady } from '../traffic/ready.ts';
import { discard, requireDiscardable } from './empty.ts';
import { copyByFiles, copyByRows, followFiles } from './replicate.ts';

/** How long a restarted database may take until it answers, ms. One that says that it starts is waited for without this limit. */
const answerMs = 30_000;
const pollMs = 500;

/** What the bake time does about the database of the old colour. */
export const remedyOf = (context: ReleaseContext, release: Replacement): Remedy => ({
  restart: (signal) => restart(context, release, signal),
  refused: () => notToRemake(context, release),
  remake: (lost, signal) => remake(context, release, lost, signal),
});

/**
 * Starts a database that does not answer, by the stack of its colour. Resolves to whether it answers then. Its instances wait for
 * their data, so what the stack says of them counts for nothing here. Rejects where its server runs and refuses sessions: it is not lost.
 */
async function restart(
  context: ReleaseContext,
  { environment, from: { colour, artefact } }: Replacement,
  signal: AbortSignal,
): Promise<boolean> {
  const { access } = (await linkOf(context, context.to.colour, colour)).to;
  if (await answers(access, 0, signal)) return true;
  await context
    .act(`restart-${environment}-${colour}`, `bring the database of ${colour} up`, async () => {
      // What runs may be other than what is recorded: only then the stack repairs it.
      await context.engine.refresh({ environment, kind: colour, signal });
      await context.up(environment, { kind: colour, colour: { colour, artefact } });
    })
    .catch((error: unknown) => {
      signal.throwIfAborted();
      context.note(`the stack of ${colour} is not whole: ${messageOf(error)}`, 'warning');
    });
  return answers(access, answerMs, signal);
}

async function answers(access: DatabaseAccess, patienceMs: number, signal: AbortSignal): Promise<boolean> {
  let deadline = performance.now() + patienceMs;
  for (;;) {
    signal.throwIfAborted();
    const problem = await withClient(access, 'admin', (client) => client.query('SELECT 1')).then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    if (problem === undefined) return true;
    if (isStarting(problem.error)) deadline = performance.now() + patienceMs + pollMs;
    if (performance.now() > deadline) {
      const { error } = problem;
      if (patienceMs === 0 || !runsButRefuses(error)) return false;
      throw new OperationError(
        'bringing the database up',
        `it runs, and refuses sessions: ${error instanceof OperationError ? error.found : messageOf(error)}`,
        `let admin log in there; then: ${greenlight('resume')}`,
      );
    }
    await sleep(pollMs, undefined, { signal });
  }
}

/**
 * Why the database of the old colour must not be made anew; undefined where it may be. It would hold the new schema, and nothing that
 * is on it alone may be lost.
 */
function notToRemake(context: ReleaseContext, release: Replacement): string | undefined {
  const upgrade = upgradeIn(release);
  if (upgrade !== undefined)
    return `${release.from.colour} has PostgreSQL ${upgrade.from}, for which the data of ${upgrade.to} cannot be copied`;
  const verdict = (id: string): string =>
    allOf(context.journal.entries(), 'gate.judged').findLast(({ gate }) => gate.id === id)?.gate.verdict ?? 'not-run';
  if (verdict('data-comparison') !== 'pass')
    return `nothing proves that both databases were equal at the cutover (data-comparison: ${verdict('data-comparison')})`;
  if (verdict('compatibility') !== 'pass')
    return `nothing proves that ${release.from.version} runs on the new schema, which the copy would have (compatibility: ${verdict('compatibility')})`;
  return undefined;
}

/**
 * Makes the database of the old colour anew, as a copy of the live one, and replicates to it: the way back exists again. `notToRemake`
 * is asked before. Repeatable after an interruption. Rejects where it takes longer than a copy may (`data.limits.copySeconds`),
 * and where a database must not be replaced.
 */
async function remake(
  context: ReleaseContext,
  release: Replacement,
  { because, since, answers: up }: Lost,
  signal: AbortSignal,
): Promise<void> {
  const { environment, from, to } = release;
  const { colour, artefact } = from;
  const started = performance.now();
  if (!up) await requireDiscardable(context, environment, colour);
  context.journal.append({ type: 'way-back.remaking', colour, because, since });
  if (!up) {
    await discard(context, environment, colour);
    if (!(await restart(context, release, signal)))
      throw new OperationError(
        `making the database of ${colour} anew`,
        'an empty one does not answer either',
        `see its log; then: ${greenlight('resume')}`,
      );
  }
  const link = await linkOf(context, to.colour, colour);
  await context.act('end-lost', `end what is left of the replication back to ${colour}`, () => stopSync(link));
  if (copiesFiles(release)) {
    await copyByFiles(context, link, signal);
    await followFiles(context, link, signal);
  } else {
    await copyByRows(context, link, signal);
    await analyse(link.to.access);
  }
  // The mark of the live database says what only its version knows. The copy knows the same.
  await withClient(link.to.access, 'admin', unmark);
  // Instances that have given their database up are started again.
  await context.engine.refresh({ environment, kind: colour, signal });
  await context.up(environment, { kind: colour, colour: { colour, artefact } });
  await untilReady(context, (await context.connect()).router, colour);
  const begun = performance.now();
  const tables = await compareFollowing(link, 'left', signal);
  context.journal.append({
    type: 'data.compared',
    moment: 'way-back',
    tables,
    ms: Math.round(performance.now() - begun),
  });
  const different = tables.filter(({ equal }) => !equal).map(({ table }) => table);
  if (different.length > 0)
    throw new OperationError(
      `making the database of ${colour} anew`,
      `the copy differs in ${different.join(', ')}`,
      `find out what writes to it; then: ${greenlight('resume')}`,
    );
  context.journal.append({ type: 'way-back.remade', colour, ms: Math.round(performance.now() - started) });
}
