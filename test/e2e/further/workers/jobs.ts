import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { databaseUrl } from '../../../../infra/application/database-url.ts';
import { Layout } from '../../../../infra/local/lib/layout.ts';
import { colourAccess } from '../../../../infra/local/postgres/databases.ts';
import { colours } from '../../../../infra/model.ts';

type Kind = 'table' | 'file';
const kinds = ['table', 'file'] as const;

/** Somebody who makes jobs all the time, with the login of the application, on whichever colour accepts them. */
export class Jobs {
  readonly #layout: Layout;
  /** Ids of jobs that a database has acknowledged. */
  readonly made: Record<Kind, number[]> = { table: [], file: [] };
  /** Inserts of which nobody knows whether they were made. */
  unknown = 0;
  readonly #clients = new Map<string, pg.Client>();
  #end = false;
  readonly #making: Promise<void>;

  constructor(home: string) {
    this.#layout = new Layout('production', join(home, 'environments', 'production'));
    this.#making = this.#make();
  }

  async #make(): Promise<void> {
    for (let at = 0; !this.#end; at += 1) {
      const colour = colours[at % 2] as (typeof colours)[number];
      // As long as this one accepts them.
      while (!this.#end && (await this.#insert(colour))) await sleep(20);
      await sleep(20);
    }
    await Promise.all([...this.#clients.values()].map((client) => client.end().catch(() => undefined)));
  }

  async #insert(colour: 'blue' | 'green'): Promise<boolean> {
    let sent = false;
    try {
      const client = this.#clients.get(colour) ?? (await this.#connect(colour));
      for (const kind of kinds) {
        sent = true;
        const { rows } = await client.query<{ id: string }>(`INSERT INTO ${kind}_jobs DEFAULT VALUES RETURNING id`);
        sent = false;
        this.made[kind].push(Number(rows[0]?.id));
      }
      return true;
    } catch (error) {
      // The server has refused it; anything else may have happened to it.
      if (!(error instanceof pg.DatabaseError && error.code === '42501')) {
        if (sent) this.unknown += 1;
        this.#clients.delete(colour);
      }
      return false;
    }
  }

  async #connect(colour: 'blue' | 'green'): Promise<pg.Client> {
    const url = databaseUrl(colourAccess(this.#layout, colour), 'app');
    const client = new pg.Client({ connectionString: url, query_timeout: 20_000 });
    client.on('error', () => this.#clients.delete(colour));
    await client.connect();
    this.#clients.set(colour, client);
    return client;
  }

  /** Jobs whose result is in the database of `colour`, or a line in the file. */
  async done(kind: Kind, colour: 'blue' | 'green'): Promise<number[]> {
    if (kind === 'file') {
      const lines = readFileSync(join(this.#layout.files('done'), 'lines'), 'utf8')
        .trim()
        .split('\n');
      return lines.map((line) => Number(line.split(' ')[0]));
    }
    const client = new pg.Client({ connectionString: databaseUrl(colourAccess(this.#layout, colour), 'admin') });
    await client.connect();
    try {
      const { rows } = await client.query<{ job: string }>('SELECT job FROM results ORDER BY n');
      return rows.map(({ job }) => Number(job));
    } finally {
      await client.end();
    }
  }

  async end(): Promise<void> {
    this.#end = true;
    await this.#making;
  }
}
