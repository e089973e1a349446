import type { DatabaseAccess } from './platform.ts';

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
