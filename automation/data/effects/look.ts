import type pg from 'pg';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { ownSchemas } from '../catalog.ts';
import { openSnapshot, sessionsPerSide, Snapshot } from '../comparison/snapshot.ts';
import { connect, row, rows, withClient } from '../connect.ts';
import type { DatabaseObject } from '../objects/compare.ts';
import { readObjects } from '../objects/read.ts';
import { readContents, type TableContent } from './content.ts';

/** A database that nobody else writes to, at one moment: its catalog, and its rows as sums. */
export interface Look {
  objects: DatabaseObject[];
  /** Tables and their columns by what they are: a renamed one keeps its id, one that is made again gets another. */
  tables: Map<string, Identity>;
  /** The table of each index, by their names. */
  indexes: Map<string, string>;
  /** By the names of the tables for SQL. Partitions are in their root. */
  contents: Map<string, TableContent>;
  /** Every transaction from this one on began after the look. */
  xid: string;
}

export interface Identity {
  id: string;
  /** Its name as `contents` has it. */
  sql: string;
  /** `name` as SQL has it, `plain` without quotes. */
  columns: { id: string; name: string; plain: string }[];
}

const name = (table: string): string => `format('%I.%I', n.nspname, ${table}.relname)`;

const identities = `
  SELECT ${name('c')} AS table, c.oid::text AS id,
    format('"%s"."%s"', replace(n.nspname, '"', '""'), replace(c.relname, '"', '""')) AS sql,
    coalesce((SELECT json_agg(json_build_object('id', a.attnum::text, 'name', quote_ident(a.attname), 'plain', a.attname) ORDER BY a.attnum)
      FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]'::json) AS columns
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND ${ownSchemas}`;

const indexes = `
  SELECT ${name('i')} AS index, ${name('c')} AS table
  FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relpersistence <> 't' AND ${ownSchemas}`;

/** Reads the catalog and every row. `before`: an earlier look at the same database; rows that were written since are counted. */
export async function lookAt(access: DatabaseAccess, before?: Look): Promise<Look> {
  return await withClient(access, 'admin', async (client) => {
    const objects = await readObjects(client);
    await openSnapshot(client);
    const snapshot = new Snapshot(client);
    try {
      await snapshot.widen(sessionsPerSide(), () => connect(access, 'admin'));
      const contents = await readContents(snapshot, before);
      return { objects, ...(await identitiesOf(client)), contents };
    } finally {
      await snapshot.close();
      await client.query('ROLLBACK');
    }
  });
}

async function identitiesOf(client: pg.Client): Promise<Pick<Look, 'tables' | 'indexes' | 'xid'>> {
  const tables = await rows<{ table: string } & Identity>(client, identities);
  const owners = await rows<{ index: string; table: string }>(client, indexes);
  const { xid } = await row<{ xid: string }>(
    client,
    'SELECT (pg_snapshot_xmax(pg_current_snapshot())::xid)::text AS xid',
  );
  return {
    tables: new Map(tables.map(({ table, ...identity }) => [table, identity])),
    indexes: new Map(owners.map(({ index, table }) => [index, table])),
    xid,
  };
}
