import { discreet, lines, made, owned, sorted, sortedForeign, when } from './sql.ts';

/** The database itself, its settings, extensions, replication, foreign data, and what was said of its objects. */

/** The name of the database is left out. So is the version of its collation, which is that of the machine. */
const database = `
  SELECT 'database' AS kind, 'this database' AS name, ${lines(
    owned('d.datdba'),
    `format('%s %s %s %s', pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, d.datlocprovider)`,
    `coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')`,
    when('d.datconnlimit <> -1', `'CONNECTION LIMIT ' || d.datconnlimit`),
  )} AS definition FROM pg_database d WHERE d.datname = current_database()`;

const settings = `
  SELECT 'setting' AS kind, format('%s of %s', split_part(o, '=', 1), CASE WHEN s.setrole = 0 THEN 'this database'
      ELSE format('role %I', pg_get_userbyid(s.setrole)) || CASE WHEN s.setdatabase = 0 THEN '' ELSE ' in this database' END END) AS name,
    ${discreet('o')} AS definition
  FROM pg_db_role_setting s, unnest(s.setconfig) AS x (o)
  WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))`;

const extensions = `
  SELECT 'extension' AS kind, format('%I', e.extname) AS name, ${lines(
    owned('e.extowner'),
    `format('VERSION %s SCHEMA %I', e.extversion, e.extnamespace::regnamespace)`,
    `(SELECT string_agg(format('%s %s', x.t::regclass, x.w), ', ' ORDER BY x.t::regclass::text) FROM unnest(e.extconfig, e.extcondition) AS x (t, w))`,
  )} AS definition FROM pg_extension e WHERE ${made('e.oid')}`;

/** Without the columns that PostgreSQL 15 added for lists and filters a publication has all of them. */
const replication = `
  SELECT 'publication' AS kind, format('%I', p.pubname) AS name, ${lines(
    owned('p.pubowner'),
    `format('%s insert %s update %s delete %s truncate %s via root %s', CASE WHEN p.puballtables THEN 'ALL TABLES' ELSE '' END, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot)`,
    `(SELECT string_agg(format('%s (%s) %s', r.prrelid::regclass,
        (SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs)),
        pg_get_expr(r.prqual, r.prrelid)), E'\\n' ORDER BY r.prrelid::regclass::text) FROM pg_publication_rel r WHERE r.prpubid = p.oid)`,
    `(SELECT string_agg(format('TABLES IN SCHEMA %s', s.pnnspid::regnamespace), ', ' ORDER BY s.pnnspid::regnamespace::text) FROM pg_publication_namespace s WHERE s.pnpubid = p.oid)`,
  )} AS definition FROM pg_publication p
  UNION ALL SELECT 'subscription', format('%I', s.subname), ${lines(owned('s.subowner'), `format('%s enabled %s slot %s', ${sorted('s.subpublications')}, s.subenabled, s.subslotname)`)}
  FROM pg_subscription s WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  UNION ALL SELECT 'replication slot', format('%I', s.slot_name), format('%s two phase %s', s.plugin, s.two_phase)
  FROM pg_replication_slots s WHERE s.database = current_database() AND NOT s.temporary`;

/** Options of a user mapping are a password more often than not: only their names. */
const foreign = `
  SELECT 'foreign data wrapper' AS kind, format('%I', w.fdwname) AS name, ${lines(owned('w.fdwowner'), `format('%s %s', w.fdwhandler::regproc, w.fdwvalidator::regproc)`, sortedForeign('w.fdwoptions'))} AS definition
  FROM pg_foreign_data_wrapper w WHERE ${made('w.oid')}
  UNION ALL SELECT 'foreign server', format('%I', s.srvname), ${lines(
    owned('s.srvowner'),
    `(SELECT format('%I %s %s', w.fdwname, s.srvtype, s.srvversion) FROM pg_foreign_data_wrapper w WHERE w.oid = s.srvfdw)`,
    sortedForeign('s.srvoptions'),
  )} FROM pg_foreign_server s
  UNION ALL SELECT 'user mapping', format('for %s on %I', CASE m.umuser WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(m.umuser) END, s.srvname),
    coalesce((SELECT string_agg(split_part(o, '=', 1), ', ' ORDER BY o) FROM unnest(m.umoptions) AS x (o)), '')
  FROM pg_user_mappings m JOIN pg_foreign_server s ON s.oid = m.srvid`;

/** \`said\`: a table of what was said, by object. Only of objects that users made; of the schema public PostgreSQL says something itself. */
const about = (kind: string, said: string, text: string): string => `
  SELECT '${kind}' AS kind, format('on %s %s', i.type, i.identity) AS name, ${text} AS definition
  FROM ${said} d, LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i
  WHERE ${made('d.objoid')} AND i.schema IS DISTINCT FROM 'greenlight' AND i.identity IS DISTINCT FROM 'greenlight'`;

const roleComments = `
  SELECT 'comment' AS kind, format('on role %I', r.rolname) AS name, d.description AS definition
  FROM pg_shdescription d JOIN pg_roles r ON r.oid = d.objoid WHERE d.classoid = 'pg_authid'::regclass`;

export const databaseQueries = [
  database,
  settings,
  extensions,
  replication,
  foreign,
  about('comment', 'pg_description', 'd.description'),
  about('security label', 'pg_seclabel', `format('%s %s', d.provider, d.label)`),
  roleComments,
];
