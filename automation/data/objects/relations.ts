import { ownSchemas } from '../catalog.ts';
import { lines, named, owned, sorted, sortedForeign, when } from './sql.ts';

/** Tables, views, sequences and all that belongs to one of them. Temporary relations are a session's own. */

const relation = `c.relpersistence <> 't' AND ${ownSchemas}`;
const from = 'FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace';
const kindOf = `CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'table' END`;

const tables = `
  SELECT ${kindOf} AS kind, ${named('c.relname')} AS name, ${lines(
    owned('c.relowner'),
    when(
      `c.relkind = 'v'`,
      `format('CREATE OR REPLACE VIEW %I.%I AS%s%s', n.nspname, c.relname, chr(10), pg_get_viewdef(c.oid))`,
    ),
    when(`c.relkind = 'm'`, 'pg_get_viewdef(c.oid)'),
    when(`c.relpersistence = 'u'`, `'UNLOGGED'`),
    when('c.reloftype <> 0', `'OF ' || format_type(c.reloftype, NULL)`),
    `'USING ' || (SELECT amname FROM pg_am WHERE oid = c.relam)`,
    when(`c.relkind = 'p'`, `'PARTITION BY ' || pg_get_partkeydef(c.oid)`),
    `(SELECT string_agg(CASE WHEN c.relispartition THEN 'PARTITION OF ' ELSE 'INHERITS ' END || i.inhparent::regclass::text
        || CASE WHEN i.inhdetachpending THEN ' (detaching)' ELSE '' END, ', ' ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = c.oid)`,
    when('c.relispartition', 'pg_get_expr(c.relpartbound, c.oid)'),
    `'WITH ' || ${sorted('c.reloptions')}`,
    `'TOAST WITH ' || (SELECT ${sorted('t.reloptions')} FROM pg_class t WHERE t.oid = c.reltoastrelid)`,
    when('c.relrowsecurity', `'ROW LEVEL SECURITY'`),
    when('c.relforcerowsecurity', `'FORCE ROW LEVEL SECURITY'`),
    when(`c.relkind IN ('r', 'p') AND c.relreplident IN ('f', 'n')`, `'REPLICA IDENTITY ' || c.relreplident::text`),
    when(
      `c.relkind = 'f'`,
      `(SELECT format('SERVER %I OPTIONS (%s)', s.srvname, ${sortedForeign('f.ftoptions')})
        FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid)`,
    ),
  )} AS definition
  ${from} WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ${relation}`;

const sequences = `
  SELECT 'sequence' AS kind, ${named('c.relname')} AS name, ${lines(
    owned('c.relowner'),
    `format('AS %s START %s INCREMENT %s MINVALUE %s MAXVALUE %s CACHE %s%s', format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement,
       s.seqmin, s.seqmax, s.seqcache, CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END)`,
    when(`c.relpersistence = 'u'`, `'UNLOGGED'`),
    `(SELECT format('OWNED BY %s.%I', d.refobjid::regclass, a.attname) FROM pg_depend d
       JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
       WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') LIMIT 1)`,
  )} AS definition
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${relation}`;

/** In their order, which `read.ts` makes an object of. Of an index only what is set for a column: the rest is in its definition. */
const columns = `
  SELECT 'column' AS kind, format('%I.%I.%I', n.nspname, c.relname, a.attname) AS name, ${lines(
    'format_type(a.atttypid, a.atttypmod)',
    when('a.attcollation <> t.typcollation', `'COLLATE ' || a.attcollation::regcollation::text`),
    when('a.attnotnull', `'NOT NULL'`),
    when(
      'd.oid IS NOT NULL',
      `CASE WHEN a.attgenerated = '' THEN 'DEFAULT ' ELSE 'GENERATED ' || a.attgenerated::text || ' ' END || pg_get_expr(d.adbin, d.adrelid)`,
    ),
    when(`a.attidentity <> ''`, `'IDENTITY ' || a.attidentity::text`),
    when(`a.attstorage <> t.typstorage AND c.relkind NOT IN ('v', 'i', 'I')`, `'STORAGE ' || a.attstorage::text`),
    when(`a.attcompression <> ''`, `'COMPRESSION ' || a.attcompression::text`),
    when('a.attstattarget >= 0', `'STATISTICS ' || a.attstattarget`),
    when('NOT a.attislocal', `'inherited'`),
    `'WITH ' || ${sorted('a.attoptions')}`,
    `'OPTIONS ' || ${sorted('a.attfdwoptions')}`,
  )} AS definition
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attnum > 0 AND NOT a.attisdropped AND ${relation}
    AND (c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') OR c.relkind IN ('i', 'I') AND a.attstattarget >= 0)
  ORDER BY a.attrelid, a.attnum`;

/** From PostgreSQL 18 on NOT NULL is a constraint, too; it is in the column's definition. */
const constraints = `
  SELECT 'constraint' AS kind, format('%I.%I.%I', n.nspname, coalesce(c.relname, t.typname), k.conname) AS name, ${lines(
    'pg_get_constraintdef(k.oid)',
    when('NOT k.conislocal', `'inherited'`),
    when(`k.connoinherit AND k.contype = 'c'`, `'NO INHERIT'`),
  )} AS definition
  FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
  LEFT JOIN pg_class c ON c.oid = k.conrelid LEFT JOIN pg_type t ON t.oid = k.contypid
  WHERE k.contype NOT IN ('t', 'n') AND c.relpersistence IS DISTINCT FROM 't' AND ${ownSchemas}`;

/** What a constraint says of its index is not said again. */
const indexes = `
  SELECT 'index' AS kind, ${named('c.relname')} AS name, ${lines(
    when('k.oid IS NULL', 'pg_get_indexdef(i.indexrelid)'),
    when('k.oid IS NOT NULL', `'WITH ' || ${sorted('c.reloptions')}`),
    when('NOT i.indisvalid', `'invalid'`),
    when('NOT i.indisready', `'not ready'`),
    when('i.indisreplident', `'replica identity'`),
    when('i.indisclustered', `'CLUSTER ON'`),
  )} AS definition
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
  WHERE ${relation} AND (k.oid IS NULL OR c.reloptions IS NOT NULL OR NOT i.indisvalid OR NOT i.indisready OR i.indisreplident OR i.indisclustered)`;

/** Triggers of foreign keys have names by OID; only one that somebody switched off says anything. */
const triggers = `
  SELECT 'trigger' AS kind, format('%I on %I.%I', t.tgname, n.nspname, c.relname) AS name, ${lines(
    'pg_get_triggerdef(t.oid)',
    when(`t.tgenabled <> 'O'`, `'enabled: ' || t.tgenabled::text`),
  )} AS definition
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND ${relation}
  UNION ALL SELECT 'trigger', format('of constraint %I on %I.%I', k.conname, n.nspname, c.relname), string_agg('enabled: ' || t.tgenabled::text, ', ' ORDER BY t.tgtype, t.tgenabled)
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_constraint k ON k.oid = t.tgconstraint
  WHERE t.tgisinternal AND t.tgenabled <> 'O' AND ${relation} GROUP BY k.conname, n.nspname, c.relname`;

const rules = `
  SELECT 'rule' AS kind, format('%I on %I.%I', r.rulename, n.nspname, c.relname) AS name, ${lines(
    'pg_get_ruledef(r.oid)',
    when(`r.ev_enabled <> 'O'`, `'enabled: ' || r.ev_enabled::text`),
  )} AS definition
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE r.rulename <> '_RETURN' AND ${relation}`;

const policies = `
  SELECT 'policy' AS kind, format('%I on %I.%I', p.polname, n.nspname, c.relname) AS name,
    format('%s FOR %s TO %s USING %s WITH CHECK %s', CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, p.polcmd,
      (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END, ', ' ORDER BY pg_get_userbyid(r)) FROM unnest(p.polroles) AS x (r)),
      coalesce(pg_get_expr(p.polqual, p.polrelid), '-'), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '-')) AS definition
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${relation}`;

const statistics = `
  SELECT 'statistics' AS kind, ${named('s.stxname')} AS name, ${lines(
    owned('s.stxowner'),
    'pg_get_statisticsobjdef(s.oid)',
    when('s.stxstattarget >= 0', `'STATISTICS ' || s.stxstattarget`),
  )} AS definition
  FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE ${ownSchemas}`;

export const relationQueries = [
  tables,
  sequences,
  columns,
  constraints,
  indexes,
  triggers,
  rules,
  policies,
  statistics,
];
