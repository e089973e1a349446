import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareFollowing } from '../../automation/data/comparison/following.ts';
import { checkInvariants } from '../../automation/data/comparison/invariants.ts';
import { rows, withClient } from '../../automation/data/connect.ts';
import { cutover } from '../../automation/data/cutover/cutover.ts';
import type { Direction } from '../../automation/data/cutover/procedure.ts';
import { linkBetween } from '../../automation/data/link.ts';
import { judgeMigrations } from '../../automation/data/migrations/judge.ts';
import { runMigrations } from '../../automation/data/migrations/migrations.ts';
import { splitStatements } from '../../automation/data/migrations/statements.ts';
import { requireBothWays } from '../../automation/data/publication/both-ways.ts';
import { recordExpanded } from '../../automation/data/replication/schema-record.ts';
import { followSync, startSync, stopSync, syncStatus, waitForSync } from '../../automation/data/replication/sync.ts';
import { copySchema } from '../../automation/data/copying/schema.ts';
import { resetDatabase } from '../../automation/data/schema.ts';
import type { TableComparison } from '../../automation/journal/events.ts';
import { messageOf } from '../../infra/lib/errors.ts';
import type { Colour } from '../../infra/model.ts';
import type { Rig } from '../integration/automation/data/rig.ts';
import { MemoryRouter } from '../integration/automation/data/traffic.ts';
import { Clients } from './clients.ts';
import { cureAll, type Cured } from './cures.ts';
import type { Balance } from './ledger.ts';
import type { World } from './world.ts';

/** How the inactive colour gets its data. */
export const modes = ['physical', 'rows'] as const;
export type Mode = (typeof modes)[number];

export interface Outcome extends Balance {
  world: string;
  mode: Mode;
  /** Relations that hold rows, with partitions. */
  tables: number;
  rows: number;
  /** Refusals of the preflight, and what cured them. */
  cured: Cured[];
  /** Each hold forward and back, ms. */
  forwardMs: number[];
  backMs: number[];
  equal: boolean;
  seconds: number;
  /** In order; the last one of a journey that broke off is where it broke off. */
  steps: { step: string; ms: number }[];
  /** What the cutovers warned of. */
  warnings: string[];
  /** What went wrong; empty: the world is whole. */
  problems: string[];
}

/** Times of a release without a definition of its own. */
const settings = { holdMs: 2_000, drainMs: 1_000 };
const syncMs = 300_000;
/** Requests that are answered between two steps. */
const between = 40;

/**
 * Releases a world there, back, there again and up to its contract migrations, by the functions of a release and in their order, with
 * its clients at work all the time. Never rejects: what breaks it off is a problem.
 */
export async function release(rig: Rig, world: World, mode: Mode): Promise<Outcome> {
  const started = performance.now();
  const journey = new Journey(rig, world, mode);
  await journey.walk();
  return { ...journey.outcome, seconds: (performance.now() - started) / 1000 };
}

class Journey {
  readonly outcome: Omit<Outcome, 'seconds'>;
  readonly #rig: Rig;
  readonly #world: World;
  readonly #mode: Mode;
  readonly #router = new MemoryRouter();
  #clients: Clients | undefined;
  #directory = '';
  #since = 0;
  /** Whether green has the new schema. */
  #expanded = false;

  constructor(rig: Rig, world: World, mode: Mode) {
    [this.#rig, this.#world, this.#mode] = [rig, world, mode];
    const nothing = { acknowledged: 0, unknown: 0, lost: 0, doubled: 0, findings: [] };
    const none = { cured: [], forwardMs: [], backMs: [], equal: false, steps: [], warnings: [], problems: [] };
    this.outcome = { ...nothing, ...none, world: world.name, mode, tables: 0, rows: 0 };
  }

  async walk(): Promise<void> {
    const { problems } = this.outcome;
    this.#directory = await mkdtemp(join(tmpdir(), 'greenlight-world-'));
    try {
      for (const [name, sql] of Object.entries(this.#world.migrations))
        await writeFile(join(this.#directory, name), sql);
      await this.#create();
      await this.#judge();
      await this.#there();
      await this.#move('rollback');
      await this.#there();
      await this.#contract();
    } catch (error) {
      problems.push(messageOf(error));
    } finally {
      await this.#settle().catch((error: unknown) => problems.push(messageOf(error)));
      await rm(this.#directory, { recursive: true, force: true });
    }
  }

  /** Ends the step before. */
  #begin(step: string): void {
    const last = this.outcome.steps.at(-1);
    if (last !== undefined) last.ms = Math.round(performance.now() - this.#since);
    this.#since = performance.now();
    this.outcome.steps.push({ step, ms: 0 });
  }

  async #create(): Promise<void> {
    const { blue } = this.#rig;
    this.#begin('create');
    await this.#rig.fresh('SELECT');
    await this.#world.create({
      side: blue,
      asOwner: (sql) => this.#rig.run(blue, sql),
      asAdmin: (sql) => withClient(blue.access, 'admin', async (client) => void (await client.query(sql))),
    });
    this.#begin('cure');
    this.outcome.cured = await cureAll(blue, this.#mode === 'physical');
    const isNew = (colour: Colour): boolean => colour === 'green' && this.#expanded;
    this.#clients = await Clients.start(this.#world, { sides: this.#rig, router: this.#router, isNew });
    await this.#more();
  }

  async #more(): Promise<void> {
    await this.#clients?.more(between);
  }

  /** A world brings migrations that are judged to be safe: others would end its release here. */
  async #judge(): Promise<void> {
    const { migrations, contract } = this.#world;
    const files = await Promise.all(
      Object.entries(migrations).map(async ([name, sql]) => ({
        name,
        statements: await splitStatements(sql),
        as: contract.includes(name) ? ('contract' as const) : ('expand' as const),
      })),
    );
    const stopping = judgeMigrations(files).filter(({ stops }) => stops);
    for (const { file, line, why } of stopping) throw new Error(`the migrations are refused: ${file}:${line}: ${why}`);
  }

  /** Up to the writes on the new side. */
  async #there(): Promise<void> {
    const { blue, green } = this.#rig;
    const link = linkBetween(blue, green);
    this.#begin('copy');
    if (this.#mode === 'physical') await this.#rig.seed();
    else {
      await stopSync(link);
      await resetDatabase(green.access, green.colour);
      await copySchema(blue.access, green.access);
      await startSync(blue, green);
      await waitForSync(link, { timeoutMs: syncMs });
    }
    this.#begin('migrate and follow');
    await this.#migrate('expand');
    await withClient(blue.access, 'admin', (old) =>
      withClient(green.access, 'admin', (migrated) =>
        requireBothWays({ old, new: migrated }, { old: blue.colour, new: green.colour }),
      ),
    );
    if (this.#mode === 'physical') await followSync(link);
    const { state, problem } = await waitForSync(link, { timeoutMs: syncMs });
    if (state !== 'streaming') throw new Error(`the replication is ${state}: ${problem ?? ''}`);
    await this.#more();
    this.#begin('compare');
    this.#compared('before the cutover', await compareFollowing(link, 'left'));
    await this.#move('forward');
  }

  async #migrate(phase: 'expand' | 'contract'): Promise<void> {
    const { contract } = this.#world;
    await runMigrations({
      access: this.#rig.green.access,
      directory: this.#directory,
      phase,
      incompatible: [],
      contract,
    });
    if (phase === 'expand') await withClient(this.#rig.green.access, 'admin', recordExpanded);
    this.#expanded = true;
  }

  async #move(direction: Direction): Promise<void> {
    const { blue, green } = this.#rig;
    const [from, to] = direction === 'forward' ? [blue, green] : [green, blue];
    this.#begin(direction);
    const moved = await cutover({ router: this.#router, from, to, direction, settings });
    (direction === 'forward' ? this.outcome.forwardMs : this.outcome.backMs).push(moved.holdMs);
    const { problems, warnings } = moved;
    if (problems.length > 0) throw new Error(`${direction}: ${problems.join('; ')}`);
    this.outcome.warnings.push(...warnings.map((text) => `${direction}: ${text}`));
    if (!moved.compared) throw new Error(`${direction}: the databases were not compared`);
    this.#compared(direction, moved.tables);
    await this.#more();
    const back = linkBetween(green, blue);
    const { state, problem } = await syncStatus(back);
    if (direction === 'forward' && state !== 'streaming') throw new Error(`the way back is ${state}: ${problem ?? ''}`);
  }

  /** Tables of the new version alone cannot go back; nothing else may differ. */
  #compared(when: string, tables: readonly TableComparison[]): void {
    const unequal = tables.filter(({ equal, only }) => !equal && only === undefined);
    this.outcome.equal = tables.length > 0 && unequal.length === 0;
    const said = unequal.map(({ table, detail }) => `${table}: ${detail ?? 'unequal'}`);
    if (!this.outcome.equal) throw new Error(`${when}: not equal: ${said.join('; ')}`);
  }

  async #contract(): Promise<void> {
    const { green, blue } = this.#rig;
    this.#begin('finish');
    await this.#more();
    this.#compared('in the bake', await compareFollowing(linkBetween(green, blue), 'common'));
    await stopSync(linkBetween(green, blue));
    await this.#migrate('contract');
    await this.#more();
  }

  /** Ends the clients, and balances their books with the database that is live. */
  async #settle(): Promise<void> {
    this.#begin('balance');
    const { problems } = this.outcome;
    const clients = this.#clients;
    if (clients === undefined) return;
    await clients.stop();
    const { access } = this.#rig[this.#router.split.live];
    Object.assign(this.outcome, await clients.balance(), await withClient(access, 'admin', sizeOf));
    const broken = await checkInvariants(access, this.#world.invariants);
    for (const { name, rows: found } of broken) if (found > 0) problems.push(`invariant ${name}: ${found} rows`);
    if (this.outcome.lost + this.outcome.doubled > 0) problems.push(...this.outcome.findings);
    const failed = Map.groupBy(clients.failures, (text) => text);
    // Only the way back may cut a request.
    for (const [text, of] of failed) if (text !== 'cut') problems.push(`${of.length} requests failed: ${text}`);
  }
}

const sizeOf = async (client: Parameters<Parameters<typeof withClient>[2]>[0]) => {
  const [size] = await rows<{ tables: number; rows: number }>(
    client,
    `SELECT count(*)::int AS tables, coalesce(sum((xpath('/row/n/text()', query_to_xml(
       format('SELECT count(*) AS n FROM ONLY %I.%I', n.nspname, c.relname), false, true, '')))[1]::text::int), 0)::int AS rows
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'greenlight')`,
  );
  return size;
};
