import { OperationError, messageOf } from '../../infra/lib/errors.ts';
import { postgresPath, type PostgresTool } from '../../infra/lib/tools.ts';
import { databaseEnvironment } from '../../infra/application/database-url.ts';
import { asOptions, sessionSettings } from '../../infra/application/session-settings.ts';
import type { DatabaseAccess } from '../../infra/platform/databases.ts';
import { serverVersion, withClient } from './connect.ts';
import { textForms } from './text-forms.ts';

/** How PostgreSQL's own programs are run on two databases. */

/** Environment for PostgreSQL's programs as admin. Every user can read argument lists, so the password is not passed in one. */
export const programEnvironment = (access: DatabaseAccess): Record<string, string> => ({
  LC_ALL: 'C',
  ...databaseEnvironment(access, 'admin'),
  PGCONNECT_TIMEOUT: '10',
  PGAPPNAME: 'greenlight',
  // With row_security off a program fails where a policy would hide rows from it.
  PGOPTIONS: asOptions({ ...sessionSettings, ...textForms, datestyle: 'ISO', row_security: 'off' }),
});

/**
 * Finds PostgreSQL's programs for a copy from one database to another, of the newer version of the two: pg_dump reads no newer server
 * than itself. Throws an OperationError if the target is older, as it does not understand what a newer one has.
 */
export async function copyPrograms(from: DatabaseAccess, to: DatabaseAccess): Promise<(name: PostgresTool) => string> {
  const [source, target] = await Promise.all(
    [from, to].map((access) => withClient(access, 'admin', (client) => Promise.resolve(serverVersion(client)))),
  );
  if (source === undefined || target === undefined) throw new Error('a server does not say its version');
  if (source > target)
    throw new OperationError(
      `copying the database on port ${from.port} to port ${to.port}`,
      `it is PostgreSQL ${source}, and the target is ${target}`,
      'let the target have the same version, or a newer one',
    );
  return (name) => postgresPath(name, target, { orNewer: true });
}

/** What a program said of its failure: its first lines. */
export function saidBy(error: unknown): string {
  const text = (error as { stderr?: string }).stderr?.trim();
  return text === undefined || text === '' ? messageOf(error) : text.split('\n').slice(0, 5).join('\n');
}
