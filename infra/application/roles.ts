/**
 * The roles of an application's database, as SQL. The same statements run locally and on RDS, so that what is allowed
 * where does not depend on the platform. See "Database" in ARCHITECTURE.md.
 */

/** Group that `app` is always in: may read everything that the owner makes. */
export const readerRole = 'app_reader';
/** Group that `app` is in on the live colour only: may write. */
export const writerRole = 'app_writer';
/** Name of the application's database. */
export const applicationDatabase = 'app';

/** Lifts and lowers the fence. Open sessions feel it with their next statement; reads go on. Run as `admin`. */
export const grantWrites = `GRANT ${writerRole} TO app`;
export const revokeWrites = `REVOKE ${writerRole} FROM app`;

/** A string as an SQL literal on one line, whatever is in it. Throws on NUL, which PostgreSQL cannot store. */
export function sqlLiteral(text: string): string {
  if (text.includes('\0')) throw new TypeError('a string for PostgreSQL must not contain NUL');
  const escaped = text.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n').replaceAll('\r', '\\r');
  return `E'${escaped}'`;
}

/** A name as an SQL identifier. */
export const sqlIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;

const createRole = (role: string, options: string): string =>
  `DO $do$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${role}') THEN CREATE ROLE ${role} ${options}; END IF; END $do$`;

/** Sets a role's password. */
export const passwordStatement = (role: string, password: string): string =>
  `ALTER ROLE ${sqlIdentifier(role)} PASSWORD ${sqlLiteral(password)}`;

/**
 * Statements that make the roles, to be run as `admin` in any database; each is one line. May be run again. The
 * administrator becomes a member of `owner`: on RDS it is no superuser, and only a member may act for a role.
 */
export const roleStatements = (passwords: { owner: string; app: string }, admin = 'admin'): string[] => [
  createRole(readerRole, 'NOLOGIN'),
  createRole(writerRole, 'NOLOGIN'),
  createRole('owner', 'LOGIN'),
  createRole('app', 'LOGIN'),
  `GRANT ${readerRole} TO app`,
  `GRANT owner TO ${sqlIdentifier(admin)}`,
  passwordStatement('owner', passwords.owner),
  passwordStatement('app', passwords.app),
];

/**
 * Statements that give the roles their rights, to be run as `admin` in the application's database; each is one line.
 * May be run again. Default privileges are not bound to a schema, so that they hold for schemas made later too.
 */
export const privilegeStatements = (admin = 'admin'): string[] => {
  const byOwner = 'ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT';
  return [
    `REVOKE ALL ON DATABASE ${applicationDatabase} FROM PUBLIC`,
    `ALTER DATABASE ${applicationDatabase} OWNER TO owner`,
    `GRANT CONNECT ON DATABASE ${applicationDatabase} TO ${readerRole}`,
    `GRANT TEMPORARY ON DATABASE ${applicationDatabase} TO ${writerRole}`,
    'ALTER SCHEMA public OWNER TO owner',
    'REVOKE CREATE ON SCHEMA public FROM PUBLIC',
    `GRANT USAGE ON SCHEMA public TO ${readerRole}`,
    `${byOwner} USAGE ON SCHEMAS TO ${readerRole}`,
    `${byOwner} SELECT ON TABLES TO ${readerRole}`,
    `${byOwner} INSERT, UPDATE, DELETE ON TABLES TO ${writerRole}`,
    `${byOwner} SELECT ON SEQUENCES TO ${readerRole}`,
    `${byOwner} USAGE, UPDATE ON SEQUENCES TO ${writerRole}`,
    `CREATE SCHEMA IF NOT EXISTS greenlight AUTHORIZATION ${sqlIdentifier(admin)}`,
  ];
};
