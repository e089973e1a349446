import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { other, type Colour, type EnvironmentName, type Split } from '../../infra/model.ts';
import { environmentDirectory, home } from '../../infra/lib/paths.ts';
import type { Environment } from '../../infra/platform/environment.ts';
import { createLocalPlatform } from '../../infra/local/platform.ts';
import { checkRelease } from '../../automation/config/load.ts';
import { gatesOf } from '../../automation/release/plan.ts';
import { rows, withClient } from '../../automation/data/connect.ts';
import { clientOf } from '../../automation/gates/web/http-client.ts';
import { readLive } from '../../automation/release/context/live.ts';
import { environmentSpec } from '../../automation/release/context/spec.ts';
import { createEngine } from '../../automation/stacks/engine.ts';
import { shortRelease } from './definition.ts';

/** What the production of the drills is like, seen from outside a release. */
export interface World {
  live: { colour: Colour; version: string };
  split: Split | undefined;
  holdMs: number;
  /** What the entry point says that it is, and what it answers to a write; 0: nothing. */
  answered: { version: string; write: number };
  /** Processes of the live colour and the balancer: the same before and after, if nothing was touched. */
  pids: Record<string, number | undefined>;
  /** Whether the colour that is not live has anything. */
  idleColourUp: boolean;
  /** Slots, subscriptions and publications of the live database. */
  replication: string[];
  locks: string[];
  /** Processes of a release that outlived it. */
  strays: string[];
}

const definition = checkRelease('drill.config.ts', shortRelease, gatesOf);
const platform = createLocalPlatform();
const engine = createEngine(platform);

/** Runs `work` with the environment as the stages see it. */
export async function withProduction<T>(work: (production: Environment) => Promise<T>): Promise<T> {
  const spec = environmentSpec(definition, 'production');
  const production = await platform.connect('production', spec, (kind) => engine.outputs('production', kind));
  try {
    return await work(production);
  } finally {
    await production.close();
  }
}

/** What is live; undefined before the first go-live. */
export async function liveVersion(): Promise<World['live'] | undefined> {
  const live = await readLive(engine, 'production');
  return live && { colour: live.colour, version: live.artefact.version };
}

/** Looks at everything. Asks for the version and signs an account up, through the real entry point. */
export async function look(): Promise<World> {
  const live = await liveVersion();
  if (live === undefined) throw new Error('nothing is live');
  return withProduction(async (production) => {
    const { split, holdMs } = await production.router.read();
    const instances = await production.instances.list();
    const mine = ({ id }: { id: string }) =>
      id === 'balancer' || id === `database.${live.colour}` || id.includes(`.${live.colour}.`);
    return {
      live,
      split,
      holdMs,
      answered: await ask(production),
      pids: Object.fromEntries(instances.filter(mine).map(({ id, pid }) => [id, pid])),
      idleColourUp: await engine.exists('production', other(live.colour)),
      replication: await replicationOf(production, live.colour),
      locks: (['production', 'staging'] as const).flatMap(locksOf),
      strays: strays(),
    };
  });
}

async function ask({ router }: Environment): Promise<World['answered']> {
  const client = await clientOf(router.entry);
  const { body } = await client('/api/version');
  const account = { email: `drill-${randomUUID()}@synthetic.invalid`, name: 'Drill', password: randomUUID() };
  const headers = { 'content-type': 'application/json' };
  const written = await client('/api/accounts', { method: 'POST', headers, body: JSON.stringify(account) }).catch(
    () => undefined,
  );
  return { version: (JSON.parse(body) as { version: string }).version, write: written?.status ?? 0 };
}

async function replicationOf({ databases }: Environment, colour: Colour): Promise<string[]> {
  const sql = `SELECT 'slot ' || slot_name AS name FROM pg_replication_slots
    UNION ALL SELECT 'subscription ' || subname FROM pg_subscription
    UNION ALL SELECT 'publication ' || pubname FROM pg_publication`;
  const found = await withClient(await databases.of(colour), 'admin', (client) => rows<{ name: string }>(client, sql));
  return found.map(({ name }) => name);
}

const locksOf = (environment: EnvironmentName): string[] =>
  readdirSync(environmentDirectory(environment))
    .filter((name) => name.startsWith('lock.'))
    .map((name) => join(environment, name));

/** Linux only: elsewhere there is no `/proc`, and nothing is found. */
function strays(): string[] {
  if (!existsSync('/proc')) return [];
  const ours = new RegExp(`${RegExp.escape(home())}(?![\\w-])`);
  return readdirSync('/proc').flatMap((pid) => {
    const command = processText(pid, 'cmdline');
    const isOfRelease = /\bk6\b|\/scratch\/|\bpulumi\b|pg_basebackup|automation\/cli\.ts/.test(command);
    if (!isOfRelease || !ours.test(`${command} ${processText(pid, 'environ')}`)) return [];
    return [`${pid} ${command.slice(0, 80)}`];
  });
}

function processText(pid: string, file: string): string {
  try {
    return /^\d+$/.test(pid) ? readFileSync(`/proc/${pid}/${file}`, 'utf8').replaceAll('\0', ' ') : '';
  } catch {
    return ''; // It has just ended.
  }
}
