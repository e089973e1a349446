import type pg from 'pg';
import type { TableComparison } from '../../journal/events.ts';
import { notOfExtension, ownSchemas, tablesOf } from '../catalog.ts';
import { rows } from '../connect.ts';
import { isOurs } from '../link.ts';
import type { Names } from './differences.ts';
import { together } from './in-parallel.ts';
import { compareLargeObjects } from './large-objects.ts';
import { sameSum, sumOf } from './multiset.ts';
import { rowHash } from './row-hash.ts';
import type { Snapshot } from './snapshot.ts';

/**
 * Compares within open snapshots what no replication carries: large objects, and the tables of extensions, which may hold
 * rows of users. A copy has them as of the copy.
 */
export async function compareUnreplicated(left: Snapshot, right: Snapshot, names: Names): Promise<TableComparison[]> {
  const [mine, theirs] = await together(
    [left, right].map((side) => side.run((client) => tablesOf(client, 'of extensions'))),
  );
  const found: TableComparison[] = [];
  for (const table of mine ?? []) {
    const other = theirs?.find(({ sql }) => sql === table.sql);
    if (other === undefined) continue;
    const [one, two] = await together([
      sumOf({ snapshot: left, table, hash: rowHash(table.columns, other.columns) }),
      sumOf({ snapshot: right, table: other, hash: rowHash(other.columns, table.columns) }),
    ]);
    const equal = sameSum(one, two);
    const detail = `it belongs to an extension, so rows written since ${names.right} was copied from ${names.left} are not replicated`;
    found.push({ table: table.name, rows: { left: one.rows, right: two.rows }, equal, ...(equal ? {} : { detail }) });
  }
  const large = await compareLargeObjects(left, right, names);
  return large === undefined ? found : [...found, large];
}

/** What of a database a comparison leaves out, for people. */
export async function notCompared(client: pg.Client): Promise<string[]> {
  const views = await rows<{ name: string }>(
    client,
    `SELECT format('rows of materialised view %I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'm' AND ${ownSchemas} AND ${notOfExtension} ORDER BY 1`,
  );
  const others = await rows<{ kind: string; name: string }>(
    client,
    `SELECT 'subscription' AS kind, subname AS name FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
     UNION ALL SELECT 'replication slot', slot_name FROM pg_replication_slots WHERE database = current_database() AND NOT temporary ORDER BY 1, 2`,
  );
  const foreign = others.filter(({ name }) => !isOurs(name)).map(({ kind, name }) => `${kind} ${name}`);
  return [...views.map(({ name }) => name), ...foreign];
}
