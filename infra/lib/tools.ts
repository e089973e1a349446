import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { bareEnvironment } from './child-environment.ts';
import { greenlight } from './command.ts';
import { OperationError } from './errors.ts';
import { toolsDirectory } from './paths.ts';
import { findProgram, postgresOf, searchPath } from './search.mjs';

/** Programs that Greenlight runs. Their versions and sources are in `automation/toolchain/tools.json`. */
export type ToolName =
  | 'pulumi'
  | 'k6'
  | 'haproxy'
  | 'prometheus'
  | 'alertmanager'
  | 'promtool'
  | 'supervisord'
  | 'supervisorctl'
  | 'pg_ctl'
  | PostgresTool
  | 'wapiti'
  | 'zap'
  | 'chromium'
  | 'openssl'
  | 'docker'
  | 'moto_server';

/** Programs of which there is one for each major version of PostgreSQL. */
export type PostgresTool =
  'postgres' | 'initdb' | 'pg_basebackup' | 'pg_verifybackup' | 'pg_dump' | 'pg_restore' | 'psql';

const directories = (): string[] => searchPath(join(toolsDirectory(), 'bin'));

/** Absolute path of a tool, or undefined. Of PostgreSQL's, the one of the version that is used where none is asked for. */
export function findTool(name: ToolName): string | undefined {
  return findProgram(name, directories());
}

/** Absolute path of a tool. Throws an OperationError if it is not installed. */
export function toolPath(name: ToolName): string {
  const path = findTool(name);
  if (path === undefined)
    throw new OperationError(`looking for ${name}`, 'it is not installed', `run: ${greenlight('doctor')}`);
  return path;
}

/** Major versions of PostgreSQL that Greenlight works with. */
export const postgresVersions = [15, 16, 17, 18] as const;

/**
 * Absolute path of a program of PostgreSQL `major`. With `orNewer` a newer version will do where that one is not installed. Throws an
 * OperationError if there is none.
 */
export function postgresPath(name: PostgresTool, major: number, options: { orNewer?: boolean } = {}): string {
  const wanted = options.orNewer === true ? postgresVersions.filter((version) => version >= major) : [major];
  const path = wanted.map((version) => findPostgres(name, version)).find((found) => found !== undefined);
  if (path !== undefined) return path;
  throw new OperationError(
    `looking for ${name} of PostgreSQL ${major}${options.orNewer === true ? ' or newer' : ''}`,
    'it is not installed',
    `install the programs of PostgreSQL ${major} (Debian: postgresql-${major}), beside those that are there`,
  );
}

/** Absolute path of a program of PostgreSQL `major`, or undefined. */
export function findPostgres(name: PostgresTool, major: number): string | undefined {
  const ordinary = findTool('postgres');
  const directory =
    ordinary !== undefined && majorOf(ordinary) === major ? dirname(ordinary) : postgresOf(major, directories());
  return directory === undefined ? undefined : findProgram(name, [directory]);
}

/** The major version of PostgreSQL that is used where none is asked for; undefined if there is none. */
export function ordinaryPostgres(): number | undefined {
  const path = findTool('postgres');
  return path === undefined ? undefined : majorOf(path);
}

const majors = new Map<string, number | undefined>();

/** Undefined for a program that does not say its version. */
function majorOf(path: string): number | undefined {
  if (!majors.has(path)) majors.set(path, askVersion(path));
  return majors.get(path);
}

function askVersion(path: string): number | undefined {
  try {
    const said = execFileSync(path, ['--version'], { ...bareEnvironment(), stdio: 'pipe', timeout: 10_000 }).toString();
    return Number(/\(PostgreSQL\) (\d+)/.exec(said)?.[1]) || undefined;
  } catch {
    return undefined;
  }
}
