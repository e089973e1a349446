import { setTimeout as sleep } from 'node:timers/promises';
import type { Colour } from '../../../../infra/model.ts';
import type { Look } from '../../../data/replication/way-back.ts';
import { silenceMs, type WayBackFacts } from '../../../gates/data/way-back.ts';
import type { ReleaseContext } from '../../context/context.ts';

/** Milliseconds between two looks: a way back that breaks is found within so long, and a look. */
const lookMs = 2_000;
/** How long no worker may apply changes, ms: PostgreSQL restarts one within 5 s (wal_retrieve_retry_interval). */
const workerMs = 15_000;

/** What the watch needs of its surroundings. */
interface Watched {
  look: () => Promise<Look>;
  note: ReleaseContext['note'];
  /** The colour that stands by. */
  old: Colour;
  /** Resolves after this time, and at once where the signal is aborted. */
  pause?: (ms: number, signal: AbortSignal) => Promise<unknown>;
  now?: () => number;
}

/** `broken`: the old schema cannot hold a change. `lost`: it needs a new copy. `silent`: the old colour has not answered for too long. */
export interface Stopped {
  kind: 'broken' | 'lost' | 'silent';
  problem: string;
}

/** Looks at the way back again and again. `facts` says what was found until then. */
export class WayBackWatch {
  readonly #watched: Watched;
  readonly #now: () => number;
  #answered: number | undefined;
  #waitsSince: number | undefined;
  #silence: { since: number; problem: string } | undefined;
  #stopped: Stopped | undefined;
  readonly #facts: Omit<WayBackFacts, 'silentMs'> = { looks: 0, mended: [], lagBytes: 0, lagMs: 0 };

  constructor(watched: Watched) {
    this.#watched = watched;
    this.#now = watched.now ?? (() => performance.now());
  }

  get facts(): WayBackFacts {
    const silentMs = this.#answered === undefined ? undefined : this.#now() - this.#answered;
    return { ...this.#facts, silentMs };
  }

  /** The old colour's database does not answer now; undefined where it does. */
  get silence(): Stopped | undefined {
    if (this.#silence === undefined || this.#facts.silent !== this.#watched.old) return undefined;
    return { kind: 'silent', problem: this.#silence.problem };
  }

  /** Looks until `over` is aborted, and once more then, or until it stops for a reason that looks alone do not mend. */
  async untilStopped(over: AbortSignal): Promise<Stopped | undefined> {
    const pause = this.#watched.pause ?? ((ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined));
    for (;;) {
      const last = over.aborted;
      await this.look();
      if (this.#stopped !== undefined) return this.#stopped;
      const silentMs = this.#silence === undefined ? 0 : this.#now() - this.#silence.since;
      if (silentMs > silenceMs && this.#facts.unmade === undefined && this.silence !== undefined) return this.silence;
      if (last) return undefined;
      await pause(lookMs, over);
    }
  }

  /** It is broken for good. */
  giveUp(problem: string): void {
    this.#facts.problem = problem;
  }

  /** The database of the old colour cannot be made anew. */
  unmade(why: string): void {
    this.#facts.unmade = why;
  }

  /** Something was done about what had stopped it: looks begin anew. `what` is kept. */
  goOn(what?: string): void {
    this.#stopped = this.#waitsSince = this.#silence = undefined;
    delete this.#facts.silent;
    delete this.#facts.unmade;
    if (what !== undefined) this.#facts.mended.push(what);
  }

  async look(): Promise<void> {
    const { look, note } = this.#watched;
    const facts = this.#facts;
    // A session that ended in the middle of a look says nothing of the replication: nobody answered.
    const seen = await look().catch(() => undefined);
    if (seen === undefined) return;
    if (seen.kind === 'silent') {
      facts.silent = seen.colour;
      if (this.#silence === undefined)
        note(
          `the database of ${seen.colour} does not answer (${seen.problem}): no way back while that lasts`,
          'warning',
        );
      this.#silence = { since: this.#silence?.since ?? this.#now(), problem: seen.problem };
      return;
    }
    if (this.#silence !== undefined) {
      note(`the database of ${facts.silent ?? ''} answers again`);
      this.goOn();
    }
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
          this.#stopped = { kind: 'broken', problem: `nothing has been applying changes for ${workerMs / 1000} s` };
        return;
      case 'broken':
      case 'lost':
        this.#stopped = { kind: seen.kind, problem: seen.problem };
    }
  }
}
