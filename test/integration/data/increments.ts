import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { colours, type Colour } from '../../../infra/model.ts';
import type { Rig } from './rig.ts';
import type { MemoryRouter } from './traffic.ts';

/** For `rig.fresh`: the rows that are counted up. */
export const countersSchema =
  'CREATE TABLE counters (id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0); INSERT INTO counters SELECT i, 0 FROM generate_series(1, 3) i;';
const rows = 3;

/**
 * Clients that count up a few rows and keep their own ledger. Only such show a write that an older state of its row has
 * taken back: a row that was inserted stays, whatever comes after it.
 */
export class Increments {
  acknowledged = 0;
  /** Answered by an error: may or may not be there. */
  unknown = 0;
  readonly #rig: Rig;
  readonly #router: MemoryRouter;
  readonly #pools: Record<Colour, pg.Pool>;
  readonly #clients: Promise<void>[];
  #running = true;

  constructor(rig: Rig, router: MemoryRouter, clients = 6) {
    this.#rig = rig;
    this.#router = router;
    const pool = (colour: Colour): pg.Pool => {
      const { host, port, database, app } = rig[colour].access;
      const ssl = { rejectUnauthorized: false };
      const made = new pg.Pool({ host, port, database, ...app, ssl, max: clients, query_timeout: 20_000 });
      made.on('error', () => undefined);
      return made;
    };
    this.#pools = { blue: pool('blue'), green: pool('green') };
    this.#clients = Array.from({ length: clients }, (_, i) => this.#count((i % rows) + 1));
  }

  async #count(id: number): Promise<void> {
    while (this.#running) {
      try {
        await this.#router.write((colour) =>
          this.#pools[colour].query('UPDATE counters SET n = n + 1 WHERE id = $1', [id]),
        );
        this.acknowledged += 1;
      } catch {
        this.unknown += 1;
        await sleep(20);
      }
      await sleep(2);
    }
  }

  /** Resolves after so many more acknowledged ones. */
  async more(count: number): Promise<void> {
    const wanted = this.acknowledged + count;
    while (this.acknowledged < wanted) await sleep(5);
  }

  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    await Promise.all(this.#clients);
    await Promise.all(colours.map((colour) => this.#pools[colour].end()));
  }

  /** How many acknowledged increments the live colour lacks, and how many it has that nobody made. Ends the clients. */
  async settle(): Promise<{ lost: number; doubled: number }> {
    await this.stop();
    const { host, port, database, owner } = this.#rig[this.#router.split.live].access;
    const client = new pg.Client({ host, port, database, ...owner, ssl: { rejectUnauthorized: false } });
    await client.connect();
    try {
      const found = await client.query<{ n: string }>('SELECT sum(n) AS n FROM counters');
      const n = Number(found.rows[0]?.n);
      return {
        lost: Math.max(0, this.acknowledged - n),
        doubled: Math.max(0, n - this.acknowledged - this.unknown),
      };
    } finally {
      await client.end();
    }
  }
}
