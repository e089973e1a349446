import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, closeSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../infra/lib/paths.ts';

export interface Command {
  pid: number;
  /** Resolves to its exit code, 128 + n where signal n ended it (here only SIGKILL). */
  exit: Promise<number>;
}

/** Longest time that a command may take; it is killed then, minutes. */
const patience = 10;
/** Time that a command gets to stop at a safe point, ms. */
const graceMs = 30_000;

export interface StartOptions {
  env: Record<string, string>;
  log: string;
  signal: AbortSignal;
  minutes?: number | undefined;
}

/**
 * Starts the real command line with the drills' release definition; both its streams go to `log`. It has a process
 * group of its own, so that Ctrl-C reaches this program alone, which then interrupts it.
 */
export function startCli(args: string[], { env, log, signal, minutes = patience }: StartOptions): Command {
  signal.throwIfAborted();
  const output = openSync(log, 'a');
  const [verb = '', ...rest] = args;
  const child = spawn(
    process.execPath,
    ['automation/cli.ts', verb, '--config', join(import.meta.dirname, 'drill.config.ts'), ...rest],
    {
      cwd: packageRoot,
      // The paths of its definition are the sample's.
      env: { ...process.env, GREENLIGHT_PROJECT: packageRoot, ...env },
      stdio: ['ignore', output, output],
      detached: true,
    },
  );
  closeSync(output);
  let killing: NodeJS.Timeout | undefined;
  const interrupt = () => {
    child.kill('SIGINT');
    killing = setTimeout(() => child.kill('SIGKILL'), graceMs);
  };
  signal.addEventListener('abort', interrupt, { once: true });
  const late = setTimeout(() => child.kill('SIGKILL'), minutes * 60_000);
  const exit = once(child, 'exit').then(([code]) => {
    clearTimeout(late);
    clearTimeout(killing);
    signal.removeEventListener('abort', interrupt);
    return (code as number | null) ?? 128 + 9;
  });
  return { pid: child.pid as number, exit };
}
