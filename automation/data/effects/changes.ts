import { createHash } from 'node:crypto';
import type pg from 'pg';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import type { MigrationChanges, ObjectChange } from '../../journal/events.ts';
import { fromTable, ownSchemas, tablesOf } from '../catalog.ts';
import { inParallel } from '../comparison/in-parallel.ts';
import { reading } from '../comparison/reading.ts';
import { openSnapshot, sessionsPerSide, Snapshot } from '../comparison/snapshot.ts';
import { connect, rows, serverVersion, withClient } from '../connect.ts';
import { compareObjects, keyOf, splitColumn, type DatabaseObject, type ObjectDifference } from '../objects/compare.ts';
import { readObjects } from '../objects/read.ts';

/** What migrations do to one database, in such a form that another one can be held against it. */

/** Objects that a copy has otherwise, or that are not the migrations': the replication's, and the server's. */
const ofTheCopy = new Set(['publication', 'subscription', 'replication slot', 'role', 'membership']);

/** Partitions and their indexes. Which there are depends on the day, and what becomes of them on their table. */
const ofPartitions = `
  WITH partitions AS (SELECT oid FROM pg_class WHERE relispartition)
  SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid IN (SELECT oid FROM partitions UNION SELECT indexrelid FROM pg_index WHERE indrelid IN (SELECT oid FROM partitions)) AND ${ownSchemas}`;

interface State {
  postgres: number;
  objects: DatabaseObject[];
  /** By the OID of the table, which a renamed one keeps. Partitions are in their root. */
  tables: Map<string, { name: string; rows: number }>;
}

/**
 * Runs migrations on a database to which nobody else writes, and tells what they did. Reads the catalog and counts all rows, twice. Once
 * `signal` is aborted a look ends, and this rejects with its reason; `run` sees to itself.
 */
export async function changesBy(
  access: DatabaseAccess,
  run: () => Promise<unknown>,
  signal?: AbortSignal,
): Promise<MigrationChanges> {
  const before = await endedBy(signal, access, () => stateOf(access));
  await run();
  const after = await endedBy(signal, access, () => stateOf(access));
  return {
    postgres: after.postgres,
    changes: compareObjects(before.objects, after.objects).map(changeOf),
    counts: countsBetween(before, after),
  };
}

function countsBetween(before: State, after: State): MigrationChanges['counts'] {
  const changed = [...after.tables].flatMap(([id, { name, rows: now }]): [string, -1 | 1][] => {
    const then = before.tables.get(id)?.rows ?? now;
    return now === then ? [] : [[name, now < then ? -1 : 1]];
  });
  return Object.fromEntries(changed.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const named = { applicationName: 'greenlight-window-look' };
const endLooks = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()`;

/** Counting large tables may take longer than users are to wait. A session that has ended begins no further statement. */
async function endedBy<T>(signal: AbortSignal | undefined, access: DatabaseAccess, look: () => Promise<T>): Promise<T> {
  signal?.throwIfAborted();
  const done = new AbortController();
  let ending: Promise<unknown> | undefined;
  const end = (): void => {
    ending = withClient(access, 'admin', (client) => client.query(endLooks, [named.applicationName])).catch(
      () => undefined,
    );
  };
  signal?.addEventListener('abort', end, { signal: done.signal });
  try {
    return await look();
  } finally {
    done.abort();
    await ending;
    signal?.throwIfAborted();
  }
}

const stateOf = (access: DatabaseAccess): Promise<State> =>
  withClient(
    access,
    'admin',
    async (client) => {
      const all = await readObjects(client);
      const parts = new Set((await rows<{ name: string }>(client, ofPartitions)).map(({ name }) => name));
      const objects = all.filter(
        (object) => !ofTheCopy.has(object.kind) && !wordsOf(object.name).some((w) => parts.has(w)),
      );
      return { postgres: serverVersion(client) ?? 0, objects, tables: await rowsOf(access, client) };
    },
    named,
  );

/** What may name a relation in the name of an object: `public.a` of `ON TABLE public.a TO app` and of `public.a.id`. */
const wordsOf = (name: string): string[] =>
  name.split(' ').flatMap((word) => (word.includes('.') ? [word, splitColumn(word).table] : [word]));

async function rowsOf(access: DatabaseAccess, client: pg.Client): Promise<State['tables']> {
  await openSnapshot(client);
  const snapshot = new Snapshot(client);
  try {
    await snapshot.widen(sessionsPerSide(), () => connect(access, 'admin', named));
    const tables = await snapshot.run((session) => tablesOf(session));
    const counts = await inParallel(tables, snapshot.size, (table) =>
      reading({ snapshot, table, hash: '' }, async (session, limits) => {
        const text = `SELECT $1::regclass::oid::text AS id, count(*)::float8 AS n FROM ${fromTable(table)}`;
        const { rows: counted } = await session.query<{ id: string; n: number }>({
          text,
          values: [table.sql],
          ...limits,
        });
        return counted.map(({ id, n }): [string, { name: string; rows: number }] => [
          id,
          { name: table.name, rows: n },
        ]);
      }),
    );
    return new Map(counts.flat());
  } finally {
    await snapshot.close();
    await client.query('ROLLBACK');
  }
}

function changeOf({ kind, name, left, right }: ObjectDifference): ObjectChange {
  const change = left === undefined ? 'new' : right === undefined ? 'gone' : 'other';
  // The version of an extension is what the server has.
  const text = (right ?? '').replace(kind === 'extension' ? /^VERSION \S+/m : /$^/, '');
  return { kind, name, change, exact: hash(text), masked: hash(withoutNumbers(text)) };
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);

/** Without what a migration may make anew each time: a date, a count, the end of a random name. */
const withoutNumbers = (text: string): string => text.replaceAll(/[0-9a-f]{8,}|\d+/g, '0');

/**
 * What happened otherwise than in the rehearsal, a text each. Compared are changes, and not what a database was before: it has gone on
 * since the backup. So rows that were there to be deleted in the rehearsal need not be now; but rows that go without having gone there are named.
 */
export function otherThanRehearsed(rehearsed: MigrationChanges, seen: MigrationChanges): string[] {
  const known = unmatched(rehearsed.changes, seen.changes, forms(rehearsed.postgres === seen.postgres));
  return [
    ...known.right.map((one) => `${say(one)}: not so in the rehearsal`),
    ...known.left.map((one) => `${say(one)}: in the rehearsal alone`),
    ...Object.entries(seen.counts).flatMap(([table, sign]) =>
      rehearsed.counts[table] === sign
        ? []
        : [`the table ${table} has ${sign < 0 ? 'fewer' : 'more'} rows: not so in the rehearsal`],
    ),
  ];
}

const say = ({ kind, name, change }: ObjectChange): string =>
  `the ${kind} ${name} is ${{ new: 'new', gone: 'gone', other: 'another one' }[change]}`;

/** As what changes are the same: at first in all, then but for numbers in names and definitions. Another major version writes other texts. */
const forms = (sameVersion: boolean): ((one: ObjectChange) => string)[] => [
  (one) => [keyOf(one), one.change, sameVersion ? one.exact : ''].join('\n'),
  (one) => [withoutNumbers(keyOf(one)), one.change, sameVersion ? one.masked : ''].join('\n'),
];

function unmatched(
  left: readonly ObjectChange[],
  right: readonly ObjectChange[],
  [form, ...rest]: ((one: ObjectChange) => string)[],
): { left: readonly ObjectChange[]; right: readonly ObjectChange[] } {
  if (form === undefined) return { left, right };
  const open = new Map<string, ObjectChange[]>();
  for (const one of left) open.set(form(one), [...(open.get(form(one)) ?? []), one]);
  const extra = right.filter((one) => open.get(form(one))?.shift() === undefined);
  return unmatched([...open.values()].flat(), extra, rest);
}
