import { withClient } from '../../../../../automation/data/connect.ts';
import { cutover } from '../../../../../automation/data/cutover/cutover.ts';
import type { CutoverStep } from '../../../../../automation/data/cutover/procedure.ts';
import { readOnlyWindow, type WindowStep } from '../../../../../automation/data/cutover/window.ts';
import type { Side } from '../../../../../automation/data/link.ts';
import type { Router } from '../../../../../infra/platform/router.ts';

/** A program that begins a cutover or a read-only window and is killed, or stopped for a while, after one of its steps. The router lives in the parent process (`dying.ts`). */
export interface Order {
  from: Side;
  to: Side;
  direction: 'forward' | 'rollback' | 'window';
  holdMs: number;
  /** The migrations of a window. */
  migration?: string;
  /** Absent: shortly after it has begun. */
  dieAfter?: CutoverStep | WindowStep | undefined;
  signal: 'SIGKILL' | 'SIGSTOP';
}
export interface Call {
  id: number;
  method: 'read' | 'apply' | 'hold' | 'refuse' | 'resumeWrites' | 'writesInFlight';
  args: unknown[];
}
export interface Answer {
  id: number;
  value?: unknown;
}

let calls = 0;
const waiting = new Map<number, (value: never) => void>();
const call =
  (method: Call['method']) =>
  (...args: unknown[]): Promise<never> =>
    new Promise((resolve) => {
      waiting.set(++calls, resolve);
      process.send?.({ id: calls, method, args } satisfies Call);
    });
const router: Router = {
  settlesMs: 0,
  entry: { baseUrl: 'https://localhost', routeHeaders: () => ({}) },
  read: call('read'),
  // A signal does not go from process to process.
  apply: (split) => call('apply')(split),
  hold: (leaseMs) => call('hold')(leaseMs),
  refuse: (leaseMs) => call('refuse')(leaseMs),
  resumeWrites: call('resumeWrites'),
  writesInFlight: call('writesInFlight'),
};

process.on('message', (message: Order | Answer) => {
  if ('id' in message) waiting.get(message.id)?.(message.value as never);
  else void run(message);
});
// Without its parent it has nothing to do.
process.on('disconnect', () => process.exit(3));

async function run({ from, to, direction, holdMs, migration = '', dieAfter, signal }: Order): Promise<void> {
  const drainMs = holdMs / 2;
  if (dieAfter === undefined) setTimeout(() => process.kill(process.pid, signal), 30);
  const onStep = (step: CutoverStep | WindowStep): void => {
    if (step === dieAfter) process.kill(process.pid, signal);
  };
  try {
    if (direction === 'window') {
      const migrate = () => withClient(to.access, 'owner', async (client) => void (await client.query(migration)));
      const nothing = () => Promise.resolve();
      const settings = { longestMs: 30_000, drainMs };
      await readOnlyWindow({ router, from, to, settings, migrate, start: nothing, check: nothing, onStep });
    } else await cutover({ router, from, to, direction, settings: { holdMs, drainMs }, onStep });
    process.exit(0);
  } catch (error) {
    process.send?.({ failure: String(error) });
    process.exit(2);
  }
}
