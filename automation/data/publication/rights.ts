import type pg from 'pg';
import { sqlIdentifier, writerRole } from '../../../infra/application/roles.ts';
import { notOfExtension } from '../catalog.ts';
import { rows } from '../connect.ts';

/**
 * A right of the application to write that does not come from `app_writer`. The fence revokes `app_writer` only. With another
 * right the application could write on the colour that is not live, where the write is lost.
 */
export interface StrayRight {
  severity: 'error' | 'warning';
  found: string;
  cure: string;
}

/** Every such right of `app`, of its roles and of PUBLIC, with the exact statements that move it to `app_writer`. */
export async function strayRights(client: pg.Client): Promise<StrayRight[]> {
  const roles = await rows<RoleRight>(client, rolesSql);
  const rights = await rows<Right>(client, rightsSql);
  const others = await rows<{ name: string; member: boolean }>(client, othersSql);
  return [...roles.map(ofRole), ...rights.map(describe), ...others.map(ofOther)];
}

const app = `'app'::regrole`;
const writer = `'${writerRole}'::regrole`;
/** SQL condition: the role may write everything, whatever is granted. Its single rights are not listed. */
const mighty = `(r.rolsuper OR r.rolcreaterole OR r.rolname IN ('owner', '${writerRole}', 'pg_write_all_data', 'pg_write_server_files', 'pg_execute_server_program') OR r.rolname = current_user)`;

/** The roles that the application has apart from `app_writer`, and the member through which it has each. */
const held = `
  WITH RECURSIVE held (oid, by, direct) AS (
    SELECT r.oid, NULL::oid, true FROM pg_roles r WHERE r.oid = ${app}
    UNION SELECT m.roleid, m.member, false FROM held JOIN pg_auth_members m ON m.member = held.oid JOIN pg_roles r ON r.oid = m.member
    WHERE NOT (m.member = ${app} AND m.roleid = ${writer}) AND (r.oid = ${app} OR NOT ${mighty})),
  plain AS (SELECT DISTINCT h.oid FROM held h JOIN pg_roles r ON r.oid = h.oid WHERE h.direct OR NOT ${mighty}),
  grantee AS (SELECT oid FROM plain UNION SELECT 0)`;

interface RoleRight {
  role: string;
  by: string | null;
  attribute: string | null;
}

const rolesSql = `${held}
  SELECT r.rolname AS role, pg_get_userbyid(h.by) AS by, NULL AS attribute FROM held h JOIN pg_roles r ON r.oid = h.oid WHERE NOT h.direct AND ${mighty}
  UNION SELECT r.rolname, NULL, a.name FROM pg_roles r, LATERAL (VALUES ('SUPERUSER', r.rolsuper), ('CREATEROLE', r.rolcreaterole)) a (name, has)
  WHERE r.oid = ${app} AND a.has
  UNION SELECT '${writerRole}', 'app', 'ADMIN OPTION' FROM pg_auth_members WHERE roleid = ${writer} AND member = ${app} AND admin_option ORDER BY 1`;

function ofRole({ role, by, attribute }: RoleRight): StrayRight {
  const takes = 'so it could not be fenced';
  if (attribute === 'ADMIN OPTION')
    return {
      severity: 'error',
      found: `role app may grant ${writerRole} itself, ${takes}`,
      cure: `REVOKE ADMIN OPTION FOR ${writerRole} FROM app`,
    };
  if (attribute !== null)
    return { severity: 'error', found: `role app is ${attribute}, ${takes}`, cure: `ALTER ROLE app NO${attribute}` };
  const from = by ?? 'app';
  return {
    severity: 'error',
    found: `role ${from} is a member of ${role}${from === 'app' ? '' : ', and app of it'}: it writes without ${writerRole}, ${takes}`,
    cure: `REVOKE ${sqlIdentifier(role)} FROM ${sqlIdentifier(from)}`,
  };
}

interface Right {
  kind: 'table' | 'view' | 'column' | 'sequence' | 'schema' | 'database' | 'function' | 'default' | 'owner';
  /** For people. */
  name: string;
  /** For GRANT and REVOKE: `TABLE "public"."a"`. For a default privilege and an owner: the beginning of the ALTER statement. */
  object: string;
  privileges: string;
  grantee: string;
  /** Who granted it, if that is not the owner. */
  grantor: string | null;
  /** For a function: it is not VOLATILE, so it cannot write by itself. */
  reads: boolean;
}

const roleName = (oid: string): string => `CASE ${oid} WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(${oid})::text END`;
const notSystem = `n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'`;

/** SQL condition: the view allows what is granted, by itself or by triggers and rules. The bits are those of PostgreSQL. */
const updatable = `pg_relation_is_updatable(c.oid, true) & CASE a.privilege_type WHEN 'UPDATE' THEN 4 WHEN 'INSERT' THEN 8 WHEN 'DELETE' THEN 16 ELSE 0 END <> 0`;

/**
 * The rights, one row per object and grantee. Objects of extensions are left out: they are not published, and on RDS their
 * rights cannot be revoked. An ACL that is not set means PostgreSQL's default, such as EXECUTE for PUBLIC.
 */
const rightsSql = `${held},
  found (kind, name, object, privilege, grantee, grantor, owner, reads) AS (
    SELECT CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' ELSE 'table' END, format('%s.%s', n.nspname, c.relname),
      format('%s %I.%I', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname), a.privilege_type, a.grantee, a.grantor, c.relowner, false
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
    WHERE ${notSystem} AND ${notOfExtension} AND (c.relkind = 'S' AND a.privilege_type IN ('USAGE', 'UPDATE')
      OR c.relkind IN ('r', 'p', 'f') AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER')
      OR c.relkind = 'v' AND ${updatable})
    UNION ALL SELECT 'column', format('%s of %s.%s', t.attname, n.nspname, c.relname), format('TABLE %I.%I', n.nspname, c.relname),
      format('%s (%I)', a.privilege_type, t.attname), a.grantee, a.grantor, c.relowner, false
    FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(t.attacl) a
    WHERE ${notSystem} AND ${notOfExtension} AND NOT t.attisdropped AND a.privilege_type IN ('INSERT', 'UPDATE')
      AND (c.relkind <> 'v' OR ${updatable})
    UNION ALL SELECT 'schema', n.nspname, format('SCHEMA %I', n.nspname), a.privilege_type, a.grantee, a.grantor, n.nspowner, false
    FROM pg_namespace n, aclexplode(n.nspacl) a WHERE ${notSystem} AND a.privilege_type = 'CREATE'
    UNION ALL SELECT 'database', d.datname, format('DATABASE %I', d.datname), a.privilege_type, a.grantee, a.grantor, d.datdba, false
    FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
    WHERE d.datname = current_database() AND a.privilege_type IN ('CREATE', 'TEMPORARY')
    UNION ALL SELECT 'function', f.name, 'ROUTINE ' || f.sql, a.privilege_type, a.grantee, a.grantor, p.proowner, p.provolatile <> 'v'
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a,
      LATERAL (SELECT format('%s.%s(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name,
        format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS sql) f
    WHERE p.prosecdef AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) AND p.proowner NOT IN (SELECT oid FROM plain)
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
    UNION ALL SELECT 'default', format('%s that %s makes%s', k.plural, pg_get_userbyid(d.defaclrole), ' in ' || n.nspname),
      format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s', pg_get_userbyid(d.defaclrole), CASE WHEN n.oid IS NOT NULL THEN format(' IN SCHEMA %I', n.nspname) END) || '|' || upper(k.plural),
      a.privilege_type, a.grantee, d.defaclrole, d.defaclrole, false
    FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
    JOIN (VALUES ('r', 'tables', '{INSERT,UPDATE,DELETE,TRUNCATE,TRIGGER}'::text[]), ('S', 'sequences', '{USAGE,UPDATE}'), ('n', 'schemas', '{CREATE}'))
      k (type, plural, privileges) ON k.type = d.defaclobjtype::text, aclexplode(d.defaclacl) a WHERE a.privilege_type = ANY (k.privileges))
  SELECT kind, name, object, string_agg(DISTINCT privilege, ', ' ORDER BY privilege) AS privileges, ${roleName('grantee')} AS grantee,
    CASE WHEN grantor <> owner THEN pg_get_userbyid(grantor)::text END AS grantor, reads
  FROM found WHERE grantee IN (SELECT oid FROM grantee) AND grantee <> owner GROUP BY kind, name, object, grantee, grantor, owner, reads
  UNION ALL SELECT 'owner', o.name, o.alter, '', pg_get_userbyid(o.owner), NULL, false FROM (
    SELECT format('%s.%s', n.nspname, c.relname), c.relowner,
      format('ALTER %s %I.%I', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND ${notSystem}
    UNION ALL SELECT 'schema ' || n.nspname, n.nspowner, format('ALTER SCHEMA %I', n.nspname) FROM pg_namespace n WHERE ${notSystem}
    UNION ALL SELECT 'database ' || datname, datdba, format('ALTER DATABASE %I', datname) FROM pg_database WHERE datname = current_database()
  ) o (name, owner, alter) WHERE o.owner IN (SELECT oid FROM plain) ORDER BY kind, name, grantee`;

function describe(right: Right): StrayRight {
  const { kind, name, object, privileges, grantee, grantor } = right;
  const takes = `without ${writerRole}, so it could not be fenced`;
  const to = grantee === 'PUBLIC' ? grantee : sqlIdentifier(grantee);
  const given = `${privileges} to ${grantee}`;
  if (kind === 'owner')
    return {
      severity: 'error',
      found: `${name} belongs to ${grantee}: it can be changed ${takes}`,
      cure: `${object} OWNER TO owner`,
    };
  if (kind === 'default') {
    const [alter, plural] = object.split('|');
    return {
      severity: 'error',
      found: `${name} (${given}) could be written ${takes}`,
      cure: `${alter} REVOKE ${privileges} ON ${plural} FROM ${to}`,
    };
  }
  const moved = `REVOKE ${privileges} ON ${object} FROM ${to}; GRANT ${privileges} ON ${object} TO ${writerRole}`;
  const cure = grantor === null ? moved : `SET ROLE ${sqlIdentifier(grantor)}; ${moved}; RESET ROLE`;
  if (kind !== 'function')
    return { severity: 'error', found: `${kind} ${name} (${given}) can be written ${takes}`, cure };
  const definer = `function ${name} (${given}) is SECURITY DEFINER`;
  const invoker = `ALTER ${object} SECURITY INVOKER`;
  return right.reads
    ? {
        severity: 'warning',
        found: `${definer}: see that it only reads, as it runs on the colour that is not live, too`,
        cure: invoker,
      }
    : {
        severity: 'error',
        found: `${definer} and VOLATILE: whatever it writes is written ${takes}`,
        cure: `${cure}; or, if it only reads: ALTER ${object} STABLE; or: ${invoker}`,
      };
}

/** Other roles that can log in and write, which the fence does not stop. Administrators are left out. */
const othersSql = `
  SELECT r.rolname AS name, pg_has_role(r.oid, ${writer}, 'MEMBER') AS member FROM pg_roles r
  WHERE r.rolcanlogin AND NOT r.rolsuper AND r.rolname NOT IN ('app', 'owner') AND r.rolname <> current_user AND r.rolname !~ '^(pg_|rds)'
    AND NOT pg_has_role(r.oid, 'owner'::regrole, 'MEMBER')
    AND (pg_has_role(r.oid, ${writer}, 'MEMBER') OR EXISTS (
      SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND ${notSystem} AND ${notOfExtension} AND n.nspname <> 'greenlight'
        AND (has_any_column_privilege(r.oid, c.oid, 'INSERT, UPDATE') OR has_table_privilege(r.oid, c.oid, 'DELETE, TRUNCATE')))) ORDER BY 1`;

const ofOther = ({ name, member }: { name: string; member: boolean }): StrayRight => ({
  severity: 'error',
  found: `role ${name} logs in and may write${member ? ` as a member of ${writerRole}` : ''}: the fence holds app alone`,
  cure: member
    ? `let it log in as app, and: REVOKE ${writerRole} FROM ${sqlIdentifier(name)}`
    : `let it log in as app, or read only: REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public FROM ${sqlIdentifier(name)}`,
});

/** Tables of which a policy may hide rows from `role`, quoted for SQL: from their owner only where it is forced. */
export async function hiddenRows(client: pg.Client, role: string): Promise<string[]> {
  const sql = `
    SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.rolname = $1
    WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity AND ${notSystem} AND ${notOfExtension}
      AND NOT (r.rolsuper OR r.rolbypassrls) AND (c.relforcerowsecurity OR NOT pg_has_role(r.oid, c.relowner, 'USAGE')) ORDER BY 1`;
  return (await rows<{ name: string }>(client, sql, [role])).map(({ name }) => name);
}
