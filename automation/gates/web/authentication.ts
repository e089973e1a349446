import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import type { EntryPoint } from '../../../infra/platform/router.ts';
import { check, type Gate, type Measurement } from '../../journal/verdict.ts';
import { clientOf, type Ask } from './http-client.ts';

export interface AuthenticationGate {
  entry: EntryPoint;
  /** `security.authentication` of the release definition. */
  settings: {
    protectedPaths: string[];
    loginPath: string;
    loginBody: Record<string, string>;
    maxAttempts: number;
  };
  /** Headers that select the header route; `{}` for ordinary traffic. */
  headers: Record<string, string>;
}

/**
 * Tries protected paths without a session and with forged ones, wrong passwords up to the limit, and an unknown
 * account.
 */
export function authenticationGate({ entry, settings, headers }: AuthenticationGate): Gate {
  return {
    id: 'authentication',
    title: 'User authentication',
    async measure({ evidence, signal }) {
      const ask = await clientOf(entry, headers);
      const doors = await tryDoors(ask, settings.protectedPaths);
      const logins = await tryLogins(ask, settings, signal);
      await evidence.write('authentication.json', JSON.stringify({ doors, logins }, undefined, 2));
      return { measurements: [...doors.map(judgeDoor), ...judgeLogins(logins, settings.maxAttempts)] };
    },
  };
}

/** Statuses of a protected path without a session (`stranger`) and with forged ones. */
export interface Door {
  path: string;
  stranger: number;
  forgedCookie: number;
  forgedToken: number;
}

async function tryDoors(ask: Ask, paths: string[]): Promise<Door[]> {
  // An unsecured JWT (`alg: none`, RFC 7519 section 6), sent under common names of session cookies.
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const token = `${part({ alg: 'none', typ: 'JWT' })}.${part({ sub: '1', role: 'admin' })}.`;
  const cookie = ['session', 'sid', 'token', 'connect.sid'].map((name) => `${name}=${token}`).join('; ');
  const doors: Door[] = [];
  for (const path of paths) {
    const { status: stranger } = await ask(path);
    const { status: forgedCookie } = await ask(path, { headers: { cookie } });
    const { status: forgedToken } = await ask(path, { headers: { authorization: `Bearer ${token}` } });
    doors.push({ path, stranger, forgedCookie, forgedToken });
  }
  return doors;
}

/** Passes if all three statuses are 401 or 403. 404 or 5xx is inconclusive: the path may be wrong. */
export function judgeDoor({ path, stranger, forgedCookie, forgedToken }: Door): Measurement {
  const statuses = [stranger, forgedCookie, forgedToken];
  const name = `${path} without a valid session`;
  const measured = `stranger ${stranger}, forged cookie ${forgedCookie}, forged token ${forgedToken}`;
  const wanted = '401 or 403';
  if (statuses.some((s) => s < 400))
    return check(name, wanted, measured, false, 'The path answers somebody who has not logged in.');
  if (statuses.every((s) => s === 401 || s === 403)) return check(name, wanted, measured, true);
  return {
    name,
    measured,
    wanted,
    verdict: 'inconclusive',
    note: 'The path was refused for another reason: check protectedPaths, and that the application is healthy.',
  };
}

/** Answers to wrong logins, in the order of asking: first an account that does not exist, then the configured one. */
export interface Logins {
  unknownAccount: { status: number; body: string };
  attempts: { status: number; body: string }[];
}

/** Longest wait, seconds, for the end of a rate limit that was in force before the first login. */
const longestWait = 60;

async function tryLogins(ask: Ask, settings: AuthenticationGate['settings'], signal: AbortSignal): Promise<Logins> {
  const { loginPath, loginBody, maxAttempts } = settings;
  const login = async (body: Record<string, string>) => {
    const {
      status,
      body: answer,
      headers,
    } = await ask(loginPath, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const retryAfter = Number(headers['retry-after'] ?? Infinity);
    return { status, body: answer.slice(0, 500), waitSeconds: Number.isNaN(retryAfter) ? Infinity : retryAfter };
  };
  let unknownAccount = await login(unknown(loginBody));
  if (unknownAccount.status === 429 && unknownAccount.waitSeconds <= longestWait) {
    // An earlier run has used up the rate limit. `Retry-After` says when it ends, so the login is sent again then.
    await setTimeout(unknownAccount.waitSeconds * 1000, undefined, { signal });
    unknownAccount = await login(unknown(loginBody));
  }
  const attempts: Logins['attempts'] = [];
  while (attempts.length <= maxAttempts) {
    const attempt = await login(loginBody);
    attempts.push(attempt);
    if (attempt.status === 429) break;
  }
  return { unknownAccount, attempts };
}

/** The same login for an account that does not exist: fields that are not passwords or codes get a random value. */
export function unknown(body: Record<string, string>): Record<string, string> {
  const nobody = `nobody-${randomUUID()}`;
  const names = Object.keys(body).filter((key) => !/pass|secret|pin|code/i.test(key));
  return {
    ...body,
    ...Object.fromEntries(names.map((key) => [key, body[key]?.includes('@') ? `${nobody}@example.com` : nobody])),
  };
}

/**
 * Judges wrong logins: refused, limited by 429 after `maxAttempts`, and the same answer whether or not the account
 * exists.
 */
export function judgeLogins({ unknownAccount, attempts }: Logins, maxAttempts: number): Measurement[] {
  const refused = attempts.filter((a) => a.status !== 429);
  const accepted = attempts.find((a) => a.status < 400);
  const first = attempts[0];
  if (accepted !== undefined || unknownAccount.status < 400) {
    return [
      check(
        'wrong login',
        '4xx',
        `${accepted?.status ?? unknownAccount.status}`,
        false,
        'A login with a wrong password is accepted.',
      ),
    ];
  }
  if ([unknownAccount, ...attempts].some((a) => a.status >= 500 || a.status === 404 || a.status === 405)) {
    const note =
      'The login does not work as configured: check loginPath and loginBody, and that the application is healthy.';
    const measured = [unknownAccount, ...attempts].map((a) => a.status).join(', ');
    return [{ name: 'wrong login', measured, wanted: '4xx, then 429', verdict: 'inconclusive', note }];
  }
  const limited = attempts.at(-1)?.status === 429;
  const measurements = [
    check(
      'limit of wrong logins',
      `429 after at most ${maxAttempts}`,
      limited ? `429 after ${refused.length}` : `none in ${refused.length}`,
      limited,
      'Passwords can be guessed without a rate limit.',
    ),
  ];
  const name = 'unknown account and wrong password';
  const wanted = 'the same answer';
  if (first === undefined || first.status === 429 || unknownAccount.status === 429) {
    const note =
      'The rate limit was in force from the start, so the answers could not be compared: wait until it ends, then repeat.';
    measurements.push({ name, measured: 'limited (429)', wanted, verdict: 'inconclusive', note });
    return measurements;
  }
  const same = first.status === unknownAccount.status && first.body === unknownAccount.body;
  const measured = same ? `both ${first.status}` : `${unknownAccount.status} and ${first.status}, or another text`;
  measurements.push(check(name, wanted, measured, same, 'The answer reveals whether an account exists.'));
  return measurements;
}
