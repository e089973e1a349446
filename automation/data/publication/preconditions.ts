import pg from 'pg';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { notOfExtension, ownSchemas } from '../catalog.ts';
import { close, connect, row, rows } from '../connect.ts';
import { isOurs } from '../link.ts';
import { unqualifiedExpressions } from './expressions.ts';
import { otherVersion } from './upgrade.ts';
import { tablesCanBePublished, type Finding } from './publishable.ts';
import { strayRights } from './rights.ts';

export type { Finding } from './publishable.ts';

export interface PreconditionSettings {
  /** Age of an open transaction, s, above which it is reported: it delays the start of the replication and the cutover. */
  openTransactionSeconds: number;
  /** Whether the inactive side becomes a physical copy of the live one; else its rows are copied. */
  physical: boolean;
}

const defaults: PreconditionSettings = { openTransactionSeconds: 10, physical: false };

type Check = (client: pg.Client, settings: PreconditionSettings) => Promise<Omit<Finding, 'side'>[]>;

/**
 * Checks the live database, and the inactive one if it is given. Lists all findings at once; warnings do not prevent a
 * replication. Changes nothing: tables are published only in a transaction that is rolled back.
 */
export async function preconditions(
  live: DatabaseAccess,
  inactive?: DatabaseAccess,
  options: Partial<PreconditionSettings> = {},
): Promise<Finding[]> {
  const settings = { ...defaults, ...options };
  const source = await connect(live, 'admin');
  const target =
    inactive === undefined
      ? undefined
      : await connect(inactive, 'admin').catch(async (error: unknown) => {
          await close(source);
          throw error;
        });
  try {
    const found: Finding[] = [];
    for (const check of liveChecks)
      found.push(...(await check(source, settings)).map((f) => ({ side: 'live' as const, ...f })));
    if (target === undefined) return found;
    for (const check of inactiveChecks)
      found.push(...(await check(target, settings)).map((f) => ({ side: 'inactive' as const, ...f })));
    if (settings.physical) return found;
    found.push(...(await otherVersion(source, target)).map((f) => ({ side: 'inactive' as const, ...f })));
    return found;
  } finally {
    await Promise.all([close(source), close(target)]);
  }
}

/** Throws an OperationError that lists every unmet precondition with its cure. Resolves to the warnings. */
export async function requirePreconditions(
  live: DatabaseAccess,
  inactive?: DatabaseAccess,
  options?: Partial<PreconditionSettings>,
): Promise<Finding[]> {
  const found = await preconditions(live, inactive, options);
  const errors = found.filter(isError);
  if (errors.length === 0) return found;
  throw new OperationError(
    'checking that the live database can be replicated',
    errors.length === 1 ? 'one precondition is not met' : `${errors.length} preconditions are not met`,
    errors.map((e) => `- ${e.side}: ${withCure(e)}`).join('\n  '),
  );
}

/** A transaction that has been open for so long will hardly end before the release comes to the database, s. */
const stuckSeconds = 600;

/**
 * Every unmet precondition of the live database alone, long before it is published, each with its cure on a second line.
 * Empty if all are met. A transaction counts only if it looks stuck.
 */
export const unmetPreconditions = async (live: DatabaseAccess, physical: boolean): Promise<string[]> =>
  (await preconditions(live, undefined, { openTransactionSeconds: stuckSeconds, physical }))
    .filter(isError)
    .map(withCure);

const isError = ({ severity }: Finding): boolean => severity === 'error';
const withCure = ({ found, cure }: Finding): string => `${found};\n    cure: ${cure}`;

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

const foreignTables = listed(
  'error',
  ofKind('f'),
  (name) => `foreign table ${name}: its rows are elsewhere, and both colours would write to the same`,
  (name) => `DROP FOREIGN TABLE ${name}, or move its rows into a table`,
);
const materialisedViews = listed(
  'warning',
  ofKind('m'),
  (name) => `materialised view ${name} is not replicated: the inactive side has it as of the copy`,
  (name) => `refresh it after the cutover if it must be newer than the copy: REFRESH MATERIALIZED VIEW ${name}`,
);
/** A physical copy has those that are there by then. */
const largeObjects: Check = async (client, { physical }) =>
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
const prepared = listed(
  'error',
  `SELECT gid AS name FROM pg_prepared_xacts WHERE database = current_database() ORDER BY 1`,
  (gid) => `prepared transaction ${gid} is open: no consistent copy can begin`,
  (gid) => `COMMIT PREPARED or ROLLBACK PREPARED ${pg.escapeLiteral(gid)}`,
);
const longTransactions = (writing: boolean): string =>
  `SELECT format('%s of %s, process %s, open for %s s', state, usename, pid, extract(epoch FROM now() - xact_start)::int) AS name, pid::text AS id
   FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND datname = current_database()
     AND backend_xid IS ${writing ? 'NOT NULL' : 'NULL'} AND xact_start < now() - make_interval(secs => $1) ORDER BY xact_start`;
const endSession = (pid: string): string => `wait for it, or end it: SELECT pg_terminate_backend(${pid})`;
const openFor = ({ openTransactionSeconds }: PreconditionSettings): number[] => [openTransactionSeconds];

const openWrites = listed(
  'error',
  longTransactions(true),
  (session) => `long transaction (${session}) that writes: it holds up the start of the replication, and the cutover`,
  endSession,
  openFor,
);
const openReads = listed(
  'warning',
  longTransactions(false),
  (session) => `long transaction (${session}): it keeps old rows, and holds up migrations of the tables that it reads`,
  endSession,
  openFor,
);
const subscriptions = (found: (name: string) => string): Check =>
  listed(
    'error',
    `SELECT subname AS name FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = current_database() AND subname NOT LIKE 'greenlight\\_to\\_%' ORDER BY 1`,
    found,
    (name) => `DROP SUBSCRIPTION ${sqlIdentifier(name)}`,
  );
const writtenFromElsewhere = subscriptions((name) => `subscription ${name} writes to it as well`);
const fedFromElsewhere = subscriptions(
  (name) =>
    `subscription ${name} brings changes from elsewhere: after the cutover they would still arrive at the old side`,
);

/** Triggers that also fire for replicated rows. Their effects on other tables are replicated already, and would be repeated. */
const actingTriggers: Check = listed(
  'warning',
  `SELECT format('%s on %s', t.tgname, t.tgrelid::regclass) AS name FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
   JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE NOT t.tgisinternal AND t.tgenabled IN ('A', 'R') AND ${ownSchemas} ORDER BY 1`,
  (name) => `trigger ${name} is ENABLE ALWAYS or REPLICA: it fires for replicated rows as well`,
  () => 'see that it changes only the row itself; anything else would be done twice',
);

/** A physical copy has the triggers of the live side. */
const copiedTriggers: Check = async (client, settings) => (settings.physical ? actingTriggers(client, settings) : []);

/** What two directions and their initial copies need. PostgreSQL copies two tables at a time, with a worker for each. */
const needed = { slots: 3, senders: 3, workers: 4 };

const capacity: Check = async (client) => {
  const found: Omit<Finding, 'side'>[] = [];
  const s = await row<{ level: string; slots: number; senders: number; workers: number }>(
    client,
    `SELECT current_setting('wal_level') AS level,
       current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots)::int AS slots,
       current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_replication)::int AS senders,
       current_setting('max_logical_replication_workers')::int AS workers`,
  );
  const error = (what: string, cure: string) => found.push({ severity: 'error', found: what, cure });
  const few = (name: string, have: number, want: number) => {
    if (have < want) error(`${have} left of ${name}, ${want} are needed`, `raise ${name} and restart, or free some`);
  };
  if (s.level !== 'logical') error(`wal_level is ${s.level}`, "set wal_level = 'logical' and restart the database");
  few('max_replication_slots', s.slots, needed.slots);
  few('max_wal_senders', s.senders, needed.senders);
  few('max_logical_replication_workers', s.workers, needed.workers);
  return found;
};

const strangeSlots: Check = async (client) =>
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
const strangeConsumers = listed(
  'warning',
  `SELECT format('replication slot %s', slot_name) AS name FROM pg_replication_slots
     WHERE active AND NOT temporary AND database = current_database() AND slot_name NOT LIKE 'greenlight\\_%'
   UNION ALL SELECT format('subscription %s', subname) FROM pg_subscription
     WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND subname NOT LIKE 'greenlight\\_%' ORDER BY 1`,
  (name) => `${name} stays on the colour that is left: it does not go along with the writes`,
  () => 'create it again on the new colour after the cutover; publications go along by themselves',
);

const liveChecks = [
  capacity,
  tablesCanBePublished,
  foreignTables,
  largeObjects,
  prepared,
  openWrites,
  openReads,
  strayRights,
  materialisedViews,
  strangeSlots,
  strangeConsumers,
  fedFromElsewhere,
  unqualifiedExpressions,
  copiedTriggers,
];
const inactiveChecks = [capacity, writtenFromElsewhere, prepared, openWrites, openReads, actingTriggers];
