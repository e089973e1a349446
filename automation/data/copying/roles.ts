import type pg from 'pg';
import { readerRole, sqlIdentifier, sqlLiteral, writerRole } from '../../../infra/application/roles.ts';
import { row, rows } from '../connect.ts';

/**
 * Roles of users, with their passwords, memberships and rights on the database: they belong to a cluster, so that no dump of a
 * database has them. The roles that Greenlight makes, and those of PostgreSQL and of RDS, are each cluster's own.
 */

/** SQL condition on a role's name. */
export const usersRole = (name: string): string =>
  `${name} !~ '^(pg_|rds)' AND ${name} NOT IN ('owner', 'app', '${readerRole}', '${writerRole}') AND ${name} <> session_user`;

interface Role {
  name: string;
  superuser: boolean;
  inherits: boolean;
  createrole: boolean;
  createdb: boolean;
  login: boolean;
  replication: boolean;
  bypassrls: boolean;
  connections: number;
  until: string | null;
}

const rolesSql = `
  SELECT rolname AS name, rolsuper AS superuser, rolinherit AS inherits, rolcreaterole AS createrole, rolcreatedb AS createdb,
    rolcanlogin AS login, rolreplication AS replication, rolbypassrls AS bypassrls, rolconnlimit AS connections,
    rolvaliduntil::text AS until
  FROM pg_roles WHERE ${usersRole('rolname')} ORDER BY 1`;

/** Only a change is said, as RDS refuses even to deny what it does not let anybody give. */
const attributes = ({ before, after }: { before: Role | undefined; after: Role }): string => {
  const flags = {
    superuser: 'SUPERUSER',
    inherits: 'INHERIT',
    createrole: 'CREATEROLE',
    createdb: 'CREATEDB',
    login: 'LOGIN',
    replication: 'REPLICATION',
    bypassrls: 'BYPASSRLS',
  } as const;
  const ofNew = { superuser: false, inherits: true, createrole: false, createdb: false, login: false };
  const old = { replication: false, bypassrls: false, connections: -1, until: null, ...ofNew, ...before };
  const changed = (Object.keys(flags) as (keyof typeof flags)[]).filter((key) => old[key] !== after[key]);
  return [
    ...changed.map((key) => `${after[key] ? '' : 'NO'}${flags[key]}`),
    ...(old.connections === after.connections ? [] : [`CONNECTION LIMIT ${after.connections}`]),
    ...(old.until === after.until ? [] : [`VALID UNTIL ${sqlLiteral(after.until ?? 'infinity')}`]),
  ].join(' ');
};

/**
 * Makes the roles of `from` on `to`, or makes those that are there equal to them. `passwords`: with their passwords; without, nobody
 * can log in as one. Resolves to the roles whose password could not be read (RDS shows none). Sessions as admin.
 */
export async function carryRoles(from: pg.Client, to: pg.Client, passwords: boolean): Promise<string[]> {
  const [wanted, present] = [await rows<Role>(from, rolesSql), await rows<Role>(to, rolesSql)];
  const secret = passwords ? await readPasswords(from) : new Map<string, string | null>();
  const unread: string[] = [];
  await keepFromLog(to);
  for (const after of wanted) {
    const before = present.find(({ name }) => name === after.name);
    const role = sqlIdentifier(after.name);
    const said = attributes({ before, after });
    if (before === undefined || said !== '')
      await to.query(`${before === undefined ? 'CREATE' : 'ALTER'} ROLE ${role} ${said}`);
    const password = secret?.get(after.name);
    if (typeof password === 'string') await to.query(`ALTER ROLE ${role} PASSWORD ${sqlLiteral(password)}`);
    else if (!passwords || password === null) await to.query(`ALTER ROLE ${role} PASSWORD NULL`);
    else if (after.login) unread.push(after.name);
  }
  return unread;
}

/** The passwords as they are stored, by role; undefined where nobody may read them. */
async function readPasswords(client: pg.Client): Promise<Map<string, string | null> | undefined> {
  const found = await rows<{ name: string; password: string | null }>(
    client,
    `SELECT rolname AS name, rolpassword AS password FROM pg_authid WHERE ${usersRole('rolname')} ORDER BY 1`,
  ).catch(() => undefined);
  return found && new Map(found.map(({ name, password }) => [name, password]));
}

/** Neither a statement with a password nor an error with one may reach the server's log. */
const keepFromLog = (client: pg.Client): Promise<unknown> =>
  client.query('SET log_statement = none; SET log_min_error_statement = panic').catch(() => undefined);

/** Roles of users that have another password on `to` than on `from`. None where passwords cannot be read, as on RDS. Sessions as admin. */
export async function otherPasswords(
  from: pg.Client,
  to: pg.Client,
): Promise<{ name: string; password: string | null }[]> {
  const [wanted, present] = [await readPasswords(from), await readPasswords(to)];
  return [...(wanted ?? [])]
    .filter(([name, password]) => present?.has(name) === true && present.get(name) !== password)
    .map(([name, password]) => ({ name, password }));
}

/** Makes the passwords of the roles of users on `to` those of `from`. Sessions as admin. */
export async function carryPasswords(from: pg.Client, to: pg.Client): Promise<void> {
  const others = await otherPasswords(from, to);
  await keepFromLog(to);
  for (const { name, password } of others)
    await to.query(`ALTER ROLE ${sqlIdentifier(name)} PASSWORD ${password === null ? 'NULL' : sqlLiteral(password)}`);
}

interface Membership {
  role: string;
  member: string;
  options: string;
}

/** Since 16 a membership also says whether it inherits and allows SET ROLE. The administrator acts for roles of users as a member of them. */
const membershipsSql = (detailed: boolean): string => `
  SELECT DISTINCT r.rolname AS role, m.rolname AS member, concat_ws(', ', CASE WHEN bool_or(a.admin_option) THEN 'ADMIN TRUE' END
    ${detailed ? `, 'INHERIT ' || bool_or((to_jsonb(a) ->> 'inherit_option')::boolean), 'SET ' || bool_or((to_jsonb(a) ->> 'set_option')::boolean)` : ''}) AS options
  FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
  WHERE r.rolname !~ '^rds' AND (${usersRole('r.rolname')} OR ${usersRole('m.rolname')} OR r.rolname ~ '^pg_' AND m.rolname IN ('owner', 'app'))
    AND m.rolname !~ '^(pg_|rds)' AND (m.rolname <> session_user OR ${usersRole('r.rolname')})
  GROUP BY 1, 2 ORDER BY 1, 2`;

/** Makes the memberships of the roles of `to` those of `from`. The application's right to write is none of them. */
export async function carryMemberships(from: pg.Client, to: pg.Client, versions: number[]): Promise<void> {
  const sql = membershipsSql(versions.every((version) => version >= 16));
  const [wanted, present] = [await rows<Membership>(from, sql), await rows<Membership>(to, sql)];
  const same = (a: Membership) => (b: Membership) => a.role === b.role && a.member === b.member;
  const carried = new Set((await rows<Role>(from, rolesSql)).map(({ name }) => name));
  for (const { role, member, options } of present)
    if ((carried.has(role) || carried.has(member)) && !wanted.some(same({ role, member, options })))
      await to.query(`REVOKE ${sqlIdentifier(role)} FROM ${sqlIdentifier(member)}`);
  for (const membership of wanted) {
    const there = present.find(same(membership));
    if (there?.options === membership.options) continue;
    // Whoever makes a role since 16 may grant it already, and not grant that to itself once more.
    const has = there?.options.split(', ') ?? [];
    const options = membership.options.split(', ').filter((option) => !has.includes(option));
    const how = options.join() === 'ADMIN TRUE' ? 'ADMIN OPTION' : options.join(', ');
    await to.query(
      `GRANT ${sqlIdentifier(membership.role)} TO ${sqlIdentifier(membership.member)}${how === '' ? '' : ` WITH ${how}`}`,
    );
  }
}

const parametersSql = `
  SELECT p.parname AS name, coalesce(r.rolname, '') AS role, a.privilege_type AS right, a.is_grantable AS grantable
  FROM pg_parameter_acl p, aclexplode(p.paracl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
  WHERE a.grantee <> a.grantor AND coalesce(r.rolname, '') !~ '^(pg_|rds)' AND coalesce(r.rolname, '') <> session_user ORDER BY 1, 2`;

/** Gives on settings of the server what roles may set there: they belong to a cluster, as roles do. */
export async function carryParameterRights(from: pg.Client, to: pg.Client): Promise<void> {
  interface Right {
    name: string;
    role: string;
    right: string;
    grantable: boolean;
  }
  for (const { name, role, right, grantable } of await rows<Right>(from, parametersSql)) {
    const grantee = role === '' ? 'PUBLIC' : sqlIdentifier(role);
    const parameter = name.split('.').map(sqlIdentifier).join('.');
    await to.query(`GRANT ${right} ON PARAMETER ${parameter} TO ${grantee}${grantable ? ' WITH GRANT OPTION' : ''}`);
  }
}

const databaseRightsSql = `
  SELECT coalesce(r.rolname, '') AS role, a.privilege_type AS right, a.is_grantable AS grantable
  FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a LEFT JOIN pg_roles r ON r.oid = a.grantee
  WHERE d.datname = current_database() AND (a.grantee = 0 OR ${usersRole('r.rolname')})`;

/** Gives on the database of `to` what the roles of users have on that of `from`, and as many connections. */
export async function carryDatabaseRights(from: pg.Client, to: pg.Client, database: string): Promise<void> {
  const { connections } = await row<{ connections: number }>(
    from,
    'SELECT datconnlimit AS connections FROM pg_database WHERE datname = current_database()',
  );
  await to.query(`ALTER DATABASE ${sqlIdentifier(database)} CONNECTION LIMIT ${connections}`);
  const found = await rows<{ role: string; right: string; grantable: boolean }>(from, databaseRightsSql);
  for (const { role, right, grantable } of found) {
    const grantee = role === '' ? 'PUBLIC' : sqlIdentifier(role);
    await to.query(
      `GRANT ${right} ON DATABASE ${sqlIdentifier(database)} TO ${grantee}${grantable ? ' WITH GRANT OPTION' : ''}`,
    );
  }
}
