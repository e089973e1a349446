import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { messageOf } from '../../../../infra/lib/errors.ts';
import type { Colour, Split } from '../../../../infra/model.ts';
import type { Router, RouterState, ServerState, WriteInFlight } from '../../../../infra/platform/router.ts';
import type { Rig } from './rig.ts';

/** What a client of the `MemoryRouter` gets for a write that is refused: it reached nobody. */
export class WriteRefused extends Error {}

/** A balancer in memory that keeps the rules of a real one: one live colour, a hold or a refusal with a lease, writes in flight. */
export class MemoryRouter implements Router {
  readonly entry = { baseUrl: 'https://localhost', routeHeaders: () => ({}) };
  readonly settlesMs = 0;
  split: Split = { live: 'blue', percent: 0 };
  /** Called instead of applying, to play a balancer that fails. */
  onApply: ((split: Split, apply: () => void) => Promise<void>) | undefined;
  #heldUntil = 0;
  #refusedUntil = 0;
  /** By colour, how each request in flight is cut. */
  readonly #inFlight: Record<Colour, Set<() => void>> = { blue: new Set(), green: new Set() };
  #waiting: (() => void)[] = [];
  holds = 0;
  refusals = 0;

  servers: ServerState[] = [];

  read = (): Promise<RouterState> => {
    const now = performance.now();
    return Promise.resolve({
      split: this.split,
      holdMs: Math.max(0, this.#heldUntil - now, this.#refusedUntil - now),
      ...(this.refuses ? { refuses: true as const } : {}),
      servers: this.servers,
    });
  };

  async apply(split: Split): Promise<void> {
    const apply = (): void => void (this.split = split);
    if (this.onApply === undefined) apply();
    else await this.onApply(split, apply);
  }

  hold(leaseMs: number, _?: Split, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    this.holds++;
    this.#heldUntil = performance.now() + leaseMs;
    this.#refusedUntil = 0;
    const until = this.#heldUntil;
    setTimeout(() => {
      if (this.#heldUntil === until) void this.resumeWrites();
    }, leaseMs).unref();
    return Promise.resolve();
  }

  refuse(leaseMs: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    this.refusals++;
    this.#refusedUntil = performance.now() + leaseMs;
    return this.#letGo();
  }

  /** Plays that the lease of a refusal has expired. */
  lapse(): void {
    this.#refusedUntil = 0;
  }

  resumeWrites(): Promise<void> {
    this.#refusedUntil = 0;
    return this.#letGo();
  }

  #letGo(): Promise<void> {
    this.#heldUntil = 0;
    for (const go of this.#waiting.splice(0)) go();
    return Promise.resolve();
  }

  writesInFlight = (colour: Colour): Promise<number> => Promise.resolve(this.#inFlight[colour].size);

  nameWrites: (colour: Colour) => Promise<WriteInFlight[]> = () => Promise.resolve([]);

  /** Ends the requests that were passed to `colour` and are not answered: their clients get an error. Resolves to how many. */
  cutWrites(colour: Colour): Promise<number> {
    const open = [...this.#inFlight[colour]];
    this.#inFlight[colour].clear();
    for (const cut of open) cut();
    return Promise.resolve(open.length);
  }

  get held(): boolean {
    return this.#heldUntil > performance.now();
  }

  get refuses(): boolean {
    return this.#refusedUntil > performance.now();
  }

  /** Passes one write on to whoever is live, once writes are not held. Rejects with `WriteRefused` where they are refused. Of one that is cut the work goes on; nobody hears of its end. */
  async write<T>(work: (colour: Colour) => Promise<T>): Promise<T> {
    while (this.held) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.refuses) throw new WriteRefused('writes are refused');
    const colour = this.split.live;
    const ended = Promise.withResolvers<never>();
    const cut = (): void => ended.reject(new Error('cut'));
    this.#inFlight[colour].add(cut);
    try {
      return await Promise.race([work(colour), ended.promise]);
    } finally {
      this.#inFlight[colour].delete(cut);
    }
  }
}

/** Increments of one row, as the client counts them. */
interface Counted {
  /** Value of the row before the first of them. */
  from: number;
  acknowledged: number;
  /** Without an answer, or with an error: the row may have them or not. */
  unknown: number;
}

/**
 * Writers that insert, update, delete, and increment very few rows that all share, through the router. They remember what was
 * acknowledged. An inserted row that comes back as its own echo is there once all the same; an increment that was
 * overwritten by an older one shows in the sum.
 */
export class Workload {
  /** Amount of each row that was acknowledged and not deleted. */
  readonly acknowledged = new Map<string, number>();
  readonly deleted = new Set<string>();
  /** Amount of each row whose write had no answer or an error: it may be there, also incremented by one, or not. */
  readonly unknown = new Map<string, number>();
  readonly counters = new Map<number, Counted>();
  readonly failures: string[] = [];
  /** Writes that the router refused: they are in no database. */
  refused = 0;
  slowestMs = 0;
  /** The column of `entries` that has the account, as the version of each colour knows it. */
  readonly account: Record<Colour, string> = { blue: 'account', green: 'account' };
  readonly #pools: Record<Colour, pg.Pool>;
  readonly #router: MemoryRouter;
  #running = true;
  readonly #done: Promise<unknown>;
  #number = 0;
  #answered = 0;

  constructor(rig: Rig, router: MemoryRouter, perSecond: number, writers = 8) {
    this.#router = router;
    const pool = (colour: Colour): pg.Pool => {
      const { host, port, database, app } = rig[colour].access;
      const created = new pg.Pool({ host, port, database, ...app, ssl: { rejectUnauthorized: false }, max: writers });
      created.on('error', () => undefined);
      return created;
    };
    this.#pools = { blue: pool('blue'), green: pool('green') };
    this.#done = this.#run(writers, (1000 * writers) / perSecond);
  }

  async #run(writers: number, everyMs: number): Promise<void> {
    try {
      const found = await this.#pools[this.#router.split.live].query<Counter>('SELECT id, n FROM counters');
      for (const { id, n } of found.rows) this.counters.set(id, { from: Number(n), acknowledged: 0, unknown: 0 });
    } catch (error) {
      this.failures.push(`reading the counters: ${messageOf(error)}`);
    }
    await Promise.all(Array.from({ length: writers }, (_, writer) => this.#write(writer, everyMs)));
  }

  async #write(writer: number, everyMs: number): Promise<void> {
    while (this.#running) {
      const started = performance.now();
      const amount = ++this.#number;
      await this.#request(
        () => this.#change(`${writer}-${amount - 1}`, amount),
        () => this.unknown.set(`${writer}-${amount - 1}`, amount),
      );
      await this.#increment(amount);
      const took = performance.now() - started;
      this.slowestMs = Math.max(this.slowestMs, took);
      await sleep(Math.max(0, everyMs - took));
    }
  }

  /** One request: acknowledged, refused, or its end is not known. */
  async #request(work: () => Promise<void>, unknown: () => void): Promise<void> {
    try {
      await work();
      this.#answered++;
    } catch (error) {
      if (error instanceof WriteRefused) {
        this.refused++;
        return;
      }
      unknown();
      this.failures.push(messageOf(error));
    }
  }

  /** Inserts a row, and with some of them does more. What was acknowledged is what the router answered, not what the database did. */
  async #change(key: string, amount: number): Promise<void> {
    await this.#router.write(async (colour) => {
      const account = (amount % 500) + 1;
      const pool = this.#pools[colour];
      const columns = `key, ${this.account[colour]}, amount`;
      await pool.query(`INSERT INTO entries (${columns}) VALUES ($1, $2, $3)`, [key, account, amount]);
      if (amount % 5 === 0) {
        await pool.query('UPDATE entries SET amount = amount + 1 WHERE key = $1', [key]);
        await pool.query('UPDATE accounts SET balance = balance + 1, changed = now() WHERE id = $1', [account]);
      }
      if (amount % 7 === 0) await pool.query('DELETE FROM entries WHERE key = $1', [key]);
      if (amount % 11 === 0) await pool.query('INSERT INTO accounts (email) VALUES ($1)', [`${key}@new.invalid`]);
    });
    if (amount % 7 === 0) this.deleted.add(key);
    else this.acknowledged.set(key, amount % 5 === 0 ? amount + 1 : amount);
  }

  async #increment(turn: number): Promise<void> {
    const [id, counted] = [...this.counters][turn % this.counters.size] ?? [];
    if (id === undefined || counted === undefined) return;
    await this.#request(
      async () => {
        const sql = 'UPDATE counters SET n = n + 1 WHERE id = $1';
        await this.#router.write((colour) => this.#pools[colour].query(sql, [id]));
        counted.acknowledged++;
      },
      () => counted.unknown++,
    );
  }

  /** Resolves after `count` more acknowledged writes. */
  async more(count: number): Promise<void> {
    const wanted = this.#answered + count;
    while (this.#answered < wanted) await sleep(5);
  }

  /** Resolves after `count` more refused writes. */
  async refusedMore(count: number): Promise<void> {
    const wanted = this.refused + count;
    while (this.refused < wanted) await sleep(5);
  }

  /** Ends the writers. May be called again. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    await this.#done;
    await Promise.all([this.#pools.blue.end(), this.#pools.green.end()]);
  }

  /** What is wrong with the live side: lost, doubled or changed rows, deleted ones that came back, increments too few or too many. */
  async check(rig: Rig): Promise<string[]> {
    const { host, port, database, owner } = rig[this.#router.split.live].access;
    const client = new pg.Client({ host, port, database, ...owner, ssl: { rejectUnauthorized: false } });
    await client.connect();
    try {
      const entries = await client.query<Entry>('SELECT key, amount, length FROM entries');
      const counters = await client.query<Counter>('SELECT id, n FROM counters');
      return [...this.#wrongEntries(entries.rows), ...this.#wrongCounters(counters.rows)];
    } finally {
      await client.end();
    }
  }

  #wrongEntries(rows: Entry[]): string[] {
    const there = new Map(rows.map((row) => [row.key, row]));
    const wrong: string[] = [];
    for (const [key, amount] of this.acknowledged) {
      const row = there.get(key);
      if (row === undefined) wrong.push(`${key} is lost`);
      else if (row.amount !== amount || row.length !== amount * 2) wrong.push(`${key} is ${row.amount}, not ${amount}`);
    }
    for (const key of this.deleted) if (there.has(key)) wrong.push(`${key} came back`);
    for (const [key, amount] of this.unknown) {
      const found = there.get(key)?.amount ?? amount;
      if (found !== amount && found !== amount + 1) wrong.push(`${key} is ${found}, not ${amount} or one more`);
    }
    const known = rows.filter(({ key }) => !this.unknown.has(key)).length;
    if (known !== this.acknowledged.size) wrong.push(`${known} rows, not ${this.acknowledged.size}`);
    return wrong;
  }

  #wrongCounters(rows: Counter[]): string[] {
    const there = new Map(rows.map(({ id, n }) => [id, Number(n)]));
    const wrong = this.counters.size === 0 ? ['no counter was counted'] : [];
    for (const [id, { from, acknowledged, unknown }] of this.counters) {
      const n = there.get(id);
      const least = from + acknowledged;
      if (n === undefined) wrong.push(`counter ${id} is lost`);
      else if (n < least || n > least + unknown)
        wrong.push(`counter ${id} is ${n}, not ${unknown === 0 ? least : `between ${least} and ${least + unknown}`}`);
    }
    return wrong;
  }
}

interface Entry {
  key: string;
  amount: number;
  length: number;
}

/** PostgreSQL's driver gives a bigint as text. */
interface Counter {
  id: number;
  n: string;
}
