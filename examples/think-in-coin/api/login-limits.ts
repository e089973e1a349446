import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { HttpError } from '../http.ts';
import type { Queryable } from './database.ts';

/**
 * Attempts per window of so many seconds. Per account and client they are few; per account more, so that a stranger
 * cannot lock somebody out with a handful of tries, but no more than NIST SP 800-63B (section 5.2.2) allows; per
 * client most, as a school shares one address.
 */
const limits = {
  pair: { attempts: 5, seconds: 60 },
  account: { attempts: 100, seconds: 3600 },
  client: { attempts: 500, seconds: 3600 },
};
const longestWindow = 3600;

const short = (text: string): string => createHash('sha256').update(text).digest('base64url');

/** Address of the client: the balancer is the one trusted hop, and appends it last. */
export function clientAddress(request: IncomingMessage): string {
  const forwarded = String(request.headers['x-forwarded-for'] ?? '')
    .split(',')
    .at(-1)
    ?.trim();
  return forwarded || (request.socket.remoteAddress ?? 'unknown');
}

const scopes = (email: string, client: string) => ({
  pair: `pair:${short(`${email} ${client}`)}`,
  account: `account:${short(email)}`,
  client: `client:${short(client)}`,
});

/**
 * Counts an attempt before the password is looked at, so that parallel guesses are counted too. Rejects with 429
 * and Retry-After (seconds until the window ends) once a limit is passed.
 */
export async function countAttempt(db: Queryable, email: string, client: string): Promise<void> {
  const scope = scopes(email, client);
  for (const kind of ['pair', 'account', 'client'] as const) {
    const { rows } = await db.query<{ attempts: number; wait: number }>(
      `insert into public.login_attempts as l (scope, email_hash, attempts) values ($1, $2, 1)
       on conflict (scope) do update set
         attempts = case when l.window_started < now() - make_interval(secs => $3) then 1 else l.attempts + 1 end,
         window_started = case when l.window_started < now() - make_interval(secs => $3) then now() else l.window_started end
       returning attempts, ceil(extract(epoch from window_started + make_interval(secs => $3) - now()))::int as wait`,
      [scope[kind], kind === 'client' ? null : short(email), limits[kind].seconds],
    );
    const row = rows[0];
    if (row && row.attempts > limits[kind].attempts)
      throw new HttpError(429, 'Too many attempts. Please wait a while.', {
        'retry-after': String(Math.max(1, row.wait)),
      });
  }
}

/** After a right password: the account's counters go, the client's own attempt is taken back, old windows are swept. */
export async function forgiveAttempts(db: Queryable, email: string, client: string): Promise<void> {
  const scope = scopes(email, client);
  await db.query('delete from public.login_attempts where scope = $1', [scope.pair]);
  await db.query('update public.login_attempts set attempts = greatest(0, attempts - 1) where scope = any($1)', [
    [scope.account, scope.client],
  ]);
  await db.query('delete from public.login_attempts where window_started < now() - make_interval(secs => $1)', [
    longestWindow,
  ]);
}

/** Erasure: everything that was counted about an address. */
export async function eraseAttempts(db: Queryable, email: string): Promise<void> {
  await db.query('delete from public.login_attempts where email_hash = $1', [short(email)]);
}
