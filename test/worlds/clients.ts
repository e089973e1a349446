import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { rows, sqlState, withClient } from '../../automation/data/connect.ts';
import type { Side } from '../../automation/data/link.ts';
import { messageOf } from '../../infra/lib/errors.ts';
import type { Colour } from '../../infra/model.ts';
import type { MemoryRouter } from '../integration/automation/data/traffic.ts';
import { Ledger, type Balance, type Found } from './ledger.ts';
import { Random } from './random.ts';
import type { Session, World, Writes } from './world.ts';

/** What PostgreSQL asks an application to repeat: a serialisation failure, a deadlock. */
const repeated = new Set(['40001', '40P01']);
const mostRepeats = 50;

interface Options {
  sides: Record<Colour, Side>;
  router: MemoryRouter;
  /** Which colour has the new version. */
  isNew: (colour: Colour) => boolean;
}

/** The application's clients: requests through the router to whoever is live, by the application's role. They keep books. */
export class Clients {
  readonly failures: string[] = [];
  /** How often PostgreSQL asked for a transaction again. */
  repeats = 0;
  readonly #world: World;
  readonly #options: Options;
  readonly #ledger: Ledger;
  readonly #pools: Record<Colour, pg.Pool>;
  readonly #done: Promise<unknown>;
  #number = 0;
  #answered = 0;
  #running = true;

  private constructor(world: World, options: Options, from: Found) {
    this.#world = world;
    this.#options = options;
    this.#ledger = new Ledger(from.counters);
    const pool = ({ access: { host, port, database, app } }: Side): pg.Pool => {
      const ssl = { rejectUnauthorized: false };
      const created = new pg.Pool({ host, port, database, ...app, ssl, max: world.clients });
      created.on('error', () => undefined);
      return created;
    };
    this.#pools = { blue: pool(options.sides.blue), green: pool(options.sides.green) };
    this.#done = Promise.all(Array.from({ length: world.clients }, (_, client) => this.#run(new Random(client + 1))));
  }

  /** Starts them once what is there before is known. */
  static async start(world: World, options: Options): Promise<Clients> {
    return new Clients(world, options, await found(world, options.sides[options.router.split.live]));
  }

  async #run(random: Random): Promise<void> {
    while (this.#running) {
      const { router, isNew } = this.#options;
      const n = ++this.#number;
      // What is written depends on the version that gets the request: nobody knows before it is passed on.
      let writes: Writes = {};
      try {
        await router.write((colour) => {
          const request = this.#world.request({ n, random, isNew: isNew(colour) });
          ({ writes } = request);
          return request.run(this.#session(colour));
        });
        this.#ledger.acknowledge(writes);
        this.#answered += 1;
      } catch (error) {
        this.#ledger.lose(writes);
        this.failures.push(messageOf(error));
      }
      await sleep(this.#world.everyMs);
    }
  }

  #session(colour: Colour): Session {
    return {
      side: this.#options.sides[colour],
      transaction: async (work, begin = 'BEGIN') => {
        for (let tries = 1; ; tries += 1) {
          const client = await this.#pools[colour].connect();
          try {
            await client.query(begin);
            await work(client);
            await client.query('COMMIT');
            client.release();
            return;
          } catch (error) {
            await client.query('ROLLBACK').catch(() => undefined);
            client.release(sqlState(error) === undefined);
            if (!repeated.has(sqlState(error) ?? '') || tries === mostRepeats) throw error;
            this.repeats += 1;
          }
        }
      },
    };
  }

  /** Resolves after `count` more answered requests. Rejects if there are none for 30 s. */
  async more(count: number): Promise<void> {
    const wanted = this.#answered + count;
    let [last, since] = [0, performance.now()];
    while (this.#answered < wanted) {
      if (last !== this.#answered) [last, since] = [this.#answered, performance.now()];
      if (performance.now() - since > 30_000)
        throw new Error(`no request was answered for 30 s: ${this.failures.at(-1) ?? 'nothing failed'}`);
      await sleep(10);
    }
  }

  /** Ends them. May be called again. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    await this.#done;
    await Promise.all(Object.values(this.#pools).map((pool) => pool.end()));
  }

  /** What the live database has of what was acknowledged. Call after `stop`. */
  async balance(): Promise<Balance> {
    const { sides, router } = this.#options;
    return this.#ledger.balance(await found(this.#world, sides[router.split.live]));
  }
}

const found = ({ ledger }: World, side: Side): Promise<Found> =>
  withClient(side.access, 'owner', async (client) => {
    const keys = ledger.rows === undefined ? [] : await rows<{ key: string }>(client, ledger.rows);
    const counters = await rows<{ name: string; n: string }>(client, ledger.counters);
    return {
      rows: keys.map(({ key }) => key),
      counters: Object.fromEntries(counters.map(({ name, n }) => [name, Number(n)])),
    };
  });
