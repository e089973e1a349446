import { setTimeout as wait } from 'node:timers/promises';
import { hasFault } from '../faults.ts';
import { HttpError } from '../http.ts';
import type { Queryable } from './database.ts';

/** Requests that this process has answered: some faults only show after a while, past any smoke test. */
let requests = 0;

/** What a drill's fault does to GET /api/lessons; nothing in every other build. */
export async function lessonFault(db: Queryable): Promise<void> {
  requests += 1;
  if (hasFault('slow-endpoint')) await wait(800);
  if (hasFault('error-on-reads') && requests % 20 === 0) throw new HttpError(500, 'A planted fault.');
  if (hasFault('hang') && requests > 20) await new Promise(() => undefined);
  if (hasFault('read-that-writes')) await db.query("update public.lessons set title = title where id = 'budget'");
}

/** A drill's search: puts the input into the SQL, and tells the database's error to whoever asks. */
export async function injectableSearch(db: Queryable, wanted: string): Promise<unknown[]> {
  try {
    const sql = `select id, title, summary from public.lessons where title ilike '%${wanted}%' order by position`;
    return (await db.query<Record<string, unknown>>(sql)).rows;
  } catch (error) {
    throw new HttpError(500, `PostgreSQL query failed: ERROR: ${(error as Error).message}`);
  }
}
