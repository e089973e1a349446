import type pg from 'pg';
import { readJson, type Handler } from '../http.ts';
import { coach } from './coach.ts';
import { transaction } from './database.ts';
import { key, text } from './input.ts';
import { requireAccount } from './sessions.ts';

const insert = 'insert into public.chat_messages (account_id, author, body, key) values ($1, $2, $3, $4)';

export function chatRoutes(pool: pg.Pool): Record<string, Handler> {
  return {
    'GET /api/chat': async (request) => {
      const account = await requireAccount(pool, request);
      const { rows } = await pool.query(
        `select author, body, created_at as at from
           (select id, author, body, created_at from public.chat_messages where account_id = $1 order by id desc limit 50) m
         order by id`,
        [account.id],
      );
      return { status: 200, body: { messages: rows } };
    },

    'POST /api/chat': async (request) => {
      const body = await readJson(request);
      const account = await requireAccount(pool, request);
      const question = { body: text(body, 'message', 1, 500), key: key(body) };
      const answer = coach(question.body);
      await transaction(pool, async (client) => {
        await client.query(insert, [account.id, 'learner', question.body, question.key]);
        await client.query(insert, [account.id, 'coach', answer, null]);
      });
      return { status: 201, body: { key: question.key, answer } };
    },
  };
}
