import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { HttpError } from '../http.ts';
import type { Queryable } from './database.ts';

/** `__Host-` makes browsers insist on Secure, Path=/ and no Domain. */
const cookie = '__Host-session';
const days = 7;

const hash = (token: string): Buffer => createHash('sha256').update(token).digest();

const setCookie = (value: string, maxAge: number): Record<string, string> => ({
  'set-cookie': `${cookie}=${value}; Path=/; Max-Age=${maxAge}; HttpOnly; Secure; SameSite=Lax`,
});

function tokenOf(request: IncomingMessage): string | undefined {
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const [name, value] = part.trim().split('=');
    if (name === cookie && value) return value;
  }
  return undefined;
}

/** Starts a session; returns the header that hands it to the browser. Sessions that ended are removed here, not by reads. */
export async function startSession(db: Queryable, accountId: string): Promise<Record<string, string>> {
  const token = randomBytes(32).toString('base64url');
  await db.query('delete from public.sessions where account_id = $1 and expires_at <= now()', [accountId]);
  await db.query(
    'insert into public.sessions (token_hash, account_id, expires_at) values ($1, $2, now() + make_interval(days => $3))',
    [hash(token), accountId, days],
  );
  return setCookie(token, days * 86_400);
}

export async function endSession(db: Queryable, request: IncomingMessage): Promise<Record<string, string>> {
  const token = tokenOf(request);
  if (token) await db.query('delete from public.sessions where token_hash = $1', [hash(token)]);
  return forgetSession;
}
export const forgetSession = setCookie('', 0);

export interface Account {
  id: string;
  email: string;
  name: string;
}

/** The account of the request's session, if any. Only reads: no `last seen` is kept. */
export async function findAccount(db: Queryable, request: IncomingMessage): Promise<Account | undefined> {
  const token = tokenOf(request);
  if (!token) return undefined;
  const { rows } = await db.query<Account>(
    `select a.id, a.email, a.name from public.sessions s join public.accounts a on a.id = s.account_id
     where s.token_hash = $1 and s.expires_at > now()`,
    [hash(token)],
  );
  return rows[0];
}

/** As findAccount. Rejects with 401 for a stranger. */
export async function requireAccount(db: Queryable, request: IncomingMessage): Promise<Account> {
  const account = await findAccount(db, request);
  if (!account) throw new HttpError(401, 'Please sign in.');
  return account;
}
