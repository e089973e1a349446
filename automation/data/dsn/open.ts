import pg from 'pg';
import { OperationError, messageOf } from '../../../infra/lib/errors.ts';
import { secrets } from '../../../infra/lib/redact.ts';
import { catalogFirst, sessionSettings } from '../../../infra/application/session-settings.ts';
import { applicationName, close } from '../connect.ts';
import type { Target, Tls } from './resolve.ts';

/** Where a session goes to, for people: `app on db.example:5432 as reader`. */
export const describeTarget = ({ host, port, database, user }: Target): string =>
  `${database} on ${host}${host.startsWith('/') ? '' : `:${port}`} as ${user}`;

/** How long a lock is waited for: who holds one may do so for hours. */
const settings = { ...sessionSettings, lock_timeout: '30s' };

/**
 * Opens a session. Settings come after the start, as a pooler may refuse them there. Throws an OperationError with the code
 * `unreachable`, which never holds the password.
 */
export async function openTarget(target: Target): Promise<pg.Client> {
  if (target.password !== undefined) secrets.register(target.password);
  try {
    return await begin(target, target.tls.use !== 'no').catch((error: unknown) => {
      if (target.tls.use === 'may' && messageOf(error) === 'The server does not support SSL connections')
        return begin(target, false);
      throw error;
    });
  } catch (error) {
    throw new OperationError(`connecting to ${describeTarget(target)}`, reasonOf(error), todoOf(error), {
      cause: error,
      code: 'unreachable',
    });
  }
}

async function begin(
  { host, port, database, user, password, options, connectMs, tls, bound }: Target,
  useTls: boolean,
): Promise<pg.Client> {
  let offered = false;
  const client = new pg.Client({
    host,
    port,
    database,
    user,
    // A function, as `pg` would otherwise look for a password itself. It is asked before anything of it is sent.
    password: () => {
      if (bound && !offered) throw new Error(notBound);
      return password ?? '';
    },
    enableChannelBinding: bound,
    ssl: useTls && secure(tls),
    application_name: applicationName,
    connectionTimeoutMillis: connectMs,
    keepAlive: true,
    ...(options === undefined ? {} : { options }),
  });
  // The server may end an idle session. The next query then rejects.
  client.on('error', () => undefined);
  client.connection.on('authenticationSASL', ({ mechanisms }: { mechanisms: string[] }) => {
    offered = mechanisms.includes('SCRAM-SHA-256-PLUS');
  });
  try {
    await client.connect();
    if (bound && !offered) throw new Error(notBound);
    for (const [name, value] of Object.entries(settings))
      await client.query(`SELECT pg_catalog.set_config($1, $2, false)`, [name, value]);
    await client.query(catalogFirst);
  } catch (error) {
    void close(client);
    throw error;
  }
  return client;
}

const notBound = 'channel binding is required, and the server does not offer it';

const secure = ({ verify, name, ca, cert, key }: Tls): pg.ClientConfig['ssl'] => ({
  rejectUnauthorized: verify !== 'nothing',
  host: name,
  ...(verify === 'chain' ? { checkServerIdentity: () => undefined } : {}),
  ...(ca === undefined ? {} : { ca }),
  ...(cert === undefined ? {} : { cert }),
  ...(key === undefined ? {} : { key }),
});

/** A host with several addresses fails with one error for each, and no message. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return [...new Set(error.errors.map(messageOf))].join(', ');
  return messageOf(error);
}

function todoOf(error: unknown): string {
  const state = error instanceof pg.DatabaseError ? (error.code ?? '') : '';
  if (state.startsWith('28') || messageOf(error).includes('client password'))
    return 'see the user and its password: PGPASSWORD, ~/.pgpass, or in the connection string';
  if (state === '3D000') return 'see the name of the database';
  return 'see that the server runs and can be reached from here: psql with the same connection string';
}
