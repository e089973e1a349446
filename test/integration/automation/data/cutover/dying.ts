import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { MemoryRouter } from '../traffic.ts';
import type { Answer, Call, Order } from './dying-cutover.ts';

/** Begins a move of writes in a program of its own that is killed or stopped after `dieAfter`. */
export function begin(
  router: MemoryRouter,
  order: Order,
): { child: ChildProcess; ended: Promise<NodeJS.Signals | number | null>; failure: () => string } {
  const child = fork(join(import.meta.dirname, 'dying-cutover.ts'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  let failure = '';
  child.on('message', (message: Call | { failure: string }) => {
    if ('failure' in message) {
      failure = message.failure;
      return;
    }
    const { id, method, args } = message;
    void (router[method] as (...a: unknown[]) => Promise<unknown>)
      .apply(router, args)
      .then((answer) => child.connected && child.send({ id, value: answer } satisfies Answer, () => undefined));
  });
  child.send(order);
  const ended = new Promise<NodeJS.Signals | number | null>((resolve) =>
    child.once('exit', (code, signal) => resolve(signal ?? code)),
  );
  return { child, ended, failure: () => failure };
}
