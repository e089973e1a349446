import { availableParallelism } from 'node:os';
import type pg from 'pg';
import { ownSchemas } from '../catalog.ts';
import { close, row } from '../connect.ts';
import { textForms } from '../text-forms.ts';

/** What would end or falsify a long reading transaction. */
const reading = {
  // The transaction may be idle for as long as a backup takes.
  idle_in_transaction_session_timeout: '0',
  // Rows hidden by a policy would be missing from the comparison: with this setting it fails instead.
  row_security: 'off',
  enable_tidscan: 'on',
};

/** Settings that not every version of PostgreSQL has. */
const whereKnown = { stats_fetch_consistency: 'snapshot', transaction_timeout: '0' };

/**
 * Names of objects are shown by the search path, so it is the same wherever the schemas are. It has them all: reading a table
 * parses the functions of its indexes, and their bodies may name others without a schema.
 */
const searchPath = (
  local: boolean,
): string => `SELECT set_config('search_path', concat_ws(', ', 'pg_catalog', string_agg(quote_ident(n.nspname), ', ' ORDER BY n.nspname)), ${local})
  FROM pg_namespace n WHERE ${ownSchemas}`;

/** `local`: for one transaction. */
const settingsOf = (local: boolean): string =>
  [
    ...Object.entries({ ...textForms, ...reading }).map(
      ([name, value]) => `SET ${local ? 'LOCAL ' : ''}${name} = '${value}'`,
    ),
    ...Object.entries(whereKnown).map(
      ([name, value]) => `SELECT set_config(name, '${value}', ${local}) FROM pg_settings WHERE name = '${name}'`,
    ),
    searchPath(local),
  ].join('; ');
const settings = settingsOf(true);

const begin = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';

/**
 * Starts a read-only transaction in which the session keeps seeing the database as it is now, and shows values in the same
 * form as every other such session.
 */
export async function openSnapshot(client: pg.Client): Promise<void> {
  await client.query(`${begin}; ${settings}; ${look}`);
}

/** Reading a counter fixes the server's statistics. */
const look = 'SELECT pg_stat_get_tuples_inserted(0)';

/** `openSnapshot` in two parts, for who has no time: the settings first, for the whole session, ... */
export async function readySnapshot(client: pg.Client): Promise<void> {
  await client.query(settingsOf(false));
}
/** ... then the moment. */
export async function takeSnapshot(client: pg.Client): Promise<void> {
  await client.query(`${begin}; ${look}`);
}

/** Both sides work at the same time, often on one machine: half of its processors for each, 8 at most. */
export const sessionsPerSide = (): number => Math.max(1, Math.min(8, Math.floor(availableParallelism() / 2)));

/** A database at one moment: one or more sessions that see the same snapshot, each with one task at a time. */
export class Snapshot {
  readonly first: pg.Client;
  readonly #added: pg.Client[] = [];
  readonly #free: pg.Client[];
  readonly #waiting: ((client: pg.Client) => void)[] = [];

  /** `first` has its snapshot open already (`openSnapshot`). */
  constructor(first: pg.Client) {
    this.first = first;
    this.#free = [first];
  }

  static of(look: Look): Snapshot {
    return look instanceof Snapshot ? look : new Snapshot(look);
  }

  /** The number of sessions. */
  get size(): number {
    return 1 + this.#added.length;
  }

  /**
   * Opens further sessions, up to `size` in all. Fewer where the server has no more to give. Together they are what the server
   * is asked to do at a time, so none of them starts parallel workers.
   */
  async widen(size: number, open: () => Promise<pg.Client>): Promise<void> {
    if (size <= 1) return;
    const { id } = await row<{ id: string }>(this.first, 'SELECT pg_export_snapshot() AS id');
    const join = async (): Promise<void> => {
      const client = await open().catch(() => undefined);
      if (client === undefined) return;
      this.#added.push(client);
      await client.query(`${begin}; SET TRANSACTION SNAPSHOT '${id}'; ${settings}; ${noWorkers}`);
      this.#release(client);
    };
    await Promise.all(Array.from({ length: size - 1 }, join));
    if (this.size > 1) await this.run((client) => client.query(noWorkers));
  }

  /** Runs a task in a session that is free. */
  async run<T>(task: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = this.#free.pop() ?? (await new Promise<pg.Client>((resolve) => void this.#waiting.push(resolve)));
    try {
      return await task(client);
    } finally {
      this.#release(client);
    }
  }

  /** Closes the sessions that `widen` opened. */
  async close(): Promise<void> {
    await Promise.all(this.#added.map(close));
  }

  #release(client: pg.Client): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(client);
    else next(client);
  }
}

/** A snapshot, or the one session that has it open. */
export type Look = pg.Client | Snapshot;

const noWorkers = 'SET LOCAL max_parallel_workers_per_gather = 0';
