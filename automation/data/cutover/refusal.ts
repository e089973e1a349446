import { setTimeout as sleep } from 'node:timers/promises';
import { greenlight } from '../../../infra/lib/command.ts';
import { messageOf, OperationError } from '../../../infra/lib/errors.ts';
import type { Router } from '../../../infra/platform/router.ts';
import type { Fence } from './fence.ts';
import { within } from './steps.ts';

/** Lease of the refusal, ms. If this program dies, writes are passed on after that. A balancer may take a while to begin and to end. */
const leaseOf = ({ settlesMs }: Pick<Router, 'settlesMs'>): number => 10_000 + 2 * settlesMs;
/** How often it is renewed, ms, and how long a renewal may take. Two that fail in a row are over before the lease is. */
const renewMs = 3_000;
/** Renewals in a row that may fail. */
const mostFailures = 1;

interface RefusalOptions {
  router: Router;
  /** Longest time from the first request to refuse writes until the flip, ms. */
  longestMs: number;
  /** Whether this program still owns the environment. */
  ours?: (() => boolean) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Writes are refused at the balancer for as long as this renews the lease. It uses the fence as often, so that the server ends
 * one whose program is suspended, and looks each time whether all of it still stands. `signal` aborts where it does not, and names why.
 */
export class Refusal {
  readonly signal: AbortSignal;
  readonly leaseMs: number;
  /** When writes were asked to be refused (`performance.now()`). */
  since = Number.NaN;
  readonly #options: RefusalOptions;
  readonly #failed = new AbortController();
  readonly #renewing = new AbortController();
  readonly #ended = new AbortController();
  #renewals: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #fence: Fence | undefined;

  constructor(options: RefusalOptions) {
    this.#options = options;
    this.leaseMs = leaseOf(options.router);
    const { signal } = options;
    this.signal = AbortSignal.any([this.#failed.signal, ...(signal === undefined ? [] : [signal])]);
  }

  /** When the window has to be over (`performance.now()`). */
  get deadline(): number {
    return this.since + this.#options.longestMs;
  }

  /** Begins to refuse writes, and to renew that. Rejects if the balancer does not do it in time. */
  async begin(): Promise<void> {
    this.since = performance.now();
    this.#timer = setTimeout(() => this.#failed.abort(this.#tooLong()), this.#options.longestMs);
    await this.inTime(within(this.#refuse(), this.since + this.leaseMs, undefined, noAnswer('the balancer')));
    this.#renewals = this.#renew();
  }

  /** From now on the fence is looked at, too. */
  guard(fence: Fence): void {
    this.#fence = fence;
  }

  /** Rejects with the reason if `signal` has aborted or aborts meanwhile. The outcome of `work` is ignored then. */
  async inTime<T>(work: Promise<T>): Promise<T> {
    try {
      return await within(work, this.deadline, this.signal, this.#tooLong());
    } finally {
      // What the abort has brought down may be heard of first.
      this.signal.throwIfAborted();
    }
  }

  /**
   * Renews the lease once more, and lets it run from then on. Resolves to when it was asked for (`performance.now()`). Rejects if
   * anything does not stand any more: this machine may have been suspended, and its clock stood still while the lease expired.
   */
  async last(): Promise<number> {
    this.#renewing.abort();
    await this.inTime(this.#renewals);
    const asked = performance.now();
    await this.inTime(this.#look());
    clearTimeout(this.#timer);
    return asked;
  }

  /**
   * Ends all of this. A balancer that has not begun to refuse does not do so any more; it does not end a refusal that began. `why`: for
   * whoever still works and has the signal.
   */
  end(why?: unknown): void {
    clearTimeout(this.#timer);
    if (why !== undefined) this.#failed.abort(why);
    this.#renewing.abort();
    this.#ended.abort();
  }

  async #renew(): Promise<void> {
    const { signal } = this.#renewing;
    let last = this.since;
    for (let failures = 0; ;) {
      await sleep(Math.max(0, last + renewMs - performance.now()), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      last = performance.now();
      try {
        await this.#look();
        failures = 0;
      } catch (error) {
        failures += 1;
        if (signal.aborted || (failures <= mostFailures && !(error instanceof Gone))) continue;
        this.#failed.abort(error instanceof Gone ? error : new Gone(`it could not be renewed: ${messageOf(error)}`));
        return;
      }
    }
  }

  async #look(): Promise<void> {
    const { router, ours } = this.#options;
    if (ours?.() === false) throw new Gone('another machine has taken the environment over');
    const soon = performance.now() + renewMs + router.settlesMs;
    // Asked first, as a renewal would begin anew what has lapsed.
    const { holdMs } = await within(router.read(), soon, undefined, noAnswer('the balancer'));
    if (holdMs === 0) throw new Gone('the lease has expired at the balancer');
    await within(this.#refuse(), soon, undefined, noAnswer('the balancer'));
    const used = this.#fence?.renew().catch((error: unknown) => {
      throw new Gone(`the fence is lost: ${messageOf(error)}`);
    });
    if (used !== undefined) await within(used, soon, undefined, noAnswer('the database that writes leave'));
  }

  #refuse(): Promise<void> {
    return this.#options.router.refuse(this.leaseMs, this.#ended.signal);
  }

  #tooLong(): OperationError {
    return new OperationError(
      'refusing writes',
      `the ${this.#options.longestMs / 1000} s that they may be refused have passed`,
      'find out what was slow, or allow more time (migrations.incompatible.readOnlyWindow.longestSeconds)',
    );
  }
}

/** What does not come back by itself. */
class Gone extends OperationError {
  constructor(found: string) {
    super('refusing writes', found, `see who is live: ${greenlight('status')}; then start the release again`);
  }
}

const noAnswer = (who: string): Error => new Error(`${who} did not answer in time`);
