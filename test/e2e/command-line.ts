import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { packageRoot } from '../../infra/lib/paths.ts';

export interface Finished {
  code: number | null;
  output: string;
}

export interface Report {
  verdict: string;
  platform: string;
  emulatedBy?: string;
  from: unknown;
  to: unknown;
  requests: { total: number; failed: number };
  writes: { acknowledged: number; lost: number; duplicated: number; unknown: number };
  hold: { maxMs: number };
  gates: { id: string; verdict: string; evidence: string[] }[];
  stages: { id: string; verdict: string }[];
  rollback: { automatic: boolean } | null;
}

/** The command line as a user has it, with a home, a definition and an environment of its own. */
export class CommandLine {
  readonly home: string;
  readonly #config: string;
  readonly #env: Record<string, string>;
  /** Commands that have not ended, with what ends them. */
  readonly #running = new Set<() => Promise<Finished>>();

  constructor(home: string, config: string, env: Record<string, string> = {}) {
    this.home = home;
    this.#config = join(packageRoot, config);
    this.#env = env;
  }

  get releases(): string {
    return join(this.home, 'environments', 'production', 'releases');
  }

  /** Starts a command; `until` waits for a text in what it prints. */
  start(...args: string[]) {
    const child = spawn(process.execPath, ['automation/cli.ts', ...args, '--config', this.#config], {
      cwd: packageRoot,
      // The paths of these definitions are the sample's.
      env: { ...process.env, ...this.#env, GREENLIGHT_HOME: this.home, GREENLIGHT_PROJECT: packageRoot, CI: 'true' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (part: Buffer) => (output += part.toString()));
    child.stderr.on('data', (part: Buffer) => (output += part.toString()));
    const done = new Promise<Finished>((resolve) => child.on('close', (code) => resolve({ code, output })));
    const end = () => {
      child.kill('SIGKILL');
      return done;
    };
    this.#running.add(end);
    void done.then(() => this.#running.delete(end));
    const until = async (text: string) => {
      while (!output.includes(text)) {
        if (child.exitCode !== null) throw new Error(`it ended without "${text}":\n${output}`);
        await sleep(50);
      }
    };
    return { child, done, until };
  }

  run(...args: string[]): Promise<Finished> {
    return this.start(...args).done;
  }

  /** Ends what a test that took too long has left running: it would keep the environment from being taken down. */
  async end(): Promise<void> {
    await Promise.all([...this.#running].map((end) => end()));
  }

  /** Directory of the latest release of production. */
  latest(): string {
    return join(this.releases, readdirSync(this.releases).sort().at(-1) as string);
  }

  report(): Report {
    return JSON.parse(readFileSync(join(this.latest(), 'report.json'), 'utf8')) as Report;
  }
}

/** Files below these directories that hold one of the secrets. */
export function leaks(directories: string[], secrets: string[]): string[] {
  const files = directories.flatMap((place) =>
    readdirSync(place, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  return files.filter((file) => {
    const text = readFileSync(file, 'utf8');
    return secrets.some((secret) => text.includes(secret));
  });
}

/** What a release over a live version is when nothing went wrong: every stage and gate passed, nothing failed, nothing was lost. */
export function expectFlawless({ verdict, from, to, requests, writes, gates, stages }: Report): void {
  expect(verdict).to.equal('go');
  expect([from, to]).to.deep.equal([
    { colour: 'blue', version: '1.0.0' },
    { colour: 'green', version: '2.0.0' },
  ]);
  expect(requests.total).to.be.greaterThan(500);
  expect(requests.failed).to.equal(0);
  expect(writes.acknowledged).to.be.greaterThan(100);
  expect(writes).to.include({ lost: 0, duplicated: 0 });
  expect(stages.map(({ verdict: one }) => one)).to.deep.equal(Array(10).fill('pass'));
  expect(gates.filter((gate) => gate.verdict !== 'pass')).to.deep.equal([]);
  const expected = ['policies', 'load', 'security-scan', 'backup-restore', 'compatibility', 'alerts'];
  expect(gates.map(({ id }) => id)).to.include.members(expected);
}

/** A release that another terminal takes back in its bake time: every write is there, and what was live is live again. */
export async function rollsBackInTheBakeTime(cli: CommandLine): Promise<void> {
  const release = cli.start('release');
  await release.until('  Bake');
  await sleep(3_000);
  const rollback = await cli.run('rollback');
  expect(rollback.code, rollback.output).to.equal(0);
  const { code, output } = await release.done;
  expect(code, output).to.equal(3);
  const { verdict, writes, requests, rollback: back } = cli.report();
  expect(verdict).to.equal('rolled-back');
  expect(back).to.include({ automatic: false });
  expect(requests.failed).to.equal(0);
  expect(writes.acknowledged).to.be.greaterThan(100);
  expect(writes).to.include({ lost: 0, duplicated: 0 });
  expect((await cli.run('status')).output).to.match(/green +2\.0\.0 +live +100 %/);
}

/** A release whose program is killed in the canary: the next one is refused, and `resume` brings it to its end. */
export async function goesOnAfterKill(cli: CommandLine): Promise<void> {
  const release = cli.start('release');
  await release.until('  Canary');
  await sleep(4_000);
  release.child.kill('SIGKILL');
  await release.done;
  const refused = await cli.run('release');
  expect(refused.code).to.equal(1);
  expect(refused.output).to.contain('npm run resume');
  const { code, output } = await cli.run('resume');
  expect(code, output).to.equal(0);
  const { verdict, writes } = cli.report();
  expect(verdict).to.equal('go');
  expect(writes).to.include({ lost: 0, duplicated: 0 });
  expect((await cli.run('status')).output).to.match(/blue +2\.0\.0 +live +100 %/);
}
