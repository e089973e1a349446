import { join } from 'node:path';
import pg from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import { databaseUrl } from '../../../../../../infra/application/database-url.ts';
import { colours, type Colour } from '../../../../../../infra/model.ts';
import { rows, withClient } from '../../../../../../automation/data/connect.ts';
import { startSync, waitForSync } from '../../../../../../automation/data/replication/sync.ts';
import { Guards } from '../../../../infra/local/workers/guards.ts';
import { createRig, expand, type Rig } from '../../../data/rig.ts';
import { MemoryRouter } from '../../../data/traffic.ts';

const schema = ['table', 'file']
  .map(
    (how) =>
      `CREATE TABLE ${how}_jobs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, done boolean NOT NULL DEFAULT false);`,
  )
  .concat('CREATE TABLE results (job bigint, worker int, n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);')
  .join('\n');

/** Two databases, real guards of two workers on each, and somebody who makes jobs for them through the balancer. */
export class Queue {
  readonly router = new MemoryRouter();
  readonly guards = new Guards();
  rig!: Rig;
  /** Ids of jobs whose making was acknowledged. Each time one of both kinds. */
  readonly made = { table: [] as number[], file: [] as number[] };
  #producing: Promise<void> = Promise.resolve();
  #end = false;

  async start(): Promise<void> {
    this.rig = await createRig();
    await this.rig.fresh(schema);
    await expand(this.rig, 'SELECT 1');
    await waitForSync(await startSync(this.rig.blue, this.rig.green), { timeoutMs: 30_000 });
    for (const colour of colours)
      for (const how of ['table', 'file'])
        await this.guards.put(
          {
            name: `${how}.${colour}.1`,
            colour,
            argv: [process.execPath, program, how, this.guards.file],
            stopSeconds: 10,
          },
          { DATABASE_URL: databaseUrl(this.rig[colour].access, 'app'), GREENLIGHT_COLOUR: colour },
        );
    await this.guards.workers.run('blue');
    this.#producing = this.#produce();
  }

  async #produce(): Promise<void> {
    const clients = Object.fromEntries(
      colours.map((colour) => [
        colour,
        new pg.Client({ connectionString: databaseUrl(this.rig[colour].access, 'app') }),
      ]),
    ) as Record<Colour, pg.Client>;
    for (const client of Object.values(clients)) await client.connect();
    while (!this.#end) {
      await this.router.write(async (live) => {
        for (const how of ['table', 'file'] as const) {
          const made = await rows<{ id: string }>(clients[live], `INSERT INTO ${how}_jobs DEFAULT VALUES RETURNING id`);
          this.made[how].push(Number(made[0]?.id));
        }
      });
      await sleep(8);
    }
    for (const client of Object.values(clients)) await client.end();
  }

  /** Jobs whose result is in the live database, or a line in the file; in order. */
  async done(how: 'table' | 'file'): Promise<number[]> {
    if (how === 'file') return this.guards.lines().map(([job]) => Number(job));
    const { access } = this.rig[this.router.split.live];
    const found = await withClient(access, 'admin', (client) =>
      rows<{ job: string }>(client, 'SELECT job FROM results ORDER BY n'),
    );
    return found.map(({ job }) => Number(job));
  }

  /** Waits until the workers have done so many jobs more. */
  async more(count: number): Promise<void> {
    for (const how of ['table', 'file'] as const) {
      const wanted = new Set(await this.done(how)).size + count;
      await this.guards.until(async () => new Set(await this.done(how)).size >= wanted);
    }
  }

  /** Ends the making of jobs, and waits until none is left. */
  async finish(): Promise<void> {
    this.#end = true;
    await this.#producing;
    for (const how of ['table', 'file'] as const)
      await this.guards.until(async () => {
        const found = new Set(await this.done(how));
        return this.made[how].every((job) => found.has(job));
      });
  }

  async dispose(): Promise<void> {
    this.#end = true;
    await this.#producing.catch(() => undefined);
    await this.guards.dispose();
    await this.rig.dispose();
  }
}

const program = join(import.meta.dirname, 'fixtures', 'queue.mjs');

/** Jobs that are there more than once. */
export const twice = (jobs: readonly number[]): number[] => jobs.filter((job, index) => jobs.indexOf(job) !== index);
