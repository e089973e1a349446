import { stripVTControlCharacters } from 'node:util';
import { execa } from 'execa';
import { dockerEnvironment } from '../lib/child-environment.ts';
import { OperationError } from '../lib/errors.ts';
import type { Engine } from './engine.ts';

/** Runs the commands of `commands.ts`. */

export interface Ended {
  failed: boolean;
  timedOut: boolean;
  exitCode: number | undefined;
  stdout: string;
  /** stdout and stderr. */
  all: string;
}

export interface Execution {
  doing: string;
  todo: string;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

/** Longest time for a command that only looks or removes, ms. */
export const quickMs = 60_000;

const tailLines = 15;

/** Runs a command and resolves also if it fails. `input` goes to its standard input. */
export async function attempt(
  engine: Pick<Engine, 'name' | 'path' | 'env'>,
  args: string[],
  options: { timeoutMs: number; signal?: AbortSignal | undefined; input?: string },
): Promise<Ended> {
  const result = await execa(engine.path, args, {
    ...dockerEnvironment(engine.env),
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
    reject: false,
    all: true,
    timeout: options.timeoutMs,
  });
  options.signal?.throwIfAborted();
  const { failed, timedOut, exitCode, stdout, all } = result;
  return { failed, timedOut, exitCode, stdout, all };
}

/** Runs a command. Rejects with an OperationError that has its last lines. */
export async function execute(engine: Engine, args: string[], execution: Execution): Promise<Ended> {
  const ended = await attempt(engine, args, execution);
  if (ended.failed) throw failure(engine.name, ended, execution);
  return ended;
}

export function failure(
  engine: string,
  ended: Ended,
  { doing, todo }: Pick<Execution, 'doing' | 'todo'>,
): OperationError {
  const said = stripVTControlCharacters(ended.all).trim().split('\n').slice(-tailLines).join('\n  ');
  const how = ended.timedOut ? 'it took too long' : `${engine} ended with exit code ${ended.exitCode ?? 'none'}`;
  return new OperationError(doing, said === '' ? how : `${how}:\n  ${said}`, todo);
}
