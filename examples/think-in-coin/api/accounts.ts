import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { HttpError, readJson, type Handler } from '../http.ts';
import { transaction } from './database.ts';
import { email, password, text } from './input.ts';
import { clientAddress, countAttempt, eraseAttempts, forgiveAttempts } from './login-limits.ts';
import { hashPassword, verifyPassword } from './passwords.ts';
import { endSession, findAccount, forgetSession, requireAccount, startSession } from './sessions.ts';

/** For addresses without an account: hashing something anyway, so that the time does not tell that there is none. */
const nobody = hashPassword(randomBytes(16).toString('hex'));

export function accountRoutes(pool: pg.Pool): Record<string, Handler> {
  return {
    'POST /api/accounts': async (request) => {
      const body = await readJson(request);
      const account = { email: email(body), name: text(body, 'name', 1, 80) };
      const hash = await hashPassword(password(body));
      return transaction(pool, async (client) => {
        const { rows } = await client.query<{ id: string }>(
          `insert into public.accounts (email, name, password_hash) values ($1, $2, $3)
           on conflict (email) do nothing returning id`,
          [account.email, account.name, hash],
        );
        const id = rows[0]?.id;
        if (id === undefined) throw new HttpError(409, 'There is an account with this address. Please sign in.');
        await client.query('insert into public.preferences (account_id) values ($1)', [id]);
        return { status: 201, body: account, headers: await startSession(client, id) };
      });
    },

    'POST /api/login': async (request) => {
      const body = await readJson(request);
      const address = email(body);
      const given = password(body);
      const client = clientAddress(request);
      await countAttempt(pool, address, client);
      const { rows } = await pool.query<{ id: string; name: string; password_hash: string }>(
        'select id, name, password_hash from public.accounts where email = $1',
        [address],
      );
      const account = rows[0];
      const right = await verifyPassword(given, account?.password_hash ?? (await nobody));
      if (!account || !right) throw new HttpError(401, 'That address and password do not match.');
      await forgiveAttempts(pool, address, client);
      const headers = await startSession(pool, account.id);
      return { status: 200, body: { email: address, name: account.name }, headers };
    },

    'POST /api/logout': async (request) => {
      await readJson(request);
      return { status: 200, body: {}, headers: await endSession(pool, request) };
    },

    'GET /api/account': async (request) => {
      const { email: address, name } = await requireAccount(pool, request);
      return { status: 200, body: { email: address, name } };
    },

    // For the page: says who is signed in, without the error that a stranger gets from /api/account.
    'GET /api/session': async (request) => {
      const account = await findAccount(pool, request);
      return { status: 200, body: { name: account?.name ?? null } };
    },

    /** Erases the account and all personal data; everything else hangs on it by `on delete cascade`. */
    'DELETE /api/account': async (request) => {
      const account = await requireAccount(pool, request);
      await transaction(pool, async (client) => {
        await eraseAttempts(client, account.email);
        await client.query('delete from public.accounts where id = $1', [account.id]);
      });
      return { status: 204, headers: forgetSession };
    },
  };
}
