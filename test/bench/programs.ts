import { spawn } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { databaseEnvironment } from '../../infra/application/database-url.ts';
import { packageRoot } from '../../infra/lib/paths.ts';
import type { DatabaseAccess } from '../../infra/platform/databases.ts';

/** Programs that benchmarks run, with their peak of memory. */

/** Where PostgreSQL's packages put programs that are not in the path. */
const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/lib/postgresql/15/bin', '/usr/sbin'];

/** The path of a program, or undefined if it is not installed. */
export const find = (program: string): string | undefined =>
  directories
    .map((directory) => join(directory, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });

export const absent = (...programs: string[]): string | undefined => {
  const missing = programs.filter((program) => find(program) === undefined);
  return missing.length === 0 ? undefined : `not installed: ${missing.join(', ')}`;
};

export interface Ran {
  code: number;
  out: string;
  /** Peak of resident memory, MB, looked at 20 times a second. */
  peakMB: number;
}

/** Runs a program to its end. Rejects if its exit code is not in `codes`. */
export function run(
  program: string,
  args: string[],
  { env = {}, codes = [0] }: { env?: Record<string, string>; codes?: number[] } = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { PATH: directories.join(delimiter), HOME: process.env['HOME'], ...env },
      cwd: packageRoot,
    });
    let [out, err, peak] = ['', '', 0];
    child.stdout.on('data', (data: Buffer) => (out += data.toString()));
    child.stderr.on('data', (data: Buffer) => (err += data.toString()));
    const look = (): void => {
      const [, kB] = /VmHWM:\s+(\d+)/.exec(statusOf(child.pid)) ?? [];
      peak = Math.max(peak, Number(kB ?? 0) / 1000);
    };
    const timer = setInterval(look, 50);
    child.on('error', reject);
    child.on('close', (code) => {
      clearInterval(timer);
      if (code !== null && codes.includes(code)) resolve({ code, out, peakMB: peak });
      else reject(new Error(`${program} ended with ${code}: ${err.slice(-2000)}`));
    });
  });
}

const statusOf = (pid: number | undefined): string => {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return '';
  }
};

/** Runs a line of shell, as a person would type it. */
export const shell = (line: string, env: Record<string, string>): Promise<Ran> =>
  run('bash', ['-c', `set -eo pipefail; ${line}`], { env });

/** Variables by which PostgreSQL's programs find a database. */
export const as = (access: DatabaseAccess): Record<string, string> => databaseEnvironment(access, 'admin');

/** The command line of this project. */
export const greenlight = (args: string[], codes: number[], env: Record<string, string> = {}): Promise<Ran> =>
  run(process.execPath, [join(packageRoot, 'automation', 'cli.ts'), ...args], { codes, env });
