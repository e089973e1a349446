import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { close, connect } from '../../../../automation/data/connect.ts';
import { OperationError } from '../../../../infra/lib/errors.ts';
import type { DatabaseAccess } from '../../../../infra/platform/databases.ts';

const everyMs = 10;

/** The application: runs its statements over and over as `app`, and remembers which of them failed. */
export class Writer {
  readonly failures: string[] = [];
  /** When each statement ended, ms since the epoch, and whether it failed. */
  readonly log: { at: number; failed: boolean }[] = [];
  slowestMs = 0;
  #rounds = 0;
  #running = true;
  readonly #done: Promise<void>;

  constructor(access: DatabaseAccess, statements: string[]) {
    this.#done = this.#run(access, statements);
  }

  async #run(access: DatabaseAccess, statements: string[]): Promise<void> {
    const client = await connect(access, 'app');
    while (this.#running) {
      for (const sql of statements) {
        const started = performance.now();
        const failure = await client.query(sql).then(
          () => undefined,
          (error: Error) => error.message,
        );
        this.slowestMs = Math.max(this.slowestMs, performance.now() - started);
        this.log.push({ at: Date.now(), failed: failure !== undefined });
        if (failure !== undefined) this.failures.push(failure);
      }
      this.#rounds++;
      await sleep(everyMs);
    }
    await close(client);
  }

  /** Resolves after so many more rounds. */
  async more(rounds: number): Promise<void> {
    const wanted = this.#rounds + rounds;
    while (this.#rounds < wanted) await Promise.race([sleep(everyMs), this.#done]);
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
  }
}

/** The OperationError that `work` ends with. */
export async function refused(work: Promise<unknown>): Promise<OperationError> {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error, 'it should have been refused').to.be.instanceOf(OperationError);
  return error as OperationError;
}
