import type pg from 'pg';
import { edition } from '#edition/api.ts';
import { hasFault } from '../faults.ts';
import { HttpError, readJson, type Handler } from '../http.ts';
import { transaction } from './database.ts';
import { integer, key, text } from './input.ts';
import { injectableSearch, lessonFault } from './planted.ts';
import { findAccount, requireAccount } from './sessions.ts';

/** A wrong answer counts for trying. */
const scores = { right: 100, wrong: 20 };

interface LessonRow {
  id: string;
  title: string;
  summary: string;
  bestScore: number | null;
}

export function learningRoutes(pool: pg.Pool): Record<string, Handler> {
  return {
    'GET /api/lessons': async (request) => {
      await lessonFault(pool);
      const account = await findAccount(pool, request);
      const { rows } = await pool.query<LessonRow>(
        `select l.id, l.title, l.summary, p.best_score as "bestScore"
         from public.lessons l left join public.progress p on p.lesson_id = l.id and p.account_id = $1
         order by l.position`,
        [account?.id ?? null],
      );
      return { status: 200, body: { lessons: rows } };
    },

    'GET /api/lessons/:id': async (_request, url) => {
      const { rows } = await pool.query(
        'select id, title, summary, body, question, options from public.lessons where id = $1',
        [decodeURIComponent(url.pathname.split('/')[3] ?? '').slice(0, 40)],
      );
      if (!rows[0]) throw new HttpError(404, 'There is no such lesson.');
      return { status: 200, body: rows[0] };
    },

    'GET /api/search': async (_request, url) => {
      const wanted = (url.searchParams.get('q') ?? '').slice(0, 100).replaceAll('\0', '');
      if (hasFault('sql-injection')) return { status: 200, body: { lessons: await injectableSearch(pool, wanted) } };
      const { rows } = await pool.query(
        `select id, title, summary from public.lessons
         where title ilike $1 or summary ilike $1 or body ilike $1 order by position`,
        [`%${wanted.replace(/[\\%_]/g, '\\$&')}%`],
      );
      return { status: 200, body: { lessons: rows } };
    },

    'GET /api/progress': async (request) => {
      const account = await requireAccount(pool, request);
      const { rows } = await pool.query<{ lessonId: string; bestScore: number; attempts: number }>(
        `select lesson_id as "lessonId", best_score as "bestScore", attempts from public.progress where account_id = $1
         order by lesson_id`,
        [account.id],
      );
      return { status: 200, body: { lessons: rows, ...(await edition.progressDetails(pool, account.id)) } };
    },

    'POST /api/progress': async (request) => {
      const body = await readJson(request);
      const account = await requireAccount(pool, request);
      const written = { lesson: text(body, 'lessonId', 1, 40), answer: integer(body, 'answer', 0, 9), key: key(body) };
      const { rows } = await pool.query<{ correct: number }>('select correct from public.lessons where id = $1', [
        written.lesson,
      ]);
      const correct = rows[0]?.correct;
      if (correct === undefined) throw new HttpError(400, 'There is no such lesson.');
      const score = written.answer === correct ? scores.right : scores.wrong;
      await transaction(pool, async (client) => {
        await client.query(
          `insert into public.progress as p (account_id, lesson_id, best_score) values ($1, $2, $3)
           on conflict (account_id, lesson_id) do update
           set best_score = greatest(p.best_score, excluded.best_score), attempts = p.attempts + 1, updated_at = now()`,
          [account.id, written.lesson, score],
        );
        await client.query(
          'insert into public.progress_events (account_id, lesson_id, score, key) values ($1, $2, $3, $4)',
          [account.id, written.lesson, score, written.key],
        );
      });
      return { status: 201, body: { key: written.key, right: score === scores.right, score } };
    },

    'GET /api/preferences': async (request) => {
      const account = await requireAccount(pool, request);
      return { status: 200, body: await edition.readPreferences(pool, account.id) };
    },

    'PATCH /api/preferences': async (request) => {
      const body = await readJson(request);
      const account = await requireAccount(pool, request);
      const change = key(body);
      const saved = await transaction(pool, async (client) => {
        await edition.savePreferences(client, account.id, body);
        await client.query('insert into public.preference_changes (account_id, key) values ($1, $2)', [
          account.id,
          change,
        ]);
        // Not after the commit: a read that fails there would deny what was saved.
        return edition.readPreferences(client, account.id);
      });
      return { status: 200, body: { key: change, ...saved } };
    },
  };
}
