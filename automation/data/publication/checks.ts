import pg from 'pg';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { openWriters, preparedLimit } from '../blockers.ts';
import { notOfExtension, ownSchemas } from '../catalog.ts';
import { rows } from '../connect.ts';
import { isOurs } from '../link.ts';
import type { Finding, Found } from './publishable.ts';
import { hiddenRows } from './rights.ts';

/** Preconditions of a database as a whole. Those of its tables are in `publishable.ts`. */

export interface PreconditionSettings {
  /** Age of an open transaction, s, above which it is reported: it delays the start of the replication and the cutover. */
  openTransactionSeconds: number;
  /** Whether the inactive side becomes a physical copy of the live one; else its rows are copied. */
  physical: boolean;
  /** The role as which rows are copied. */
  reader: string;
}

export type Check = (client: pg.Client, settings: PreconditionSettings) => Promise<Found[]>;

/** A check with one finding per row of a query. The cure names `id`, or else the name. */
const listed =
  (
    severity: Finding['severity'],
    sql: string,
    found: (name: string) => string,
    cure: (id: string) => string,
    values: (settings: PreconditionSettings) => unknown[] = () => [],
  ): Check =>
  async (client, settings) =>
    (await rows<{ name: string; id?: string }>(client, sql, values(settings))).map(({ name, id }) => ({
      severity,
      found: found(name),
      cure: cure(id ?? name),
    }));

const ofKind = (kind: string): string =>
  `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind = '${kind}' AND ${ownSchemas} AND ${notOfExtension} ORDER BY 1`;

export const foreignTables = listed(
  'error',
  ofKind('f'),
  (name) => `foreign table ${name}: its rows are elsewhere, and both colours would write to the same`,
  (name) => `DROP FOREIGN TABLE ${name}, or move its rows into a table`,
);
export const materialisedViews = listed(
  'warning',
  ofKind('m'),
  (name) => `materialised view ${name} is not replicated: the inactive side has it as of the copy`,
  (name) => `refresh it after the cutover if it must be newer than the copy: REFRESH MATERIALIZED VIEW ${name}`,
);
/** A physical copy has those that are there by then. */
export const largeObjects: Check = async (client, { physical }) =>
  (
    await rows<{ count: string }>(
      client,
      'SELECT count(*)::text AS count FROM pg_largeobject_metadata HAVING count(*) > 0',
    )
  ).map(({ count }) =>
    physical
      ? {
          severity: 'warning',
          found: `${count} large objects: those written or changed from now on are not replicated`,
          cure: 'see that the application writes none during the release, or keep their content in a bytea column',
        }
      : {
          severity: 'error',
          found: `${count} large objects: they are not replicated`,
          cure: 'keep their content in a bytea column or outside the database, and remove them with lo_unlink',
        },
  );
export const openWrites: Check = async (client, { openTransactionSeconds }) =>
  (await openWriters(client, openTransactionSeconds)).map(({ text, cure, pid }) => ({
    severity: 'error',
    found:
      pid === undefined
        ? `${text}: it has stayed for more than ${preparedLimit(openTransactionSeconds)} s; no consistent copy can begin, and the cutover waits for it`
        : `long transaction that writes (${text}): it holds up the start of the replication, and the cutover`,
    cure,
  }));
export const openReads = listed(
  'warning',
  `SELECT format('%s of %s, process %s, open for %s s', state, usename, pid, extract(epoch FROM now() - xact_start)::int) AS name, pid::text AS id
   FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND datname = current_database()
     AND backend_xid IS NULL AND xact_start < now() - make_interval(secs => $1) ORDER BY xact_start`,
  (session) => `long transaction (${session}): it keeps old rows, and holds up migrations of the tables that it reads`,
  (pid) => `wait for it, or end it: SELECT pg_terminate_backend(${pid})`,
  ({ openTransactionSeconds }) => [openTransactionSeconds],
);
const subscriptions = (found: (name: string) => string): Check =>
  listed(
    'error',
    `SELECT subname AS name FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = current_database() AND subname NOT LIKE 'greenlight\\_to\\_%' ORDER BY 1`,
    found,
    (name) => `DROP SUBSCRIPTION ${sqlIdentifier(name)}`,
  );
export const writtenFromElsewhere = subscriptions((name) => `subscription ${name} writes to it as well`);
export const fedFromElsewhere = subscriptions(
  (name) =>
    `subscription ${name} brings changes from elsewhere: after the cutover they would still arrive at the old side`,
);

/** Triggers that also fire for replicated rows. Their effects on other tables are replicated already, and would be repeated. */
export const actingTriggers: Check = listed(
  'warning',
  `SELECT format('%s on %s', t.tgname, t.tgrelid::regclass) AS name FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
   JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE NOT t.tgisinternal AND t.tgenabled IN ('A', 'R') AND ${ownSchemas} ORDER BY 1`,
  (name) => `trigger ${name} is ENABLE ALWAYS or REPLICA: it fires for replicated rows as well`,
  () => 'see that it changes only the row itself; anything else would be done twice',
);

/** The cutover sets all of them, and must not fail while users wait. */
export const foreignSequences = listed(
  'error',
  `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND ${ownSchemas} AND ${notOfExtension} AND CASE c.relkind WHEN 'S' THEN NOT has_sequence_privilege(c.oid, 'UPDATE') END ORDER BY 1`,
  (name) => `sequence ${name} belongs to somebody who does not let it be carried over`,
  (name) => `ALTER SEQUENCE ${name} OWNER TO owner`,
);

/** The copy of a table's rows is a query of the role that logs in for the replication, and a policy may hide rows from it. */
export const rowsThatAreCopied: Check = async (client, { physical, reader }) =>
  physical
    ? []
    : (await hiddenRows(client, reader)).map((name) => ({
        severity: 'error',
        found: `table ${name} has row level security, which hides rows from ${reader}, as whom they are copied`,
        cure: `ALTER ROLE ${sqlIdentifier(reader)} BYPASSRLS; or ALTER TABLE ${name} NO FORCE ROW LEVEL SECURITY`,
      }));

/** A superuser switches that off for the statement that has the password (`createSubscription`). */
export const passwordInLog: Check = listed(
  'warning',
  `SELECT name FROM pg_settings WHERE (name = 'log_statement' AND setting IN ('ddl', 'all') OR name = 'log_min_duration_statement' AND setting <> '-1')
     AND NOT has_parameter_privilege(name, 'SET') ORDER BY 1`,
  (name) => `${name} writes the statement that subscribes, which has a password, to the server's log`,
  (name) => `GRANT SET ON PARAMETER ${name} TO CURRENT_USER, or set it otherwise during the release`,
);

/** A physical copy has the triggers of the live side. */
export const copiedTriggers: Check = async (client, settings) =>
  settings.physical ? actingTriggers(client, settings) : [];

export const strangeSlots: Check = async (client) =>
  (
    await rows<{ name: string; status: string | null }>(
      client,
      `SELECT slot_name AS name, wal_status AS status FROM pg_replication_slots WHERE NOT active`,
    )
  )
    .filter((slot) => !isOurs(slot.name))
    .map((slot) => ({
      severity: 'warning' as const,
      found: `replication slot ${slot.name} is not used by anybody and keeps the write-ahead log (${slot.status ?? 'unknown'})`,
      cure: `SELECT pg_drop_replication_slot(${pg.escapeLiteral(slot.name)}) if nobody needs it`,
    }));

/** What belongs to the place of a database and not to its data. */
export const strangeConsumers = listed(
  'warning',
  `SELECT slot_name AS name FROM pg_replication_slots
   WHERE active AND NOT temporary AND database = current_database() AND slot_name NOT LIKE 'greenlight\\_%' ORDER BY 1`,
  (name) => `replication slot ${name} stays on the colour that is left: it does not go along with the writes`,
  () => 'create it again on the new colour after the cutover; publications go along by themselves',
);
