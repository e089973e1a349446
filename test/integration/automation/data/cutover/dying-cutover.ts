import pg from 'pg';
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
  /** Not at once then, but just before the next statement with this text. */
  dieBefore?: string;
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

async function run({ from, to, direction, holdMs, migration = '', dieAfter, dieBefore, signal }: Order): Promise<void> {
  const drainMs = holdMs / 2;
  const die = (): unknown => process.kill(process.pid, signal);
  if (dieAfter === undefined) setTimeout(die, 30);
  let due = false;
  // A session keeps what the driver is when it begins.
  if (dieBefore !== undefined) watchStatements((text) => due && text.includes(dieBefore) && die());
  const onStep = (step: CutoverStep | WindowStep): void => {
    due ||= step === dieAfter;
    if (step === dieAfter && dieBefore === undefined) die();
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

function watchStatements(saw: (text: string) => unknown): void {
  const driver = pg.Client.prototype as unknown as { query: (...args: unknown[]) => unknown };
  const { query } = driver;
  driver.query = function (...args) {
    if (typeof args[0] === 'string') saw(args[0]);
    return query.apply(this, args);
  };
}
