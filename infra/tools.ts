import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { OperationError } from './errors.ts';
import { toolsDirectory } from './paths.ts';

/** Programs that Greenlight runs. Which versions are wanted, and where they come from: `automation/toolchain/`. */
export type ToolName =
  | 'pulumi'
  | 'k6'
  | 'haproxy'
  | 'prometheus'
  | 'alertmanager'
  | 'promtool'
  | 'supervisord'
  | 'supervisorctl'
  | 'postgres'
  | 'initdb'
  | 'pg_ctl'
  | 'pg_basebackup'
  | 'pg_verifybackup'
  | 'pg_dump'
  | 'pg_restore'
  | 'psql'
  | 'wapiti'
  | 'zap'
  | 'chromium'
  | 'openssl';

const debianName: Partial<Record<ToolName, string>> = { alertmanager: 'prometheus-alertmanager' };

/** Directories searched, best first: the project's own tools, PATH, and where Debian and Homebrew put servers. */
export function searchPath(): string[] {
  const postgresRoot = '/usr/lib/postgresql';
  let postgres: string[] = [];
  try {
    postgres = readdirSync(postgresRoot)
      .sort((a, b) => Number(b) - Number(a))
      .map((version) => join(postgresRoot, version, 'bin'));
  } catch {
    // Not Debian: PATH has it.
  }
  const path = (process.env['PATH'] ?? '').split(delimiter).filter(Boolean);
  return [join(toolsDirectory(), 'bin'), ...postgres, ...path, '/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin'];
}

/** Absolute path of a tool, or undefined. */
export function findTool(name: ToolName): string | undefined {
  for (const directory of searchPath()) {
    for (const file of [name, debianName[name]]) {
      if (file === undefined) continue;
      const path = join(directory, file);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // Look on.
      }
    }
  }
  return undefined;
}

/** Absolute path of a tool. Throws an OperationError where it is missing. */
export function toolPath(name: ToolName): string {
  const path = findTool(name);
  if (path === undefined) throw new OperationError(`looking for ${name}`, 'it is not installed', 'run: npm run doctor');
  return path;
}
