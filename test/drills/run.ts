import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { other } from '../../infra/model.ts';
import { pastReleases, type PastRelease } from '../../automation/release/history.ts';
import type { ReportModel } from '../../automation/report/model.ts';
import { startCli, type Command } from './cli.ts';
import { killInstances, sql, type Hands } from './hands.ts';
import { judge, type DrillResult } from './judge.ts';
import type { Check, Scenario } from './scenario.ts';
import { liveVersion, look } from './world.ts';

const pollMs = 100;

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
export async function runDrill(scenario: Scenario, { directory: all, signal }: DrillOptions): Promise<DrillResult> {
  const directory = join(all, scenario.name);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const before = await look();
  const version = nextVersion(before.live.version);
  const known = new Set(pastReleases('production').map(({ id }) => id));
  const log = join(directory, 'output.log');
  const env = {
    DRILL: scenario.name,
    GREENLIGHT_SAMPLE_FAULT: scenario.compiled ?? '',
    DRILL_PLANT: scenario.planted ?? '',
    ...scenario.env,
  };
  const started = performance.now();
  let release: Command | undefined;
  const hands: Hands = {
    sql,
    killInstances,
    live: before.live.colour,
    idle: other(before.live.colour),
    killRelease: () => process.kill(release?.pid as number, 'SIGKILL'),
    run: (verb, ...args) => startCli([verb, ...args], { env, log: join(directory, `${verb}.log`), signal }).exit,
  };
  const restore = await scenario.arrange?.(hands);
  try {
    release = startCli(['release', '--version', version], { env, log, signal });
    const acted = actDuring(scenario, hands, known, release).catch((error: Error): Check[] => [
      { what: 'what the drill does succeeds', ok: false, found: error.message },
    ]);
    const killed = await release.exit;
    const checks = await acted;
    const exitCode =
      scenario.endedBy === undefined ? killed : await startCli([scenario.endedBy], { env, log, signal }).exit;
    signal.throwIfAborted();
    const mine = newRelease(known);
    if (mine === undefined) throw new Error(`it left no release: see ${log}`);
    for (const file of ['report.html', 'report.json', 'junit.xml', 'journal.jsonl'])
      if (existsSync(join(mine.directory, file))) cpSync(join(mine.directory, file), join(directory, file));
    const report = JSON.parse(readFileSync(join(mine.directory, 'report.json'), 'utf8')) as ReportModel;
    const status = await startCli(['status'], { env: {}, log: join(directory, 'status.log'), signal }).exit;
    checks.push({ what: 'status exits with 0', ok: status === 0, found: String(status) });
    const seconds = (performance.now() - started) / 1000;
    return judge(scenario, { exitCode, report, before, after: await look(), version, checks, seconds });
  } finally {
    await restore?.();
  }
}

const newRelease = (known: Set<string>): PastRelease | undefined =>
  pastReleases('production').find(({ id }) => !known.has(id));

/** Does what the scenario does while its release runs. A release that never gets so far is a finding, not an error. */
async function actDuring({ act }: Scenario, hands: Hands, known: Set<string>, release: Command): Promise<Check[]> {
  if (act === undefined) return [];
  const what = `the release reached stage ${act.stage}`;
  let over = false;
  void release.exit.then(() => (over = true));
  while (!over) {
    const reached = newRelease(known)?.entries.some((e) => e.type === 'stage.started' && e.stage === act.stage);
    if (reached === true) {
      await sleep(act.afterMs);
      return [{ what, ok: true, found: 'yes' }, ...(await act.run(hands))];
    }
    await sleep(pollMs);
  }
  return [{ what, ok: false, found: 'it ended before' }];
}

/** Every release brings another version, as in life; the sample builds any from 1.0.0 on, faults show from 2.0.0 on. */
function nextVersion(live: string): string {
  const [major = 1, minor = 0, patch = 0] = live.split('.').map(Number);
  return major < 2 ? '2.0.0' : `${major}.${minor}.${patch + 1}`;
}
