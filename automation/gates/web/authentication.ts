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
  /** For the header route; `{}` for ordinary traffic. */
  headers: Record<string, string>;
}

/** Whether strangers stay outside: protected paths, forged sessions, guessed passwords, guessed accounts. */
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

/** Statuses of a protected path for somebody without and with a forged session. */
export interface Door {
  path: string;
  stranger: number;
  forgedCookie: number;
  forgedToken: number;
}

async function tryDoors(ask: Ask, paths: string[]): Promise<Door[]> {
  // A well-formed token that claims to need no signature (RFC 7519, section 6), under the usual cookie names.
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

/** A protected path answers 401 or 403, whatever is forged. 404 or 5xx is no proof: the path may be wrong. */
export function judgeDoor({ path, stranger, forgedCookie, forgedToken }: Door): Measurement {
  const statuses = [stranger, forgedCookie, forgedToken];
  const name = `${path} without a valid session`;
  const measured = `stranger ${stranger}, forged cookie ${forgedCookie}, forged token ${forgedToken}`;
  const wanted = '401 or 403';
  if (statuses.some((s) => s < 400))
    return check(name, wanted, measured, false, 'It lets in somebody who has not logged in.');
  if (statuses.every((s) => s === 401 || s === 403)) return check(name, wanted, measured, true);
  return {
    name,
    measured,
    wanted,
    verdict: 'inconclusive',
    note: 'It refuses for another reason: check protectedPaths, or that the application is healthy.',
  };
}

/** Statuses of wrong logins, in order: first an account that cannot exist, then the configured one. */
export interface Logins {
  unknownAccount: { status: number; body: string };
  attempts: { status: number; body: string }[];
}

/** Seconds that the gate waits for the end of a limit that was in force before its first question. */
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
    // An earlier run used the limit up. Its end is announced, so the question can be asked properly.
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

/** The same login for an account that nobody has: the fields that name the account get a random value. */
export function unknown(body: Record<string, string>): Record<string, string> {
  const nobody = `nobody-${randomUUID()}`;
  const names = Object.keys(body).filter((key) => !/pass|secret|pin|code/i.test(key));
  return {
    ...body,
    ...Object.fromEntries(names.map((key) => [key, body[key]?.includes('@') ? `${nobody}@example.com` : nobody])),
  };
}

/** Judges wrong logins: refused, limited by 429 after `maxAttempts`, and silent about whether the account exists. */
export function judgeLogins({ unknownAccount, attempts }: Logins, maxAttempts: number): Measurement[] {
  const refused = attempts.filter((a) => a.status !== 429);
  const accepted = attempts.find((a) => a.status < 400);
  const first = attempts[0];
  if (accepted !== undefined || unknownAccount.status < 400) {
    return [
      check('wrong login', '4xx', `${accepted?.status ?? unknownAccount.status}`, false, 'A wrong login is accepted.'),
    ];
  }
  if ([unknownAccount, ...attempts].some((a) => a.status >= 500 || a.status === 404 || a.status === 405)) {
    const note =
      'The login does not work as configured: check loginPath and loginBody, or that the application is healthy.';
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
      'Passwords can be guessed at full speed.',
    ),
  ];
  const name = 'unknown account and wrong password';
  const wanted = 'the same answer';
  if (first === undefined || first.status === 429 || unknownAccount.status === 429) {
    const note = 'The limit was in force from the start, so the two could not be compared: wait until it ends.';
    measurements.push({ name, measured: 'limited (429)', wanted, verdict: 'inconclusive', note });
    return measurements;
  }
  const same = first.status === unknownAccount.status && first.body === unknownAccount.body;
  const measured = same ? `both ${first.status}` : `${unknownAccount.status} and ${first.status}, or another text`;
  measurements.push(check(name, wanted, measured, same, 'The answer tells whether an account exists.'));
  return measurements;
}
