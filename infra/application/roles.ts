/**
 * SQL that creates the roles of an application's database. The same statements run locally and on RDS, so that rights
 * do not depend on the platform. See "Database" in `docs/architecture/contract.md`.
 */

/** Group of which `app` is always a member: may read everything that the owner creates. */
export const readerRole = 'app_reader';
/** Group of which `app` is a member on the live colour only: may write. */
export const writerRole = 'app_writer';
/** Name of the application's database. */
export const applicationDatabase = 'app';

/**
 * Give and take the right to write. They affect the next statement of open sessions; reads continue. Run as `admin`.
 */
export const grantWrites = `GRANT ${writerRole} TO app`;
export const revokeWrites = `REVOKE ${writerRole} FROM app`;
/** The name of that membership among the objects of a catalog. */
export const grantedWrites = `of app in ${writerRole}`;

/** An SQL string literal without line breaks. Throws a TypeError on NUL, which PostgreSQL cannot store. */
export function sqlLiteral(text: string): string {
  if (text.includes('\0')) throw new TypeError('a string for PostgreSQL must not contain NUL');
  const escaped = text.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n').replaceAll('\r', '\\r');
  return `E'${escaped}'`;
}

/** A quoted SQL identifier. */
export const sqlIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;

const createRole = (role: string, options: string): string =>
  `DO $do$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${role}') THEN CREATE ROLE ${role} ${options}; END IF; END $do$`;

export const passwordStatement = (role: string, password: string): string =>
  `ALTER ROLE ${sqlIdentifier(role)} PASSWORD ${sqlLiteral(password)}`;

/**
 * Statements, one line each, that create the roles. Run as `admin` in any database. Idempotent. `admin` becomes a
 * member of `owner`: on RDS it is not a superuser, and only a member may act for a role.
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
 * Statements, one line each, that grant the roles their rights. Run as `admin` in the application's database.
 * Idempotent. Default privileges are not limited to a schema, so that they also apply to schemas created later.
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
