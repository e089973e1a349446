import { greenlight } from '../../../../infra/lib/command.ts';
import { messageOf, OperationError } from '../../../../infra/lib/errors.ts';
import { syncStatus } from '../../../data/replication/sync.ts';
import { lookAfter, noMending, type Look } from '../../../data/replication/way-back.ts';
import { silenceMs, wayBackGate, type WayBackFacts } from '../../../gates/data/way-back.ts';
import { passes } from '../../../journal/verdict.ts';
import { openGap } from '../../../journal/way-back.ts';
import type { ReleaseContext } from '../../context/context.ts';
import type { Replacement } from '../../context/release.ts';
import { StageStopped } from '../../context/stage.ts';
import { linkOf } from './link.ts';
import { WayBackWatch, type Stopped } from './watch-way-back.ts';

/** Why and since when there is no way back. */
export interface Lost {
  because: string;
  /** When it was last seen to go on, ISO 8601. */
  since: string;
  /** Whether the database of the old colour answers: then it is replaced as any other that is not live. */
  answers: boolean;
}

/** What can be done about the database of the old colour. */
export interface Remedy {
  /** Brings it up. Resolves to whether it answers then. */
  restart(signal: AbortSignal): Promise<boolean>;
  /** Why it must not be made anew; undefined where it may be. */
  refused(): string | undefined;
  /** Makes it anew as a copy of the live one, so that the way back exists again. Repeatable. */
  remake(lost: Lost, signal: AbortSignal): Promise<void>;
}

/**
 * Does `work`, which watches the new colour, and looks at the way back meanwhile. Where the old schema cannot hold a change, `work` is
 * aborted by its signal and this rejects with StageStopped, unless the definition says that the new version stays. Where the database of
 * the old colour is lost, it is made anew, and the end of `work` waits for that: whatever `work` says, nothing can go back before. In the
 * end a gate judges the looks.
 */
export async function whileWayBackHolds(
  context: ReleaseContext,
  release: Replacement,
  remedy: Remedy,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { from, to, definition } = release;
  const { brokenWayBack } = definition.bake;
  const mending = noMending();
  const link = await linkOf(context, to.colour, from.colour);
  const look = (): Promise<Look> => {
    // Another machine may have taken the environment over: then nothing may be changed.
    if (context.hasLock?.() === false) return Promise.reject(new Error('another machine has the environment'));
    return lookAfter(link, mending);
  };
  const watch = new WayBackWatch({ look, note: context.note, old: from.colour });
  const [over, broken] = [new AbortController(), new AbortController()];
  const watching = tend(context, release, { watch, remedy }, over.signal, (problem) => {
    context.note(`the way back is broken: ${problem}`, 'warning');
    if (brokenWayBack === 'roll-back') broken.abort(new Error(problem));
  });
  const outcome = await work(AbortSignal.any([context.signal, broken.signal])).then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  // What only the last look finds is no reason for what `work` ended with.
  const ended = broken.signal.aborted;
  over.abort();
  await watching;
  context.signal.throwIfAborted();
  const gone = openGap(context.journal.entries()) !== undefined;
  if (outcome !== undefined && !ended && !gone) throw outcome.error;
  const { facts } = watch;
  const status = await syncStatus(link).catch(() => undefined);
  if (status !== undefined) {
    const { tablesReady, tables, lagBytes, lagMs } = status;
    context.journal.append({ type: 'sync.progress', direction: 'reverse', tablesReady, tables, lagBytes, lagMs });
  }
  const [result] = await context.gates([wayBackGate(facts, brokenWayBack)]);
  if (result === undefined) return;
  if (passes(result.verdict)) {
    if (outcome !== undefined && gone) throw noWayBack(from.colour, facts, outcome.error);
    return;
  }
  if (facts.problem === undefined && result.verdict === 'inconclusive')
    throw noWayBack(from.colour, facts, gone ? outcome?.error : undefined);
  throw new StageStopped('rolled-back', `the way back: ${result.verdict}: ${result.measured}`);
}

/** Looks until `over`, and does what has to be done about what is found. Resolves when that is done. */
async function tend(
  context: ReleaseContext,
  release: Replacement,
  { watch, remedy }: { watch: WayBackWatch; remedy: Remedy },
  over: AbortSignal,
  onBroken: (problem: string) => void,
): Promise<void> {
  const { definition } = release;
  const { journal } = context;
  let stopped: Stopped | undefined;
  for (;;) {
    // Open here: an earlier run of this release died while it made the database anew.
    const open = openGap(journal.entries());
    if (open !== undefined) stopped = { kind: 'lost', problem: open.because };
    stopped ??= (await watch.untilStopped(over)) ?? watch.silence;
    if (stopped === undefined || context.signal.aborted) return;
    const { kind, problem } = stopped;
    stopped = undefined;
    if (kind === 'broken') {
      watch.giveUp(problem);
      onBroken(problem);
      return;
    }
    const signal = AbortSignal.any([context.signal, AbortSignal.timeout(definition.data.limits.copySeconds * 1000)]);
    try {
      const up = (kind === 'lost' && open === undefined) || (await remedy.restart(signal));
      if (kind === 'silent' && up) {
        watch.goOn(`the database of ${release.from.colour} did not answer, and was brought up again`);
        continue;
      }
      const refused = remedy.refused();
      if (refused !== undefined) throw new OperationError('making the way back anew', refused, '');
      const silentMs = watch.facts.silentMs ?? 0;
      const since = open?.since ?? new Date(Date.now() - silentMs).toISOString();
      await remedy.remake({ because: problem, since, answers: up }, signal);
      watch.goOn(`the database of ${release.from.colour} was lost, and made anew as a copy of the live one`);
    } catch (error) {
      if (context.signal.aborted) return;
      const why = signal.aborted
        ? `it takes longer than ${definition.data.limits.copySeconds} s (data.limits.copySeconds)`
        : error instanceof OperationError
          ? error.found
          : messageOf(error);
      const text = `the database of ${release.from.colour} is not made anew: ${why}`;
      context.note(text, 'warning');
      const begun = openGap(journal.entries()) !== undefined;
      if (begun || kind === 'silent') watch.unmade(why);
      if (begun) return;
      if (kind === 'lost') {
        watch.giveUp(`${problem}; ${text}`);
        onBroken(`${problem}; ${text}`);
        return;
      }
      // It may come back by itself.
      if (over.aborted) return;
    }
  }
}

/** Nothing can go back: the new version stays live, and the release waits for somebody. */
function noWayBack(old: string, { silent, silentMs, unmade }: WayBackFacts, wanted?: unknown): OperationError {
  const seconds = Math.round((silentMs ?? silenceMs) / 1000);
  const why = unmade === undefined ? '' : `, and is not made anew: ${unmade}`;
  const found =
    silent === undefined && unmade !== undefined
      ? `the database of ${old} is lost${why}. So nothing can go back`
      : `the database of ${silent ?? old} has not answered for ${seconds} s${why}. So nothing can go back`;
  const also = wanted === undefined ? '' : `. It would have gone back: ${messageOf(wanted)}`;
  return new OperationError(
    'watching the way back',
    `${found}${also}`,
    `the new version is live and stays live. Correct that, then: ${greenlight('resume')}. To go on without a way back, set bake.brokenWayBack to 'stay' first`,
    { code: 'no-way-back' },
  );
}
