import type pg from 'pg';
import type { DatabaseAccess } from '../../infra/platform/databases.ts';
import { fromTable, tablesOf } from '../data/catalog.ts';
import { row, rows, withClient } from '../data/connect.ts';
import { classify, describeSuspect } from '../data/masking/classify.ts';
import { unmetPreconditions } from '../data/publication/preconditions.ts';
import type { ReleaseDefinition } from '../config/schema.ts';
import type { Findings } from './findings.ts';

/** Looks at the tables that came out of the migrations, as the preflight of a release does at those of the live database. */
export async function checkTables(access: DatabaseAccess, { data }: ReleaseDefinition, found: Findings): Promise<void> {
  const tables = await withClient(access, 'admin', (client) => tablesOf(client));
  if (tables.length === 0) {
    found.warning(
      'the database',
      'the migrations made no table',
      'see that application.migrations names the right command or directory',
    );
    return;
  }
  const unmet = await unmetPreconditions(access, true);
  for (const text of unmet) {
    const [says = '', cure = ''] = text.split(/;\n\s*cure: /);
    found.error('the database', says, cure);
  }
  if (unmet.length === 0) found.ok('the database', `${tables.length} tables, each can be replicated`);
  const { suspects, columns } = await classify(access, data.personal, data.harmless);
  for (const suspect of suspects)
    found.error(
      suspect.column,
      describeSuspect(suspect).replace(`${suspect.column}: `, ''),
      'name it in data.personal with a mask, or in data.harmless with a reason: otherwise no copy of production may go to staging',
    );
  if (suspects.length === 0) found.ok('personal data', `none of ${columns} columns looks personal and is in no list`);
}

/** What a table was before a request: rows that are written later have a younger transaction. */
export interface Mark {
  transaction: string;
  counts: Map<string, string>;
}

/** Marks the present. Statistics would not do: a session reports them seconds later. */
export const markTables = (access: DatabaseAccess): Promise<Mark> =>
  withClient(access, 'admin', async (client) => ({
    // Taken, and not read: what is written from here on has a higher one.
    transaction: (await row<{ id: string }>(client, 'SELECT pg_current_xact_id()::text AS id')).id,
    counts: await countsOf(client),
  }));

/** Tables that were written since the mark, with what was seen. An insertion that was deleted again is not seen. */
export const writtenSince = (access: DatabaseAccess, mark: Mark): Promise<{ table: string; rows: number }[]> =>
  withClient(access, 'admin', async (client) => {
    const written: { table: string; rows: number }[] = [];
    for (const table of await tablesOf(client)) {
      const { changed, all } = await row<{ changed: number; all: string }>(
        client,
        `SELECT count(*) FILTER (WHERE xmin::text::bigint > $1::bigint)::int AS changed, count(*)::text AS all FROM ${fromTable(table)}`,
        [mark.transaction],
      );
      const gone = Math.max(0, Number(mark.counts.get(table.name) ?? 0) - Number(all));
      if (changed + gone > 0) written.push({ table: table.name, rows: changed + gone });
    }
    return written;
  });

async function countsOf(client: pg.Client): Promise<Map<string, string>> {
  const counts = new Map<string, string>();
  for (const table of await tablesOf(client)) {
    const [counted] = await rows<{ all: string }>(client, `SELECT count(*)::text AS all FROM ${fromTable(table)}`);
    counts.set(table.name, counted?.all ?? '0');
  }
  return counts;
}
