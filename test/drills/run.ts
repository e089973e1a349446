import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { other } from '../../infra/model.ts';
import type { Environment } from '../../infra/platform/environment.ts';
import { stageIds, type StageId } from '../../automation/journal/events.ts';
import { pastReleases, type PastRelease } from '../../automation/journal/history.ts';
import type { ReportModel } from '../../automation/report/model/model.ts';
import { startCli, type Command } from './cli.ts';
import { startClients, type Clients } from './clients.ts';
import { handsOf, type Hands } from './hands.ts';
import { judge, type DrillResult } from './judge.ts';
import { watchMemory } from './memory.ts';
import { judgeRefusal } from './refusal.ts';
import type { Check, Scenario } from './scenario.ts';
import { liveVersion, look, withProduction } from './world.ts';

/** How often the journal is looked at, and how often what a scenario waits for, which may last for milliseconds. */
const pollMs = 100;
const whenMs = 3;

export interface DrillOptions {
  /** Gets the output, the report and the journal of each drill. */
  directory: string;
  signal: AbortSignal;
}

/** Puts the version that all drills start from live, if nothing is. Throws where that did not work. */
export async function goLive({ directory, signal }: DrillOptions): Promise<void> {
  if ((await liveVersion()) !== undefined) return;
  const log = join(directory, 'baseline.log');
  const code = await startCli(['release', '--version', '1.0.0'], { env: {}, log, signal }).exit;
  if (code !== 0) throw new Error(`the baseline did not go live (exit code ${code}): see ${log}`);
}

/** One drill from its beginning to its verdict. Rejects only where the drill itself cannot be done. */
export function runDrill(scenario: Scenario, { directory: all, signal }: DrillOptions): Promise<DrillResult> {
  const directory = join(all, scenario.name);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  return withProduction((production) => inProduction(scenario, production, { directory, signal }));
}

async function inProduction(
  scenario: Scenario,
  production: Environment,
  { directory, signal }: DrillOptions,
): Promise<DrillResult> {
  const before = await look();
  const version = nextVersion(before.live.version);
  const known = new Set(pastReleases('production').map(({ id }) => id));
  const log = join(directory, 'output.log');
  const env = {
    DRILL: scenario.name,
    DRILL_VERSION: version,
    GREENLIGHT_SAMPLE_FAULT: scenario.compiled ?? '',
    DRILL_PLANT: scenario.planted ?? '',
    ...scenario.env,
  };
  const started = performance.now();
  const fault: Fault = {};
  let release: Command | undefined;
  const hands = handsOf({
    live: before.live.colour,
    idle: other(before.live.colour),
    router: production.router,
    killRelease: () => process.kill(release?.pid as number, 'SIGKILL'),
    run: (verb, ...args) =>
      startCli([verb, ...args], { env, log: join(directory, `${verb}.log`), signal, minutes: scenario.minutes }).exit,
  });
  const refuses = scenario.expect.verdict === 'refused';
  let clients: Promise<Clients | undefined> = refuses
    ? startClients(production.router.entry)
    : Promise.resolve(undefined);
  let restore: (() => Promise<void>) | undefined;
  try {
    await clients;
    restore = await scenario.arrange?.(hands);
    fault.at = restore === undefined ? undefined : Date.now();
    const { minutes } = scenario;
    release = startCli(['release', '--version', version], { env, log, signal, minutes });
    const memory = watchMemory(release.pid, release.exit);
    if (!refuses && movesTraffic(scenario)) clients = clientsFrom('prepare', production, known, release);
    const acted = actDuring(scenario, hands, known, release, fault).catch((error: Error): Check[] => [
      { what: 'what the drill does succeeds', ok: false, found: error.message },
    ]);
    const killed = await release.exit;
    const checks = await acted;
    const exitCode =
      scenario.endedBy === undefined ? killed : await startCli([scenario.endedBy], { env, log, signal }).exit;
    signal.throwIfAborted();
    const mine = newRelease(known);
    if (refuses) {
      await restore?.();
      restore = undefined;
    }
    const ledger = await books(production, await clients, fault.at ?? beganAt(mine, scenario));
    const status = await startCli(['status'], { env: {}, log: join(directory, 'status.log'), signal }).exit;
    checks.push({ what: 'status exits with 0', ok: status === 0, found: String(status) });
    const outcome = { exitCode, before, after: await look(), version, checks, ...ledger };
    const seconds = (performance.now() - started) / 1000;
    if (refuses)
      return judgeRefusal(scenario, {
        ...outcome,
        seconds,
        said: readFileSync(log, 'utf8'),
        unfinished: mine !== undefined && mine.ended === undefined,
      });
    if (mine === undefined) throw new Error(`it left no release: see ${log}`);
    for (const file of ['report.html', 'report.json', 'junit.xml', 'journal.jsonl'])
      if (existsSync(join(mine.directory, file))) cpSync(join(mine.directory, file), join(directory, file));
    const report = JSON.parse(readFileSync(join(mine.directory, 'report.json'), 'utf8')) as ReportModel;
    return judge(scenario, { ...outcome, report, seconds, memory });
  } finally {
    await restore?.();
    await (await clients.catch(() => undefined))?.stop();
  }
}

/** When what the drill is about began (ms since the epoch). */
interface Fault {
  at?: number | undefined;
}

/** Whether the release gets as far as to move requests of users: then they keep books. */
const movesTraffic = ({ expect }: Scenario): boolean => stageIds.indexOf(expect.stage) >= stageIds.indexOf('canary');

/** Clients from the stage on: what is measured on staging before would suffer from them on the same machine. */
async function clientsFrom(
  stage: StageId,
  { router }: Environment,
  known: Set<string>,
  release: Command,
): Promise<Clients | undefined> {
  return (await reaches(stage, known, release)) ? startClients(router.entry) : undefined;
}

/** Ends the clients once the live colour acknowledges a write again, and compares their books with its database. */
async function books({ router, databases }: Environment, clients: Clients | undefined, from: number | undefined) {
  const live = (await router.read()).split?.live;
  if (clients === undefined || live === undefined) return {};
  const settledAt = await clients.settled(live);
  const ledger = await clients.settle(await databases.of(live));
  const settledMs = settledAt === null ? null : Math.max(0, settledAt - (from ?? settledAt));
  return { ledger: { ...ledger, settledMs } };
}

const newRelease = (known: Set<string>): PastRelease | undefined =>
  pastReleases('production').find(({ id }) => !known.has(id));

/** A fault of the version itself begins with the flip, or with the stage that is to catch it. */
function beganAt(release: PastRelease | undefined, { expect }: Scenario): number | undefined {
  const began =
    release?.entries.find((entry) => entry.type === 'cutover.done' && entry.direction === 'forward') ??
    release?.entries.find((entry) => entry.type === 'stage.started' && entry.stage === expect.stage);
  return began === undefined ? undefined : Date.parse(began.at);
}

/** Whether the release gets to the stage before it ends. */
async function reaches(stage: StageId, known: Set<string>, release: Command): Promise<boolean> {
  let over = false;
  void release.exit.then(() => (over = true));
  while (!over) {
    if (newRelease(known)?.entries.some((e) => e.type === 'stage.started' && e.stage === stage) === true) return true;
    await sleep(pollMs);
  }
  return false;
}

/** Does what the scenario does while its release runs. A release that never gets so far is a finding, not an error. */
async function actDuring(
  { act }: Scenario,
  hands: Hands,
  known: Set<string>,
  release: Command,
  fault: Fault,
): Promise<Check[]> {
  if (act === undefined) return [];
  const reached = (ok: boolean): Check => ({
    what: `the release reached ${act.when === undefined ? '' : 'the moment after '}stage ${act.stage}`,
    ok,
    found: ok ? 'yes' : 'it ended before',
  });
  if (!(await reaches(act.stage, known, release))) return [reached(false)];
  await sleep(act.afterMs);
  let over = false;
  void release.exit.then(() => (over = true));
  while (act.when !== undefined && !(await act.when(hands))) {
    if (over) return [reached(false)];
    await sleep(whenMs);
  }
  fault.at = Date.now();
  return [reached(true), ...(await act.run(hands))];
}

/** Every release brings another version, as in life; the sample builds any from 1.0.0 on, faults show from 2.0.0 on. */
function nextVersion(live: string): string {
  const [major = 1, minor = 0, patch = 0] = live.split('.').map(Number);
  return major < 2 ? '2.0.0' : `${major}.${minor}.${patch + 1}`;
}
