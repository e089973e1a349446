import { ownSchemas } from '../catalog.ts';
import { lines, made, named, owned, sorted, when } from './sql.ts';

/** Schemas, types, and what computes with them. */

const schemas = `SELECT 'schema' AS kind, format('%I', n.nspname) AS name, ${owned('n.nspowner')} AS definition FROM pg_namespace n WHERE ${ownSchemas}`;

/** Row types of tables and array types follow from others. The attributes of a composite type are its columns. */
const types = `
  SELECT CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END AS kind, ${named('t.typname')} AS name, ${lines(
    owned('t.typowner'),
    when(
      `t.typtype = 'e'`,
      `'ENUM ' || coalesce((SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid), '')`,
    ),
    when(
      `t.typtype = 'd'`,
      `concat_ws(' ', format_type(t.typbasetype, t.typtypmod), CASE WHEN t.typnotnull THEN 'NOT NULL' END, 'DEFAULT ' || t.typdefault,
        CASE WHEN t.typcollation <> (SELECT b.typcollation FROM pg_type b WHERE b.oid = t.typbasetype) THEN 'COLLATE ' || t.typcollation::regcollation::text END)`,
    ),
    when(`t.typtype = 'c'`, `'COMPOSITE'`),
    `(SELECT format('RANGE %s %s %s %s %s', format_type(r.rngsubtype, NULL), r.rngcollation::regcollation, (SELECT format('%I.%I', o.opcnamespace::regnamespace, o.opcname) FROM pg_opclass o WHERE o.oid = r.rngsubopc),
        r.rngcanonical, r.rngsubdiff) FROM pg_range r WHERE r.rngtypid = t.oid)`,
    when(
      `t.typtype = 'b'`,
      `format('BASE %s %s %s %s %s %s %s %s %s %s %s', t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout, t.typlen, t.typbyval, t.typalign, t.typstorage, t.typdefault)`,
    ),
  )} AS definition
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
  WHERE t.typtype IN ('e', 'd', 'r', 'b', 'c') AND (t.typtype <> 'c' OR c.relkind = 'c')
    AND NOT EXISTS (SELECT FROM pg_type a WHERE a.typarray = t.oid) AND ${ownSchemas}`;

const signature = `format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes))`;

const routines = `
  SELECT CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END AS kind, ${signature} AS name,
    ${lines(owned('p.proowner'), 'pg_get_functiondef(p.oid)')} AS definition
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.prokind <> 'a' AND ${ownSchemas}
  UNION ALL SELECT 'aggregate', ${signature}, ${lines(
    owned('p.proowner'),
    `format('(%s) %s %s %s %s %s %s %s %s %s %s', pg_get_function_arguments(p.oid), a.aggkind, a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn,
       a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn, p.proparallel)`,
    `format('%s %s %s %s %s %s %s %s %s %s', a.aggfinalextra, a.aggmfinalextra, a.aggfinalmodify, a.aggmfinalmodify, nullif(a.aggsortop, 0)::regoperator,
       format_type(a.aggtranstype, NULL), a.aggtransspace, nullif(a.aggmtranstype, 0)::regtype, a.agginitval, a.aggminitval)`,
  )}
  FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid JOIN pg_namespace n ON n.oid = p.pronamespace WHERE ${ownSchemas}`;

const operators = `
  SELECT 'operator' AS kind, format('%I.%s(%s, %s)', n.nspname, o.oprname, nullif(o.oprleft, 0)::regtype, o.oprright::regtype) AS name, ${lines(
    owned('o.oprowner'),
    `format('%s %s %s %s %s %s %s', o.oprcode, nullif(o.oprcom, 0)::regoperator, nullif(o.oprnegate, 0)::regoperator, o.oprrest, o.oprjoin, o.oprcanmerge, o.oprcanhash)`,
  )} AS definition
  FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE ${ownSchemas}
  UNION ALL SELECT 'operator class', format('%I.%I USING %s', n.nspname, o.opcname, m.amname), ${lines(
    owned('o.opcowner'),
    `format('%s %s %s %s', o.opcintype::regtype, o.opcdefault, nullif(o.opckeytype, 0)::regtype,
       (SELECT format('%I.%I', f.opfnamespace::regnamespace, f.opfname) FROM pg_opfamily f WHERE f.oid = o.opcfamily))`,
  )}
  FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod JOIN pg_namespace n ON n.oid = o.opcnamespace WHERE ${ownSchemas}
  UNION ALL SELECT 'operator family', format('%I.%I USING %s', n.nspname, f.opfname, m.amname), ${lines(
    owned('f.opfowner'),
    `(SELECT string_agg(format('%s %s %s', a.amopstrategy, a.amopopr::regoperator, a.amoppurpose), ', ' ORDER BY a.amopstrategy, a.amopopr::regoperator::text) FROM pg_amop a WHERE a.amopfamily = f.oid)`,
    `(SELECT string_agg(format('%s %s %s %s', a.amprocnum, a.amproclefttype::regtype, a.amprocrighttype::regtype, a.amproc), ', '
        ORDER BY a.amprocnum, a.amproclefttype::regtype::text, a.amprocrighttype::regtype::text) FROM pg_amproc a WHERE a.amprocfamily = f.oid)`,
  )}
  FROM pg_opfamily f JOIN pg_am m ON m.oid = f.opfmethod JOIN pg_namespace n ON n.oid = f.opfnamespace WHERE ${ownSchemas}`;

const conversions = `
  SELECT 'cast' AS kind, format('%s AS %s', c.castsource::regtype, c.casttarget::regtype) AS name,
    format('%s %s %s', nullif(c.castfunc, 0)::regprocedure, c.castcontext, c.castmethod) AS definition FROM pg_cast c WHERE ${made('c.oid')}
  UNION ALL SELECT 'transform', format('%s for %s', t.trftype::regtype, l.lanname), format('%s %s', t.trffromsql, t.trftosql)
  FROM pg_transform t JOIN pg_language l ON l.oid = t.trflang WHERE ${made('t.oid')}
  UNION ALL SELECT 'conversion', ${named('c.conname')}, ${lines(owned('c.conowner'), `format('%s %s %s %s', c.conforencoding, c.contoencoding, c.conproc, c.condefault)`)}
  FROM pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace WHERE ${ownSchemas}
  UNION ALL SELECT 'collation', ${named('c.collname')}, ${lines(
    owned('c.collowner'),
    `format('%s %s %s %s %s %s', c.collprovider, c.collisdeterministic, c.collencoding, c.collcollate, c.collctype, coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale'))`,
  )}
  FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE ${ownSchemas}
  UNION ALL SELECT 'language', format('%I', l.lanname), ${lines(owned('l.lanowner'), `format('%s %s %s %s', l.lanpltrusted, l.lanplcallfoid::regproc, l.laninline::regproc, l.lanvalidator::regproc)`)}
  FROM pg_language l WHERE ${made('l.oid')}
  UNION ALL SELECT 'access method', format('%I', m.amname), format('%s %s', m.amtype, m.amhandler) FROM pg_am m WHERE ${made('m.oid')}`;

const textSearch = `
  SELECT 'text search configuration' AS kind, ${named('c.cfgname')} AS name, ${lines(
    owned('c.cfgowner'),
    `(SELECT format('PARSER %I.%I', p.prsnamespace::regnamespace, p.prsname) FROM pg_ts_parser p WHERE p.oid = c.cfgparser)`,
    `(SELECT string_agg(format('%s: %s', m.maptokentype, m.mapdict::regdictionary), ', ' ORDER BY m.maptokentype, m.mapseqno) FROM pg_ts_config_map m WHERE m.mapcfg = c.oid)`,
  )} AS definition
  FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace WHERE ${ownSchemas}
  UNION ALL SELECT 'text search dictionary', ${named('d.dictname')}, ${lines(
    owned('d.dictowner'),
    `(SELECT format('TEMPLATE %I.%I', t.tmplnamespace::regnamespace, t.tmplname) FROM pg_ts_template t WHERE t.oid = d.dicttemplate)`,
    'd.dictinitoption',
  )}
  FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace WHERE ${ownSchemas}
  UNION ALL SELECT 'text search parser', ${named('p.prsname')}, format('%s %s %s %s %s', p.prsstart, p.prstoken, p.prsend, p.prsheadline, p.prslextype)
  FROM pg_ts_parser p JOIN pg_namespace n ON n.oid = p.prsnamespace WHERE ${ownSchemas}
  UNION ALL SELECT 'text search template', ${named('t.tmplname')}, format('%s %s', t.tmplinit, t.tmpllexize)
  FROM pg_ts_template t JOIN pg_namespace n ON n.oid = t.tmplnamespace WHERE ${ownSchemas}`;

const eventTriggers = `
  SELECT 'event trigger' AS kind, format('%I', e.evtname) AS name, ${lines(
    owned('e.evtowner'),
    `format('ON %s %s EXECUTE %s', e.evtevent, ${sorted('e.evttags')}, e.evtfoid::regprocedure)`,
    `'enabled: ' || e.evtenabled::text`,
  )} AS definition FROM pg_event_trigger e`;

export const routineQueries = [schemas, types, routines, operators, conversions, textSearch, eventTriggers];
