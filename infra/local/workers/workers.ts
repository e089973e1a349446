import { setTimeout as sleep } from 'node:timers/promises';
import { OperationError } from '../../lib/errors.ts';
import type { Workers, WorkerState } from '../../platform/workers.ts';
import type { Layout } from '../lib/layout.ts';
import { endRun } from './processes.ts';
import { lives, readRecords, type GuardRecord } from './record.ts';
import { giveTurn, readTurn } from './turn.ts';

/** How long a guard may take beyond the time that its command has to stop, ms. */
const marginMs = 10_000;
const pollMs = 20;

/** Guards and their turn, by their files alone: neither the supervisor nor the engine is asked. */
export function createLocalWorkers(layout: Layout): Workers {
  const [turnFile, directory] = [layout.workersFile(), layout.workers()];

  /** Whether nothing of it runs and nothing will. What a guard that was killed has left is ended here: the next guard may never come. */
  async function isOver(record: GuardRecord, change: string): Promise<boolean> {
    if (lives(record.guard)) return record.change === change && record.run === undefined;
    if (record.run !== undefined) await endRun(record.run, 0);
    return true;
  }

  return {
    async states() {
      const [turn, records] = await Promise.all([readTurn(turnFile), readRecords(directory)]);
      const all = records.map((record): WorkerState => {
        const { name, colour, kind, guard, change, run, failures } = record;
        const guarded = lives(guard);
        const state = !guarded ? 'unguarded' : run === undefined ? 'idle' : 'running';
        return { id: name, colour, kind, state, ready: guarded && change === turn.change, failures };
      });
      return { runs: turn.runs, all };
    },

    async pause({ insist = false, signal } = {}) {
      const started = performance.now();
      const running = new Set((await readRecords(directory)).filter(({ run }) => run !== undefined).map(nameOf));
      const { change } = await giveTurn(turnFile, undefined);
      for (;;) {
        const records = await readRecords(directory);
        const over = await Promise.all(records.map((record) => isOver(record, change)));
        const left = records.filter((_, index) => over[index] === false);
        const ms = performance.now() - started;
        if (left.length === 0) {
          const killed = records.filter(({ ended }) => ended?.change === change && ended.killed).map(nameOf);
          return { ms, ended: [...running], killed };
        }
        if (ms > longestStopMs(records) + marginMs) {
          if (!insist) throw noAnswer(left, ms);
          await Promise.all(left.map(end));
        }
        await sleep(pollMs, undefined, { signal });
      }
    },

    async run(colour) {
      if ((await readTurn(turnFile)).runs !== colour) await giveTurn(turnFile, colour);
    },
  };
}

/** Ends a guard that does not answer, and what it ran. */
async function end({ guard, run }: GuardRecord): Promise<void> {
  if (lives(guard)) process.kill(guard.pid, 'SIGKILL');
  if (run !== undefined) await endRun(run, 0);
}

const nameOf = ({ name }: GuardRecord): string => name;

const longestStopMs = (records: readonly GuardRecord[]): number =>
  Math.max(0, ...records.map(({ stopSeconds }) => stopSeconds * 1000));

const noAnswer = (left: readonly GuardRecord[], ms: number): OperationError =>
  new OperationError(
    'pausing the workers',
    `after ${Math.round(ms / 1000)} s these have not ended: ${left.map(({ name, guard }) => `${name} (its guard is process ${guard.pid})`).join(', ')}`,
    'look at their logs in the environment’s directory, end those guards (the supervisor starts new ones), then repeat',
  );
