import type pg from 'pg';
import { writerRole } from '../../../infra/application/roles.ts';
import { row } from '../connect.ts';

/**
 * Whether a catalog was changed at all, in milliseconds: what was changed is for `readObjects`. A row that is new or changed has a new
 * `xmin`, and of a dropped one the number of rows tells. What VACUUM and ANALYZE write changes neither: they update in place, and
 * freezing keeps `xmin`.
 */
export interface CatalogMark {
  /** No transaction before this one can change the catalog any more. */
  xid: string;
  /** What the catalog looked like from there on. */
  state: string;
}

/** Not seen: temporary relations, which are a session's own, and TOAST, which a rewrite of a table makes anew. */
const lasting = `NOT IN (SELECT oid FROM temporary)`;
const passingSchemas = `(SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_(toast_)?temp_')`;

/** Catalogs, with the condition for the rows of each that count. */
const catalogs: Record<string, string> = {
  ...Object.fromEntries(
    [
      ...['pg_aggregate', 'pg_am', 'pg_amop', 'pg_amproc', 'pg_cast', 'pg_collation', 'pg_conversion'],
      ...['pg_database', 'pg_db_role_setting', 'pg_default_acl', 'pg_description', 'pg_enum', 'pg_event_trigger'],
      ...['pg_extension', 'pg_foreign_data_wrapper', 'pg_foreign_server', 'pg_foreign_table', 'pg_init_privs'],
      ...[
        'pg_language',
        'pg_opclass',
        'pg_operator',
        'pg_opfamily',
        'pg_partitioned_table',
        'pg_policy',
        'pg_publication',
      ],
      ...[
        'pg_publication_namespace',
        'pg_publication_rel',
        'pg_range',
        'pg_seclabel',
        'pg_shdescription',
        'pg_transform',
      ],
      ...['pg_ts_config', 'pg_ts_config_map', 'pg_ts_dict', 'pg_ts_parser', 'pg_ts_template'],
    ].map((name) => [name, 'true']),
  ),
  // The fence itself takes this right away.
  pg_auth_members: `roleid <> '${writerRole}'::regrole`,
  pg_depend: `deptype = 'e'`,
  pg_attrdef: `adrelid ${lasting}`,
  pg_inherits: `inhrelid ${lasting}`,
  pg_rewrite: `ev_class ${lasting}`,
  pg_sequence: `seqrelid ${lasting}`,
  pg_statistic_ext: `stxrelid ${lasting}`,
  pg_trigger: `tgrelid ${lasting}`,
  pg_constraint: `connamespace NOT IN ${passingSchemas}`,
  pg_namespace: `oid NOT IN ${passingSchemas}`,
  pg_proc: `pronamespace NOT IN ${passingSchemas}`,
  pg_type: `typnamespace NOT IN ${passingSchemas}`,
};

const isRecent = 'age(xmin) <= (SELECT since FROM marked) AND age(xmin) >= 0';
const rowVersions = `string_agg(format('%s %s', ctid, xmin), ',' ORDER BY ctid)`;

/** Of relations the content: TRUNCATE, REINDEX and a refresh write a new row with another file in it. */
const relations = `
  SELECT 'pg_class', format('%s %s', count(*), sum(hash_record_extended(ROW (oid, relname, relnamespace, reloftype, relowner, relam, relkind,
    relpersistence, relrowsecurity, relforcerowsecurity, relreplident, relispartition, relacl, reloptions), 0)))
  FROM pg_class WHERE relpersistence <> 't' AND relnamespace <> 'pg_toast'::regnamespace`;

/** Only a superuser may read the catalogs of roles and user mappings, so these views are hashed. */
const hashed = (view: string): string =>
  `SELECT '${view}', md5(string_agg(v::text, ',' ORDER BY v::text)) FROM ${view} v`;

/** Of these the number of rows says nothing more than that of relations. So only recent rows are looked up in `pg_class`. */
const ofRelations = (catalog: string, relation: string): string => `
  SELECT '${catalog}', ${rowVersions} FROM ${catalog} WHERE ${isRecent}
    AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = ${relation} AND (c.relpersistence = 't' OR c.relnamespace = 'pg_toast'::regnamespace))`;

const stateSql = `
  WITH marked AS MATERIALIZED (SELECT age($1::xid) AS since),
    temporary AS MATERIALIZED (SELECT oid FROM pg_class WHERE relpersistence = 't')
  SELECT string_agg(format('%s: %s', x.catalog, x.state), E'\\n' ORDER BY x.catalog) AS state FROM (
    ${Object.entries(catalogs)
      .map(
        ([name, which]) =>
          `SELECT '${name}' AS catalog, format('%s %s', count(*), ${rowVersions} FILTER (WHERE ${isRecent})) AS state FROM ${name} WHERE ${which}`,
      )
      .join('\n    UNION ALL ')}
    UNION ALL ${ofRelations('pg_attribute', 'attrelid')}
    UNION ALL ${ofRelations('pg_index', 'indexrelid')}
    UNION ALL ${hashed('pg_roles')}
    UNION ALL ${hashed('pg_user_mappings')}
    UNION ALL ${relations}) x (catalog, state)`;

/** Notes how the catalog stands now. */
export async function markCatalog(client: pg.Client): Promise<CatalogMark> {
  const { xid } = await row<{ xid: string }>(
    client,
    'SELECT (pg_snapshot_xmin(pg_current_snapshot())::xid)::text AS xid',
  );
  return { xid, state: await stateSince(client, xid) };
}

/** Whether anything was changed since. True also for what was changed and changed back. */
export const changedSince = async (client: pg.Client, mark: CatalogMark): Promise<boolean> =>
  (await stateSince(client, mark.xid)) !== mark.state;

// With a name it is parsed and planned once in a session: that takes longer than reading.
const stateSince = async (client: pg.Client, xid: string): Promise<string> =>
  (await client.query<{ state: string }>({ name: 'greenlight catalog', text: stateSql, values: [xid] })).rows[0]
    ?.state as string;
