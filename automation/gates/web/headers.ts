import type { EntryPoint } from '../../../infra/platform/router.ts';
import { check, type Gate, type Measurement } from '../../journal/verdict.ts';
import { clientOf, type Answer } from './http-client.ts';

export interface HeadersGate {
  entry: EntryPoint;
  /** Pages to ask for. Redirects are judged, not followed. */
  paths: string[];
  /** Headers that select the header route; `{}` for ordinary traffic. */
  headers: Record<string, string>;
}

/** Judges the security headers of responses (OWASP Secure Headers Project). */
export function headersGate({ entry, paths, headers }: HeadersGate): Gate {
  return {
    id: 'headers',
    title: 'Security headers',
    async measure({ evidence }) {
      const ask = await clientOf(entry, headers);
      const measurements: Measurement[] = [];
      const seen: Record<string, Answer['headers']> = {};
      for (const path of paths) {
        const answer = await ask(path);
        seen[path] = withoutCookieValues(answer.headers);
        measurements.push(judgePage(path, answer));
      }
      await evidence.write('headers.json', JSON.stringify(seen, undefined, 2));
      return { measurements };
    },
  };
}

/** Smallest accepted `max-age` of Strict-Transport-Security, seconds: 180 days. */
const leastHsts = 15_552_000;

/** One measurement per page; its note names every problem. An error page is inconclusive. */
export function judgePage(path: string, answer: Pick<Answer, 'status' | 'headers'>): Measurement {
  const name = `headers of ${path}`;
  const wanted = 'all protections';
  if (answer.status >= 500 || answer.status === 404) {
    return {
      name,
      measured: `status ${answer.status}`,
      wanted,
      verdict: 'inconclusive',
      note: 'The headers of an error page prove nothing: check startPaths, and that the application is healthy.',
    };
  }
  const problems = problemsOf(answer.headers);
  const measured = problems.length === 0 ? 'all there' : `${problems.length} missing`;
  return check(name, wanted, measured, problems.length === 0, `${problems.join('; ')}.`);
}

/** Problems of one answer's headers, one text each; empty if there is none. */
export function problemsOf(headers: Answer['headers']): string[] {
  const problems: string[] = [];
  const want = (ok: boolean, problem: string) => {
    if (!ok) problems.push(problem);
  };
  const text = (name: string): string => String(headers[name] ?? '').toLowerCase();
  const age = Number(/max-age="?(\d+)/.exec(text('strict-transport-security'))?.[1] ?? 0);
  want(age >= leastHsts, `Strict-Transport-Security with max-age >= ${leastHsts}`);
  want(text('x-content-type-options') === 'nosniff', 'X-Content-Type-Options: nosniff');
  const policy = directivesOf(text('content-security-policy'));
  const framing = policy.get('frame-ancestors');
  const framed = framing === undefined ? /^(deny|sameorigin)$/.test(text('x-frame-options')) : !framing.includes('*');
  want(framed, 'frame protection (frame-ancestors or X-Frame-Options)');
  const referrer = text('referrer-policy');
  want(referrer !== '' && !/unsafe-url|no-referrer-when-downgrade/.test(referrer), 'Referrer-Policy');
  // Script sources matter in HTML documents only; in an answer with data no script runs.
  if (text('content-type').includes('html')) problems.push(...scriptProblems(policy));
  want(!/\d/.test(text('server')), 'Server banner shows a version');
  want(headers['x-powered-by'] === undefined, 'X-Powered-By is sent');
  for (const cookie of headers['set-cookie'] ?? []) problems.push(...cookieProblems(cookie));
  return problems;
}

function scriptProblems(policy: Map<string, string[]>): string[] {
  const sources = policy.get('script-src') ?? policy.get('default-src');
  if (sources === undefined) return ['Content-Security-Policy with script-src or default-src'];
  // A nonce or a hash makes browsers ignore unsafe-inline (CSP level 2).
  const strict = sources.some((s) => /^'(nonce|sha\d+)-/.test(s));
  const problems =
    sources.includes("'unsafe-inline'") && !strict
      ? ["Content-Security-Policy allows inline scripts ('unsafe-inline')"]
      : [];
  if (sources.includes('*')) problems.push('Content-Security-Policy allows scripts from everywhere');
  return problems;
}

function directivesOf(policy: string): Map<string, string[]> {
  const directives = new Map<string, string[]>();
  for (const part of policy.split(';')) {
    const [name = '', ...values] = part.trim().split(/\s+/);
    // If a directive occurs twice, browsers use the first one.
    if (!directives.has(name)) directives.set(name, values);
  }
  return directives;
}

function cookieProblems(cookie: string): string[] {
  const [pair = '', ...rest] = cookie.split(';');
  const attributes = new Map<string, string>();
  for (const part of rest) {
    const [key = '', value = ''] = part.trim().toLowerCase().split('=', 2);
    attributes.set(key, value);
  }
  const name = pair.split('=', 1)[0];
  const missing = ['secure', 'httponly'].filter((a) => !attributes.has(a));
  if (!/^(lax|strict)$/.test(attributes.get('samesite') ?? '')) missing.push('samesite=lax or strict');
  return missing.length > 0 ? [`cookie ${name} without ${missing.join(', ')}`] : [];
}

/** Cookie values can be sessions, which must not be in the evidence. */
function withoutCookieValues(headers: Answer['headers']): Answer['headers'] {
  const cookies = headers['set-cookie']?.map((cookie) => cookie.replace(/=[^;]*/, '=...'));
  return cookies === undefined ? headers : { ...headers, 'set-cookie': cookies };
}
