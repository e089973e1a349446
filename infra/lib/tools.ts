import { join } from 'node:path';
import { OperationError } from './errors.ts';
import { toolsDirectory } from './paths.ts';
import { findProgram, searchPath } from './search.mjs';

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
  | 'openssl'
  | 'docker'
  | 'moto_server';

/** Absolute path of a tool, or undefined. */
export function findTool(name: ToolName): string | undefined {
  return findProgram(name, searchPath(join(toolsDirectory(), 'bin')));
}

/** Absolute path of a tool. Throws an OperationError if it is not installed. */
export function toolPath(name: ToolName): string {
  const path = findTool(name);
  if (path === undefined) throw new OperationError(`looking for ${name}`, 'it is not installed', 'run: npm run doctor');
  return path;
}
