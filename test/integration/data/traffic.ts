import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Colour, Split } from '../../../infra/model.ts';
import type { Router, RouterState } from '../../../infra/platform.ts';
import type { Rig } from './rig.ts';

/** A balancer in memory that keeps the rules of a real one: one live colour, a hold with a lease, writes in flight. */
export class MemoryRouter implements Router {
  readonly entry = { baseUrl: 'https://localhost', routeHeaders: () => ({}) };
  readonly settlesMs = 0;
  split: Split = { live: 'blue', percent: 0 };
  /** Called instead of applying, to play a balancer that fails. */
  onApply: ((split: Split, apply: () => void) => Promise<void>) | undefined;
  #heldUntil = 0;
  #inFlight: Record<Colour, number> = { blue: 0, green: 0 };
  #waiting: (() => void)[] = [];
  holds = 0;

  read = (): Promise<RouterState> =>
    Promise.resolve({ split: this.split, holdMs: Math.max(0, this.#heldUntil - performance.now()), servers: [] });

  async apply(split: Split): Promise<void> {
    const apply = (): void => void (this.split = split);
    if (this.onApply === undefined) apply();
    else await this.onApply(split, apply);
  }

  hold(leaseMs: number): Promise<void> {
    this.holds++;
    this.#heldUntil = performance.now() + leaseMs;
    const until = this.#heldUntil;
    setTimeout(() => {
      if (this.#heldUntil === until) void this.release();
    }, leaseMs).unref();
    return Promise.resolve();
  }

  release(): Promise<void> {
    this.#heldUntil = 0;
    for (const go of this.#waiting.splice(0)) go();
    return Promise.resolve();
  }

  writesInFlight = (colour: Colour): Promise<number> => Promise.resolve(this.#inFlight[colour]);

  get held(): boolean {
    return this.#heldUntil > performance.now();
  }

  /** Passes one write on to whoever is live, once writes are not held. */
  async write<T>(work: (colour: Colour) => Promise<T>): Promise<T> {
    while (this.held) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const colour = this.split.live;
    this.#inFlight[colour]++;
    try {
      return await work(colour);
    } finally {
      this.#inFlight[colour]--;
    }
  }
}

/** Writers that insert, update and delete through the router, and remember what was acknowledged. */
export class Workload {
  readonly acknowledged = new Map<string, number>();
  readonly deleted = new Set<string>();
  readonly failures: string[] = [];
  slowestMs = 0;
  readonly #pools: Record<Colour, pg.Pool>;
  readonly #router: MemoryRouter;
  #running = true;
  #done: Promise<unknown>;
  #number = 0;

  constructor(rig: Rig, router: MemoryRouter, perSecond: number, writers = 8) {
    this.#router = router;
    const pool = (colour: Colour): pg.Pool => {
      const { host, port, database, app } = rig[colour].access;
      const created = new pg.Pool({ host, port, database, ...app, ssl: { rejectUnauthorized: false }, max: writers });
      created.on('error', () => undefined);
      return created;
    };
    this.#pools = { blue: pool('blue'), green: pool('green') };
    this.#done = Promise.all(
      Array.from({ length: writers }, (_, writer) => this.#write(writer, (1000 * writers) / perSecond)),
    );
  }

  async #write(writer: number, everyMs: number): Promise<void> {
    while (this.#running) {
      const started = performance.now();
      const key = `${writer}-${this.#number++}`;
      const amount = this.#number;
      try {
        await this.#router.write(async (colour) => {
          const account = (amount % 500) + 1;
          const pool = this.#pools[colour];
          await pool.query('INSERT INTO entries (key, account, amount) VALUES ($1, $2, $3)', [key, account, amount]);
          this.acknowledged.set(key, amount);
          if (amount % 5 === 0) {
            await pool.query('UPDATE entries SET amount = amount + 1 WHERE key = $1', [key]);
            this.acknowledged.set(key, amount + 1);
            await pool.query('UPDATE accounts SET balance = balance + 1, changed = now() WHERE id = $1', [account]);
          }
          if (amount % 7 === 0) {
            await pool.query('DELETE FROM entries WHERE key = $1', [key]);
            this.acknowledged.delete(key);
            this.deleted.add(key);
          }
          if (amount % 11 === 0) await pool.query('INSERT INTO accounts (email) VALUES ($1)', [`${key}@new.invalid`]);
        });
      } catch (error) {
        this.failures.push((error as Error).message);
      }
      const took = performance.now() - started;
      this.slowestMs = Math.max(this.slowestMs, took);
      await sleep(Math.max(0, everyMs - took));
    }
  }

  /** Resolves after `count` more acknowledged writes. */
  async more(count: number): Promise<void> {
    const wanted = this.#number + count;
    while (this.#number < wanted) await sleep(5);
  }

  /** Ends the writers. May be called again. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    await this.#done;
    await Promise.all([this.#pools.blue.end(), this.#pools.green.end()]);
  }

  /** What is wrong with the live side: lost, doubled or changed rows, and deleted ones that came back. */
  async check(rig: Rig): Promise<string[]> {
    const { host, port, database, owner } = rig[this.#router.split.live].access;
    const client = new pg.Client({ host, port, database, ...owner, ssl: { rejectUnauthorized: false } });
    await client.connect();
    try {
      const { rows } = await client.query<{ key: string; amount: number; length: number }>(
        'SELECT key, amount, length FROM entries',
      );
      const there = new Map(rows.map((r) => [r.key, r]));
      const wrong: string[] = [];
      for (const [key, amount] of this.acknowledged) {
        const row = there.get(key);
        if (row === undefined) wrong.push(`${key} is lost`);
        else if (row.amount !== amount || row.length !== amount * 2)
          wrong.push(`${key} is ${row.amount}, not ${amount}`);
      }
      for (const key of this.deleted) if (there.has(key)) wrong.push(`${key} came back`);
      if (rows.length !== this.acknowledged.size) wrong.push(`${rows.length} rows, not ${this.acknowledged.size}`);
      return wrong;
    } finally {
      await client.end();
    }
  }
}
