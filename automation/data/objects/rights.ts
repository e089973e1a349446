import { ownSchemas } from '../catalog.ts';

/**
 * Who may do what. `GRANT <definition> <name>` is the statement that makes a grant. PostgreSQL's default for a kind of object is
 * left out, so that an ACL that was never set equals one that was set back.
 */

const grantee = `CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE format('%I', pg_get_userbyid(a.grantee)) END`;
const privileges = `string_agg(a.privilege_type || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END, ', ' ORDER BY a.privilege_type)`;

/**
 * `object`: what GRANT calls it. `type`: its letter for `acldefault`. `source`: a FROM clause. PostgreSQL's own objects and those of an
 * extension have the rights that they were made with as their default.
 */
const grants = (
  catalog: string,
  source: string,
  object: string,
  [acl, owner, oid]: [string, string, string],
  type: string,
): string => `
  SELECT a.kind, format('ON %s TO %s', o.object, ${grantee}) AS name, ${privileges} AS definition
  FROM (SELECT ${object} AS object, ${acl} AS acl, coalesce(i.initprivs, acldefault(${type}, ${owner})) AS defaults
    FROM ${source} LEFT JOIN pg_init_privs i ON i.classoid = '${catalog}'::regclass AND i.objoid = ${oid} AND i.objsubid = 0
    WHERE ${acl} IS NOT NULL) o, LATERAL (
    SELECT 'grant' AS kind, * FROM aclexplode(o.acl) WHERE NOT o.defaults @> makeaclitem(grantee, grantor, privilege_type, is_grantable)
    UNION ALL
    SELECT 'missing grant', * FROM aclexplode(o.defaults) WHERE NOT o.acl @> makeaclitem(grantee, grantor, privilege_type, is_grantable)) a
  GROUP BY 1, 2`;

const anywhere = `n.nspname !~ '^pg_(toast|temp)' AND n.nspname NOT IN ('information_schema', 'greenlight')`;

const onRelations = grants(
  'pg_class',
  `pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND c.relpersistence <> 't' AND ${anywhere}`,
  `format('%s %I.%I', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname)`,
  ['c.relacl', 'c.relowner', 'c.oid'],
  `CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char"`,
);

/** The column is part of each privilege: `SELECT (email)`. */
const onColumns = `
  SELECT 'column grant' AS kind, format('ON TABLE %I.%I TO %s', n.nspname, c.relname, ${grantee}) AS name,
    string_agg(format('%s (%I)%s', a.privilege_type, t.attname, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), ', ' ORDER BY a.privilege_type, t.attname) AS definition
  FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(t.attacl) a
  WHERE t.attacl IS NOT NULL AND NOT t.attisdropped AND c.relpersistence <> 't' AND ${ownSchemas} GROUP BY 2`;

const onOthers = [
  grants(
    'pg_proc',
    `pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace AND ${anywhere}`,
    `format('ROUTINE %I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes))`,
    ['p.proacl', 'p.proowner', 'p.oid'],
    `'f'`,
  ),
  grants(
    'pg_namespace',
    `(SELECT * FROM pg_namespace n WHERE ${anywhere}) n`,
    `format('SCHEMA %I', n.nspname)`,
    ['n.nspacl', 'n.nspowner', 'n.oid'],
    `'n'`,
  ),
  grants(
    'pg_type',
    `pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace AND ${anywhere}`,
    `format('TYPE %I.%I', n.nspname, t.typname)`,
    ['t.typacl', 't.typowner', 't.oid'],
    `'T'`,
  ),
  grants(
    'pg_language',
    'pg_language l',
    `format('LANGUAGE %I', l.lanname)`,
    ['l.lanacl', 'l.lanowner', 'l.oid'],
    `'l'`,
  ),
  grants(
    'pg_database',
    '(SELECT * FROM pg_database WHERE datname = current_database()) d',
    `'this database'`,
    ['d.datacl', 'd.datdba', 'd.oid'],
    `'d'`,
  ),
  grants(
    'pg_foreign_data_wrapper',
    'pg_foreign_data_wrapper w',
    `format('FOREIGN DATA WRAPPER %I', w.fdwname)`,
    ['w.fdwacl', 'w.fdwowner', 'w.oid'],
    `'F'`,
  ),
  grants(
    'pg_foreign_server',
    'pg_foreign_server s',
    `format('FOREIGN SERVER %I', s.srvname)`,
    ['s.srvacl', 's.srvowner', 's.oid'],
    `'S'`,
  ),
];

const defaults = `
  SELECT 'default privileges' AS kind, format('%s of %I%s to %s', CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions'
      WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE d.defaclobjtype::text END, pg_get_userbyid(d.defaclrole), ' in ' || quote_ident(n.nspname), ${grantee}) AS name,
    ${privileges} AS definition
  FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace, aclexplode(d.defaclacl) a GROUP BY 2
  UNION ALL SELECT 'default privileges', format('of kind %s of %I%s', d.defaclobjtype, pg_get_userbyid(d.defaclrole), ' in ' || quote_ident(n.nspname)), 'are set'
  FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace`;

/**
 * Roles that this database knows, and those that are connected to them by membership: a server may have others. The write right that
 * moves with the writes is left out. Owning a publication is no tie: a copy may be without the publication.
 */
const known = `
  WITH RECURSIVE known (oid) AS (
    SELECT oid FROM (SELECT refobjid AS oid FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND classid <> 'pg_publication'::regclass
      UNION SELECT setrole FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) AND setrole <> 0
      UNION SELECT datdba FROM pg_database WHERE datname = current_database()) s
    UNION SELECT unnest(ARRAY[m.roleid, m.member]) FROM pg_auth_members m JOIN known k ON k.oid IN (m.roleid, m.member)),
  own AS (SELECT r.* FROM pg_roles r JOIN known k ON k.oid = r.oid WHERE r.rolname !~ '^(pg_|rds)')`;

const roles = `${known}
  SELECT 'role' AS kind, format('%I', r.rolname) AS name, concat_ws(' ', CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN NOT r.rolinherit THEN 'NOINHERIT' END,
    CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END, CASE WHEN r.rolcreatedb THEN 'CREATEDB' END, CASE WHEN r.rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END,
    CASE WHEN r.rolreplication THEN 'REPLICATION' END, CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END, 'CONNECTION LIMIT ' || nullif(r.rolconnlimit, -1),
    'VALID UNTIL ' || r.rolvaliduntil) AS definition
  FROM own r
  UNION ALL SELECT 'membership', format('of %I in %I', m.rolname, r.rolname), CASE WHEN bool_or(a.admin_option) THEN 'WITH ADMIN OPTION' ELSE '' END
  FROM pg_auth_members a JOIN own m ON m.oid = a.member JOIN pg_roles r ON r.oid = a.roleid GROUP BY 2`;

export const rightsQueries = [onRelations, onColumns, ...onOthers, defaults, roles];
