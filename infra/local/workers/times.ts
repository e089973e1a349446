import { Cron } from 'croner';

export interface ScheduleTimes {
  /** Five fields: minute, hour, day of the month, month, day of the week. */
  cron: string;
  /** IANA name. */
  timeZone: string;
}

/** A time that is noticed later than this was missed, ms. */
const missedMs = 60_000;

/** The times of a schedule, one after the other. Times that were missed are not made up for. */
export class Times {
  readonly #cron: Cron;
  #next: number | undefined;

  constructor({ cron, timeZone }: ScheduleTimes) {
    this.#cron = new Cron(cron, { timezone: timeZone, paused: true });
  }

  /** Whether a time has come since the last call. The first call after `forget` begins anew. `now`: ms since the epoch. */
  due(now: number, onMissed: (text: string) => void): boolean {
    this.#next ??= this.#after(now);
    if (now < this.#next) return false;
    const was = this.#next;
    this.#next = this.#after(now);
    if (now - was <= missedMs) return true;
    onMissed(`the run of ${new Date(was).toISOString()} was missed, and is left out`);
    return false;
  }

  /** It is not this one's turn: what comes until it is again is left out. */
  forget(): void {
    this.#next = undefined;
  }

  #after(now: number): number {
    return this.#cron.nextRun(new Date(now))?.getTime() ?? Infinity;
  }
}
