import type { DatabaseAccess, Login } from '../platform/databases.ts';

export type { DatabaseAccess, Login };

/** Which of a database's three roles connects. */
export type DatabaseRole = 'admin' | 'owner' | 'app';

/**
 * Connection URL for one role, for libpq and node-postgres. TLS verifies the server's certificate and name. The URL
 * contains the password: pass it in an environment variable, never in arguments or logs.
 */
export function databaseUrl(access: DatabaseAccess, role: DatabaseRole): string {
  const { user, password } = access[role];
  const url = `postgresql://${encode(user)}:${encode(password)}@${access.host}:${access.port}/${encode(access.database)}`;
  return `${url}?sslmode=verify-full&sslrootcert=${encodePath(access.caFile)}`;
}

/** What the templates `${database.…}` stand for. */
export interface DatabaseFields {
  url: string;
  host: string;
  port: string;
  name: string;
  user: string;
  password: string;
  caFile: string;
}

export const databaseFields = (access: DatabaseAccess, role: DatabaseRole): DatabaseFields => ({
  url: databaseUrl(access, role),
  host: access.host,
  port: String(access.port),
  name: access.database,
  ...access[role],
  caFile: access.caFile,
});

/**
 * Also encodes `!'()*`, which `encodeURIComponent` keeps: they are valid in a URL, but not safe within shell or SQL
 * quotes.
 */
const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/**
 * A slash may stand in the query of a URL. So an ordinary path and a generated password leave no percent sign, which Python's
 * configparser, and so Alembic, takes for its own.
 */
const encodePath = (path: string): string => encode(path).replaceAll('%2F', '/');

/**
 * The same connection as libpq environment variables, for PostgreSQL's programs. Keeps the password out of arguments.
 */
export const databaseEnvironment = (access: DatabaseAccess, role: DatabaseRole): Record<string, string> => ({
  PGHOST: access.host,
  PGPORT: String(access.port),
  PGDATABASE: access.database,
  PGUSER: access[role].user,
  PGPASSWORD: access[role].password,
  PGSSLMODE: 'verify-full',
  PGSSLROOTCERT: access.caFile,
});
