import { setTimeout as sleep } from 'node:timers/promises';
import { OperationError } from '../../../../infra/lib/errors.ts';
import { syncStatus } from '../../../data/replication/sync.ts';
import { lookAfter, noMending, type Look } from '../../../data/replication/way-back.ts';
import { silenceMs, wayBackGate, type WayBackFacts } from '../../../gates/data/way-back.ts';
import { passes } from '../../../journal/verdict.ts';
import type { ReleaseContext } from '../../context/context.ts';
import type { Replacement } from '../../context/release.ts';
import { StageStopped } from '../../context/stage.ts';
import { linkOf } from './link.ts';

/** Milliseconds between two looks: a way back that breaks is found within so long, and a look. */
const lookMs = 2_000;
/** How long no worker may apply changes, ms: PostgreSQL restarts one within 5 s (wal_retrieve_retry_interval). */
const workerMs = 15_000;

/** What the watch needs of its surroundings. */
interface Watched {
  look: () => Promise<Look>;
  note: ReleaseContext['note'];
  /** Resolves after this time, and at once where the signal is aborted. */
  pause?: (ms: number, signal: AbortSignal) => Promise<unknown>;
  now?: () => number;
}

/** Looks at the way back again and again. `facts` says what was found until then. */
export class WayBackWatch {
  readonly #watched: Watched;
  readonly #now: () => number;
  #answered: number | undefined;
  #waitsSince: number | undefined;
  #silent = false;
  readonly #facts: Omit<WayBackFacts, 'silentMs'> = { looks: 0, mended: [], lagBytes: 0, lagMs: 0 };

  constructor(watched: Watched) {
    this.#watched = watched;
    this.#now = watched.now ?? (() => performance.now());
  }

  get facts(): WayBackFacts {
    const silentMs = this.#answered === undefined ? undefined : this.#now() - this.#answered;
    return { ...this.#facts, silentMs };
  }

  /** Looks until `over` is aborted, or until it is found broken: resolves to the problem then. */
  async untilBroken(over: AbortSignal): Promise<string | undefined> {
    const pause = this.#watched.pause ?? ((ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined));
    while (!over.aborted) {
      await this.look();
      if (this.#facts.problem !== undefined) return this.#facts.problem;
      await pause(lookMs, over);
    }
    return undefined;
  }

  async look(): Promise<void> {
    const { look, note } = this.#watched;
    const facts = this.#facts;
    // A session that ended in the middle of a look says nothing of the replication: nobody answered.
    const seen = await look().catch(() => undefined);
    if (seen === undefined) return;
    if (seen.kind === 'silent') {
      facts.silent = seen.colour;
      if (!this.#silent)
        note(
          `the database of ${seen.colour} does not answer (${seen.problem}): no way back while that lasts`,
          'warning',
        );
      this.#silent = true;
      return;
    }
    if (this.#silent) note(`the database of ${facts.silent ?? ''} answers again`);
    this.#silent = false;
    delete facts.silent;
    this.#answered = this.#now();
    facts.looks += 1;
    if (seen.kind !== 'waits') this.#waitsSince = undefined;
    switch (seen.kind) {
      case 'follows':
        Object.assign(facts, { lagBytes: seen.lagBytes, lagMs: seen.lagMs });
        return;
      case 'mended':
        facts.mended.push(seen.what);
        note(`the way back was mended: ${seen.what}`, 'warning');
        return;
      case 'waits':
        this.#waitsSince ??= this.#now();
        if (this.#now() - this.#waitsSince > workerMs)
          facts.problem = `nothing has been applying changes for ${workerMs / 1000} s`;
        return;
      case 'broken':
        facts.problem = seen.problem;
    }
  }
}

/**
 * Does `work`, which watches the new colour, and looks at the way back meanwhile. Where it breaks for good, `work` is aborted by its
 * signal and this rejects with StageStopped, unless the definition says that the new version stays. In the end a gate judges the looks.
 */
export async function whileWayBackHolds(
  context: ReleaseContext,
  { from, to, definition }: Replacement,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { brokenWayBack } = definition.bake;
  const mending = noMending();
  const link = await linkOf(context, to.colour, from.colour);
  const look = (): Promise<Look> => {
    // Another machine may have taken the environment over: then nothing may be changed.
    if (context.hasLock?.() === false) return Promise.reject(new Error('another machine has the environment'));
    return lookAfter(link, mending);
  };
  const watch = new WayBackWatch({ look, note: context.note });
  const [over, broken] = [new AbortController(), new AbortController()];
  const watching = watch.untilBroken(over.signal).then((problem) => {
    if (problem === undefined) return;
    context.note(`the way back is broken: ${problem}`, 'warning');
    if (brokenWayBack === 'roll-back') broken.abort(new Error(problem));
  });
  const outcome = await work(AbortSignal.any([context.signal, broken.signal])).then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  over.abort();
  await watching;
  context.signal.throwIfAborted();
  if (outcome !== undefined && !broken.signal.aborted) throw outcome.error;
  if (watch.facts.problem === undefined) await watch.look();
  const { facts } = watch;
  const status = await syncStatus(link).catch(() => undefined);
  if (status !== undefined) {
    const { tablesReady, tables, lagBytes, lagMs } = status;
    context.journal.append({ type: 'sync.progress', direction: 'reverse', tablesReady, tables, lagBytes, lagMs });
  }
  const [result] = await context.gates([wayBackGate(facts, brokenWayBack)]);
  if (result === undefined || passes(result.verdict)) return;
  if (facts.problem === undefined && result.verdict === 'inconclusive') throw noWayBack(from.colour, facts);
  throw new StageStopped('rolled-back', `the way back: ${result.verdict}: ${result.measured}`);
}

/** Nothing can go back to a database that does not answer: the new version stays live, and the release waits for somebody. */
const noWayBack = (old: string, { silent, silentMs }: WayBackFacts): OperationError =>
  new OperationError(
    'watching the way back',
    `the database of ${silent ?? old} has not answered for ${Math.round((silentMs ?? silenceMs) / 1000)} s, so nothing can go back`,
    `the new version is live and stays live. Bring the database of ${silent ?? old} up, then: npm run resume. Where it is lost for good, set bake.brokenWayBack to 'stay' first`,
    { code: 'no-way-back' },
  );
