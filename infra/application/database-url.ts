import type { DatabaseAccess } from '../platform/databases.ts';

/** Which of a database's three roles connects. */
export type DatabaseRole = 'admin' | 'owner' | 'app';

/**
 * URL of a database for one of its roles; libpq and node-postgres read it alike. TLS with the server's certificate
 * and name verified. It holds the password: pass it in an environment variable, never in arguments or logs.
 */
export function databaseUrl(access: DatabaseAccess, role: DatabaseRole): string {
  const { user, password } = access[role];
  const url = `postgresql://${encode(user)}:${encode(password)}@${access.host}:${access.port}/${encode(access.database)}`;
  return `${url}?sslmode=verify-full&sslrootcert=${encode(access.caFile)}`;
}

/** `encodeURIComponent` leaves `'` and others, which are safe in a URL but not where a shell or SQL quotes it. */
const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** The same as environment variables of libpq, for PostgreSQL's own programs: keeps the password out of arguments. */
export const databaseEnvironment = (access: DatabaseAccess, role: DatabaseRole): Record<string, string> => ({
  PGHOST: access.host,
  PGPORT: String(access.port),
  PGDATABASE: access.database,
  PGUSER: access[role].user,
  PGPASSWORD: access[role].password,
  PGSSLMODE: 'verify-full',
  PGSSLROOTCERT: access.caFile,
});
