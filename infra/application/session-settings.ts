import { sqlIdentifier, sqlLiteral } from './roles.ts';

/**
 * Settings of Greenlight's own sessions. Owners set some for a database or a role with the application in mind: a timeout, read only,
 * another role. In a backup, a copy or a replication such a setting ends the work, or changes what it sees. What a session asks for when
 * it starts comes before all of them. Parameters that only a superuser may set are left out, as the owner's sessions have these, too.
 */
export const sessionSettings = {
  // The planner overestimates catalog queries: JIT compilation took 0.8 s of a query that needs 10 ms.
  jit: 'off',
  default_transaction_read_only: 'off',
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  row_security: 'on',
  // A commit of a cutover has to be there after a crash.
  synchronous_commit: 'on',
  role: 'none',
  quote_all_identifiers: 'off',
  standard_conforming_strings: 'on',
};

/** Settings as `options` of a connection. */
export const asOptions = (settings: Record<string, string>): string =>
  Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value.replaceAll(' ', String.raw`\ `)}`)
    .join(' ');

/** Greenlight's own settings in that form. They are those of PostgreSQL 14 and later. */
export const sessionOptions = asOptions(sessionSettings);

/** The same for PostgreSQL's programs, which read them from their environment. */
export const sessionEnvironment = { PGOPTIONS: sessionOptions };

/** Ends the timeout that PostgreSQL 17 added. An older server refuses a connection whose `options` name it. */
export const endTransactionTimeout = 'SET transaction_timeout = 0';

/**
 * PostgreSQL searches its own catalog first, unless a search path names it later: then a user's table `pg_class` comes before the catalog's.
 * Such a path of a database or role loses that name here, and nothing else, as functions of users need the rest of it.
 */
export const catalogFirst = `SELECT pg_catalog.set_config('search_path', pg_catalog.array_to_string(ARRAY(
  SELECT e FROM pg_catalog.unnest(pg_catalog.string_to_array(pg_catalog.current_setting('search_path'), ',')) WITH ORDINALITY AS u (e, n)
  WHERE pg_catalog.btrim(e, ' "') OPERATOR(pg_catalog.<>) 'pg_catalog' ORDER BY n), ','), false)`;

/**
 * The statements that keep a database's and a role's settings from a replication. Its processes are sessions that PostgreSQL starts:
 * the apply worker as the owner of the subscription, the sender as who it logs in as. They take the settings of database and role.
 * Those of a role in one database come before all others. `version`: the server's major version.
 */
export const replicationSettings = (role: string, database: string, version: number): string[] =>
  Object.entries(version >= 17 ? { ...sessionSettings, transaction_timeout: '0' } : sessionSettings).map(
    ([name, value]) =>
      `ALTER ROLE ${sqlIdentifier(role)} IN DATABASE ${sqlIdentifier(database)} SET ${name} = ${sqlLiteral(value)}`,
  );
