import type pg from 'pg';
import { close, connect, row } from '../connect.ts';
import type { Link } from '../link.ts';
import { replayed } from './sync-state.ts';

/** A durable message, which the subscriber has to receive and confirm even where nothing else is written. */
const message = `SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'greenlight', 'delay')`;
/** Statement timeout of a look, ms. */
const statementMs = 1_000;
const pollMs = 20;

/**
 * Measures how old the data of the side that follows is. PostgreSQL's own `replay_lag` does not say that: it keeps its last value
 * while the worker waits for a lock.
 */
export class DelayMeter {
  readonly #link: Link;
  #sessions: { live: pg.Client; follower: pg.Client } | undefined;
  /** Marks in the log of the live side that are not known to be applied, oldest first. `at`: `performance.now()`. */
  #marks: { at: number; lsn: string }[] = [];
  #appliedAt = performance.now();
  #looking: Promise<void> | undefined;

  constructor(link: Link) {
    this.#link = link;
  }

  /** Everything that was visible on the live side so many ms ago is applied. Grows while nothing is known. */
  get delayMs(): number {
    return performance.now() - this.#appliedAt;
  }

  /**
   * Sets a mark, and waits for it for `patienceMs` at most. One look at a time: while one is
   * not answered, another is the same one. Rejects if a database cannot be asked; the next look connects anew.
   */
  look(patienceMs: number): Promise<void> {
    this.#looking ??= this.#look(patienceMs).finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  async #look(patienceMs: number): Promise<void> {
    const { name, from, to } = this.#link;
    try {
      this.#sessions ??= await this.#open(from.access, to.access);
      const { live, follower } = this.#sessions;
      const at = performance.now();
      await live.query(message);
      const { lsn } = await row<{ lsn: string }>(live, 'SELECT pg_current_wal_flush_lsn()::text AS lsn');
      this.#marks.push({ at, lsn });
      // An idle subscriber reports its position with the next flush of its own log.
      await follower.query(message);
      for (;;) {
        while (this.#marks[0] !== undefined && (await replayed(live, name, this.#marks[0].lsn)))
          this.#appliedAt = this.#marks.shift()?.at ?? this.#appliedAt;
        if (this.#marks.length === 0 || performance.now() - at > patienceMs) return;
        await new Promise((resolve) => setTimeout(resolve, pollMs));
      }
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async #open(
    from: Link['from']['access'],
    to: Link['to']['access'],
  ): Promise<{ live: pg.Client; follower: pg.Client }> {
    const live = await connect(from, 'admin', { statementMs });
    try {
      return { live, follower: await connect(to, 'admin', { statementMs }) };
    } catch (error) {
      await close(live);
      throw error;
    }
  }

  async close(): Promise<void> {
    const sessions = this.#sessions;
    this.#sessions = undefined;
    await Promise.all([close(sessions?.live), close(sessions?.follower)]);
  }
}
