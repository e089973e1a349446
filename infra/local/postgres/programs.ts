import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OperationError } from '../../lib/errors.ts';
import { postgresPath, type PostgresTool } from '../../lib/tools.ts';

/** The programs that fit a data directory: only those of its own major version can work with it. */

/** The major version of a data directory; undefined where there is none. */
export function versionOf(data: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(join(data, 'PG_VERSION'), 'utf8'), 10) || undefined;
  } catch {
    return undefined;
  }
}

/** Absolute path of the program for `data`. Throws an OperationError if there is no data, or if that version is not installed. */
export function programFor(data: string, name: PostgresTool): string {
  const major = versionOf(data);
  if (major !== undefined) return postgresPath(name, major);
  throw new OperationError(
    `looking for ${name} for ${data}`,
    'there is no PostgreSQL data in it',
    'see what the directory is',
  );
}
