// Runs the programs that install something. Their output goes to a log; a failure shows its last lines.
import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { SetupProblem } from './problem.mjs';

const tailLines = 12;
const running = new Set();

/**
 * Ends the child processes on a signal, because a compiler that goes on would interfere with the next set-up. Only for
 * the program of the set-up: it ends the process, and an interrupted release has more to do.
 */
export function endOnSignals() {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(signal, () => {
      for (const child of running) child.kill('SIGTERM');
      process.exit(130);
    });
  }
}

/**
 * Runs one command with its output in `log`.
 * @throws SetupProblem with the last lines of the log
 */
export async function run(doing, command, argv, { cwd, env, log }) {
  mkdirSync(dirname(log), { recursive: true });
  const out = createWriteStream(log, { flags: 'a' });
  const code = await new Promise((resolve) => {
    const child = spawn(command, argv, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    child.stdout.pipe(out, { end: false });
    child.stderr.pipe(out, { end: false });
    child.once('error', (error) => {
      running.delete(child);
      out.write(`${error.message}\n`);
      resolve(127);
    });
    child.once('close', (exit) => {
      running.delete(child);
      resolve(exit ?? 1);
    });
  });
  await new Promise((resolve) => out.end(resolve));
  if (code === 0) return;
  const tail = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-tailLines).join('\n');
  throw new SetupProblem(
    doing,
    `"${command} ${argv[0]}" failed with exit code ${code}`,
    `${tail}\nThe whole log: ${log}`,
  );
}
