import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { endsWithParent } from '../../lib/lifetimes.ts';
import { sessionVariables } from '../lib/process-environment.ts';
import { commandPrefix, type GuardSettings } from './settings.ts';
import { endRun, markVariable } from './processes.ts';
import { knownProcess, lives, readRecord, removeRecord, writeRecord, type GuardRecord, type Run } from './record.ts';
import { Times } from './times.ts';
import { readTurn } from './turn.ts';

/** A change of the file is noticed by a watch of its directory, and where that fails after this time, ms. */
const lookMs = 100;
/** Pause before a worker that has ended is started again, ms: doubled for each end after a short run. */
const againMs = 1_000;
const longestPauseMs = 30_000;
/** A worker that ends sooner has failed whatever its exit code; one that ran this long is started at once, ms. */
const shortMs = 10_000;
/** What failed before a run of this length counts no more, ms. */
const steadyMs = 600_000;

interface Running {
  run: Run;
  /** Since the epoch, ms. */
  since: number;
  /** Resolves when all of it has ended. */
  ended: Promise<void>;
  /** Why it is being ended; undefined: it is not, or by itself. */
  because?: 'turn' | 'time';
  ending?: Promise<{ killed: boolean }>;
}

/** Runs one command while its colour may run it. Takes turns with nobody but by the file: only one guard of a name runs at a time. */
export class Guard {
  readonly #settings: GuardSettings;
  readonly #times: Times | undefined;
  readonly #record: GuardRecord;
  #running: Running | undefined;
  #ending = false;
  #wake: () => void = () => undefined;
  #startAt = 0;
  #quick = 0;

  constructor(settings: GuardSettings) {
    const { name, colour, stopSeconds, schedule } = settings;
    this.#settings = settings;
    this.#times = schedule === undefined ? undefined : new Times(schedule);
    const guard = knownProcess(process.pid);
    if (guard === undefined) throw new Error('the guard does not find its own process');
    const kind = schedule === undefined ? 'worker' : 'schedule';
    const state = { change: undefined, run: undefined, failures: 0 };
    this.#record = { name, colour, kind, guard, ...state, stopSeconds };
  }

  /** Resolves once `end` was called and the command has ended. */
  async work(): Promise<void> {
    const { turnFile, colour } = this.#settings;
    await this.#takeOver();
    this.#watch();
    for (;;) {
      // Cleared before the file is read: a change that comes later ends the sleep.
      const woken = new Promise<void>((resolve) => (this.#wake = resolve));
      const turn = await readTurn(turnFile);
      const may = !this.#ending && turn.runs === colour;
      if (!may) await this.#endRun(turn.change);
      else this.#mind();
      if (this.#ending) break;
      if (this.#record.change !== turn.change) {
        this.#record.change = turn.change;
        this.#write();
      }
      await Promise.race([woken, sleep(lookMs)]);
    }
    removeRecord(this.#settings.recordFile);
  }

  /** Without a watch the file is looked at all the same, only later. */
  #watch(): void {
    const { turnFile } = this.#settings;
    try {
      const watching = watch(dirname(turnFile), (_, file) => {
        if (file === basename(turnFile)) this.#wake();
      });
      watching.on('error', () => watching.close());
    } catch {
      // The system allows no more watches.
    }
  }

  end(): void {
    this.#ending = true;
    this.#wake();
  }

  /** After a guard that was killed: what it left is ended before anything is started. */
  async #takeOver(): Promise<void> {
    const before = readRecord(this.#settings.recordFile);
    if (before !== undefined && lives(before.guard))
      throw new Error(`another guard of ${before.name} runs: process ${before.guard.pid}`);
    if (before?.run !== undefined) {
      await endRun(before.run, 0);
      this.#say('its guard had ended, and so had to end what it ran');
    }
    this.#record.failures = before?.failures ?? 0;
    // Before the file is read: who takes the turn away then waits for this guard.
    this.#write();
  }

  /** May run: starts what is due, and ends what takes too long. */
  #mind(): void {
    const now = Date.now();
    const { schedule } = this.#settings;
    const due = this.#times === undefined ? now >= this.#startAt : this.#times.due(now, (text) => this.#say(text));
    if (this.#running === undefined) {
      if (due) this.#start();
      return;
    }
    if (schedule === undefined) return;
    if (due) this.#say('left out: the run before is still going');
    if (now - this.#running.since < schedule.timeoutSeconds * 1000 || this.#running.because !== undefined) return;
    this.#say(`ended, as it takes longer than ${schedule.timeoutSeconds} s`);
    void this.#endOnce(this.#running, 'time');
  }

  #start(): void {
    const { argv, clear } = this.#settings;
    const run: Run = { mark: randomUUID(), ...(clear === undefined ? {} : { clear }) };
    this.#record.run = run;
    this.#write();
    // The command line of an engine has to be alive to end its container.
    const [command = '', ...args] = endsWithParent(argv, clear === undefined ? 'KILL' : 'TERM');
    const own = Object.entries(process.env).flatMap(([name, value]) =>
      name.startsWith(commandPrefix) ? [[name.slice(commandPrefix.length), value] as const] : [],
    );
    const child = spawn(command, args, {
      ...bareEnvironment({ ...sessionVariables(), ...Object.fromEntries(own), [markVariable]: run.mark }),
      // A session and group of its own, so that it can be ended as a whole.
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const exit = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    const running: Running = { run, since: Date.now(), ended: exit.then((how) => this.#ended(running, how)) };
    this.#running = running;
    if (child.pid !== undefined) run.leader = knownProcess(child.pid);
    this.#write();
  }

  /** The leader has ended: by itself, or as it was told to. */
  async #ended(running: Running, how: string): Promise<void> {
    // What it has left would run beside the next one.
    await this.#endOnce(running, running.because);
    this.#running = undefined;
    this.#record.run = undefined;
    const ranMs = Date.now() - running.since;
    const worker = this.#times === undefined;
    const short = ranMs < shortMs;
    if (running.because !== 'turn') {
      const failed = running.because === 'time' || how !== 'exit code 0' || (worker && short);
      if (ranMs > steadyMs) this.#record.failures = 0;
      if (failed) this.#record.failures += 1;
      if (failed || worker) this.#say(`it ended with ${how} after ${Math.round(ranMs / 1000)} s`);
      this.#quick = short ? this.#quick + 1 : 0;
      const pauseMs = this.#quick === 0 ? 0 : Math.min(longestPauseMs, againMs * 2 ** (this.#quick - 1));
      this.#startAt = Date.now() + pauseMs;
    }
    this.#write();
    this.#wake();
  }

  #endOnce(running: Running, because: Running['because']): Promise<{ killed: boolean }> {
    running.because = because;
    return (running.ending ??= endRun(running.run, this.#settings.stopSeconds * 1000));
  }

  /** May not run. */
  async #endRun(change: string): Promise<void> {
    this.#times?.forget();
    this.#startAt = 0;
    this.#quick = 0;
    const running = this.#running;
    if (running === undefined) return;
    const { killed } = await this.#endOnce(running, 'turn');
    await running.ended;
    if (killed) this.#say(`killed, as it did not end within ${this.#settings.stopSeconds} s of SIGTERM`);
    this.#record.ended = { change, killed };
  }

  #write(): void {
    writeRecord(this.#settings.recordFile, this.#record);
  }

  #say(text: string): void {
    process.stdout.write(`${new Date().toISOString()} guard of ${this.#settings.name}: ${text}\n`);
  }
}
