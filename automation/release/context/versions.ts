import type { Colour, EnvironmentName } from '../../../infra/model.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { postgresOf } from '../../config/platforms.ts';
import { serverVersion, withClient } from '../../data/connect.ts';
import { connectTo, type RunSettings } from './context.ts';
import type { PostgresVersions } from './release.ts';

/** Major version of PostgreSQL of a database. */
export const majorVersion = (access: DatabaseAccess): Promise<number | undefined> =>
  withClient(access, 'admin', (client) => Promise.resolve(serverVersion(client)));

/**
 * The version of the live database, and the one that replaces it. Undefined where the live one does not answer: the preflight finds
 * out why.
 */
export async function postgresVersions(
  session: Pick<RunSettings, 'platform' | 'engine' | 'definition'>,
  environment: EnvironmentName,
  live: Colour,
): Promise<PostgresVersions | undefined> {
  const running = await connectTo(session, environment).catch(() => undefined);
  if (running === undefined) return undefined;
  try {
    const from = await majorVersion(await running.databases.of(live));
    return from === undefined ? undefined : { from, to: postgresOf(session.definition, environment) ?? from };
  } catch {
    return undefined;
  } finally {
    await running.close();
  }
}
