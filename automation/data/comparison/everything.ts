import { randomInt } from 'node:crypto';
import type pg from 'pg';
import type { TableComparison } from '../../journal/events.ts';
import { close, row } from '../connect.ts';
import { compareObjects, type DatabaseObject, type ObjectDifference } from '../objects/compare.ts';
import { readObjects } from '../objects/read.ts';
import { compareRows, compareTables } from './compare.ts';
import type { Names } from './differences.ts';
import { together } from './in-parallel.ts';
import { compareLargeObjects, largeObjects } from './large-objects.ts';
import { isRefusal, Unreadable } from './reading.ts';
import { compareSequences, readSequences, type SequenceDifference } from './sequences.ts';
import { openSnapshot, sessionsPerSide, Snapshot } from './snapshot.ts';

/** Something that a side cannot read. Nothing is known of it. */
export interface NotRead {
  what: string;
  side: 'left' | 'right';
  reason: string;
}

/** What two databases have, compared, and what could not be. */
export interface Comparison {
  /** `unknown`: no difference was found, but something could not be read, or nothing was compared. */
  verdict: 'equal' | 'different' | 'unknown';
  /** Versions of the servers. */
  versions: { left: string; right: string };
  /** Tables, materialised views and large objects. */
  tables: TableComparison[];
  sequences: { left: number; right: number; different: SequenceDifference[] };
  /** Absent if only some tables were compared. */
  catalog?: { left: number; right: number; different: ObjectDifference[] };
  notRead: NotRead[];
  /** What is not compared, by name: foreign tables, and tables in the schema `greenlight` that are not Greenlight's. */
  leftOut: string[];
  /** Sides with transactions that wrote during the comparison: each is compared as of one moment. */
  writtenTo: ('left' | 'right')[];
  /** Both sides are one and the same database. */
  sameDatabase?: true;
}

export interface ComparisonOptions {
  names: Names;
  /** Which tables and sequences (`public.lessons`) are compared; default: everything, with the catalog. */
  wanted?: ((name: string) => boolean) | undefined;
  /** Sessions of each side; default `sessionsPerSide`. */
  sessions?: number | undefined;
  onProgress?: (compared: number, tables: number) => void;
}

/** Opens a session of one side. */
export type Open = () => Promise<pg.Client>;

/** Compares two databases in all that they have. Changes nothing. */
export async function compareEverything(left: Open, right: Open, options: ComparisonOptions): Promise<Comparison> {
  const { names, wanted, onProgress, sessions = sessionsPerSide() } = options;
  const opened: { close(): Promise<void> }[] = [];
  const session = async (open: Open): Promise<pg.Client> => {
    const client = await open();
    opened.push({ close: () => close(client) });
    return client;
  };
  try {
    const clients = await together([session(left), session(right)]);
    const notRead: NotRead[] = [];
    const refusedTo = (side: 'left' | 'right') => (what: string, reason: string) =>
      void notRead.push({ what, side, reason });
    const refusals = { left: refusedTo('left'), right: refusedTo('right') };

    // Before the snapshot, as it opens a transaction of its own.
    const catalog = wanted === undefined ? await compareCatalogs(...clients, refusals) : undefined;

    const [l, r] = await together([widened(clients[0], left, sessions), widened(clients[1], right, sessions)]);
    opened.push(l.snapshot, r.snapshot);
    const scope = {
      wanted,
      everything: true,
      onUnreadable: (what: string, side: 'left' | 'right', reason: string) => refusals[side](what, reason),
      ...(onProgress === undefined ? {} : { onProgress }),
    };
    const same = await isSame(...clients);
    const snapshots = [l.snapshot, r.snapshot] as const;
    const tables = await compareTables(...snapshots, { columns: 'both', names, ...scope }, (a, b) =>
      compareRows(a, b, names),
    );
    if (wanted === undefined) {
      const large = await compareLargeObjects(...snapshots, names, { name: true }).catch((error: unknown) => {
        if (!(error instanceof Unreadable)) throw error;
        refusals[error.snapshot === l.snapshot ? 'left' : 'right'](largeObjects, error.reason);
        return undefined;
      });
      if (large !== undefined) tables.push(large);
    }
    const beside = await together([notCompared(clients[0]), notCompared(clients[1])]);
    const leftOut = [...new Set(beside.flat())].filter((name) => wanted?.(name) ?? true);
    await Promise.all(clients.map((client) => client.query('ROLLBACK')));

    const all = wanted ?? (() => true);
    const [mine, theirs] = await Promise.all([
      readSequences(clients[0], all, refusals.left),
      readSequences(clients[1], all, refusals.right),
    ]);
    const unknown = new Set(notRead.map(({ what }) => what));
    const sequences = compareSequences(mine, theirs).filter(({ name }) => !unknown.has(name));
    const [lastLeft, lastRight] = await Promise.all(clients.map(nextTransaction));
    const different =
      tables.some(({ equal }) => !equal) || sequences.length > 0 || (catalog?.different.length ?? 0) > 0;
    const nothing = wanted !== undefined && tables.length + mine.length + theirs.length === 0;
    return {
      verdict: different ? 'different' : notRead.length > 0 || nothing ? 'unknown' : 'equal',
      versions: { left: l.version, right: r.version },
      tables,
      sequences: { left: mine.length, right: theirs.length, different: sequences },
      ...(catalog === undefined ? {} : { catalog }),
      notRead,
      leftOut,
      writtenTo: [
        ...(lastLeft === l.next ? [] : ['left' as const]),
        ...(lastRight === r.next ? [] : ['right' as const]),
      ],
      ...(same ? { sameDatabase: true } : {}),
    };
  } finally {
    await Promise.all(opened.map((one) => one.close()));
  }
}

async function widened(
  client: pg.Client,
  open: Open,
  sessions: number,
): Promise<{ snapshot: Snapshot; next: string; version: string }> {
  const next = await nextTransaction(client);
  await openSnapshot(client);
  const snapshot = new Snapshot(client);
  await snapshot.widen(sessions, open);
  const { version } = await row<{ version: string }>(client, `SELECT current_setting('server_version') AS version`);
  return { snapshot, next, version };
}

/** A number that every transaction of the server that writes moves on. */
const nextTransaction = async (client: pg.Client): Promise<string> =>
  (await row<{ next: string }>(client, 'SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next')).next;

async function compareCatalogs(
  left: pg.Client,
  right: pg.Client,
  refusals: Record<'left' | 'right', (what: string, reason: string) => void>,
): Promise<Comparison['catalog']> {
  const read = async (client: pg.Client, side: 'left' | 'right'): Promise<DatabaseObject[] | undefined> =>
    await readObjects(client).catch((error: unknown) => {
      if (!isRefusal(error)) throw error;
      refusals[side]('catalog', error.message);
      return undefined;
    });
  const [mine, theirs] = await Promise.all([read(left, 'left'), read(right, 'right')]);
  if (mine === undefined || theirs === undefined) return undefined;
  return { left: mine.length, right: theirs.length, different: compareObjects(mine, theirs) };
}

/** Whether two sessions with an open transaction are of one database: an advisory lock is a database's own. Names and addresses may differ. */
async function isSame(left: pg.Client, right: pg.Client): Promise<boolean> {
  const [take, key] = ['SELECT pg_try_advisory_xact_lock($1) AS free', [randomInt(2 ** 47)]];
  await left.query(take, key);
  return !(await row<{ free: boolean }>(right, take, key)).free;
}

/** Greenlight's own tables in its schema; not known: what it makes there later. */
const own = ['kept_rows', 'kept_sets', 'loosened', 'migrations', 'objects', 'own_records', 'unfit', 'written_by'];

const notCompared = async (client: pg.Client): Promise<string[]> =>
  (
    await client.query<{ name: string }>(
      `SELECT n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE NOT c.relispartition AND (c.relkind = 'f' OR n.nspname = 'greenlight' AND c.relkind IN ('r', 'p', 'm') AND c.relname <> ALL ($1)) ORDER BY 1`,
      [own],
    )
  ).rows.map(({ name }) => name);
