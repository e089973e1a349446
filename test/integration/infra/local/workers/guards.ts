import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { poll } from '../../../../../infra/lib/poll.ts';
import { Layout, searchPath } from '../../../../../infra/local/lib/layout.ts';
import { Supervisor } from '../../../../../infra/local/supervisor/supervisor.ts';
import { guardCommand } from '../../../../../infra/local/workers/command.ts';
import { commandPrefix, type GuardSettings } from '../../../../../infra/local/workers/settings.ts';
import { readRecord, recordFile } from '../../../../../infra/local/workers/record.ts';
import { createLocalWorkers } from '../../../../../infra/local/workers/workers.ts';

/** A real supervisor with real guards in a temporary folder. */
export class Guards {
  readonly directory = mkdtempSync(join(tmpdir(), 'greenlight-workers-'));
  readonly layout = new Layout('production', this.directory);
  readonly supervisor = new Supervisor(this.layout);
  readonly workers = createLocalWorkers(this.layout);
  /** What the workers write. */
  readonly file = join(this.directory, 'lines');

  /** Starts the guard of a command, whose environment is `env`, and waits until it guards. */
  async put(
    of: Pick<GuardSettings, 'name' | 'colour' | 'argv'> & Partial<GuardSettings>,
    env: Record<string, string> = {},
  ) {
    await this.supervisor.start();
    const own = Object.entries({ NAME: of.name, ...env }).map(([key, value]) => [`${commandPrefix}${key}`, value]);
    await this.supervisor.put({
      name: of.name,
      argv: guardCommand(this.layout, { stopSeconds: 5, ...of }),
      env: { PATH: searchPath(), ...(Object.fromEntries(own) as Record<string, string>) },
      cwd: this.directory,
      ready: { kind: 'none' },
      readySeconds: 20,
      stopSignal: 'TERM',
      stopSeconds: 10,
      stopGroup: false,
      logMegabytes: 5,
      restartOn: [],
    });
    await this.until(() => this.ready(of.name));
  }

  async ready(name: string): Promise<boolean> {
    return (await this.workers.states()).all.some((one) => one.id === name && one.ready);
  }

  record = (name: string) => readRecord(recordFile(this.layout.workers(), name));

  /** Lines that the workers have written: name, process and what. */
  lines(): [string, number, string][] {
    try {
      const text = readFileSync(this.file, 'utf8').trim();
      return text.split('\n').map((line) => {
        const [name = '', pid = '', what = ''] = line.split(' ');
        return [name, Number(pid), what];
      });
    } catch {
      return [];
    }
  }

  /** Whether anything was written after this was called. */
  async writes(): Promise<boolean> {
    const before = this.lines().length;
    return (
      (await poll(() => (this.lines().length > before ? true : undefined), { everyMs: 20, timeoutMs: 300 })) ?? false
    );
  }

  async until(condition: () => boolean | Promise<boolean>): Promise<void> {
    const met = await poll(async () => ((await condition()) ? true : undefined), { everyMs: 20, timeoutMs: 30_000 });
    if (met !== true) throw new Error(`not met in time: ${condition.toString()}`);
  }

  async dispose(): Promise<void> {
    await this.supervisor.shutdown();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Runs of one process after the other: a process that writes again after another one had begun is named. */
export function overlapping(lines: [string, number, string][]): number[] {
  const order: number[] = [];
  const again: number[] = [];
  for (const [, pid] of lines) {
    if (order.at(-1) === pid) continue;
    if (order.includes(pid)) again.push(pid);
    order.push(pid);
  }
  return again;
}
