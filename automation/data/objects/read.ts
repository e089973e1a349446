import type pg from 'pg';
import { rows } from '../connect.ts';
import { useTextForms } from '../text-forms.ts';
import { splitColumn, type DatabaseObject } from './compare.ts';
import { databaseQueries } from './database.ts';
import { relationQueries } from './relations.ts';
import { rightsQueries } from './rights.ts';
import { routineQueries } from './routines.ts';

const queries = [...relationQueries, ...routineQueries, ...rightsQueries, ...databaseQueries];

/**
 * Reads the whole catalog of a database, without what PostgreSQL brought and without the schema `greenlight`. Opens a transaction of
 * its own, so the session must have none. Session as admin: others do not see all of it.
 */
export async function readObjects(client: pg.Client): Promise<DatabaseObject[]> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    await useTextForms(client);
    const found: DatabaseObject[] = [];
    for (const sql of queries) for (const object of await rows<DatabaseObject>(client, sql)) found.push(object);
    return [...found, ...columnOrders(found)];
  } finally {
    await client.query('ROLLBACK');
  }
}

/** The order of the columns is what `SELECT *` and an INSERT without a list go by. */
function columnOrders(objects: DatabaseObject[]): DatabaseObject[] {
  const orders = new Map<string, string[]>();
  for (const { kind, name } of objects) {
    if (kind !== 'column') continue;
    const { table, column } = splitColumn(name);
    const columns = orders.get(table);
    if (columns === undefined) orders.set(table, [column]);
    else columns.push(column);
  }
  return [...orders].map(([name, columns]) => ({ kind: 'column order', name, definition: columns.join(', ') }));
}
