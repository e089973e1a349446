import type { HealthSpec, ServiceSpec } from '../model.ts';

/** How it is seen that an instance can serve. */
export type Health =
  | { kind: 'http'; path: string; statuses: number[]; headers: Record<string, string> }
  | { kind: 'tcp' }
  | { kind: 'command'; command: string[] };

/** The health check of a service, whatever form the definition has it in. */
export function healthOf(spec: HealthSpec): Health {
  if (typeof spec === 'string') return { kind: 'http', path: spec, statuses: [200], headers: {} };
  if ('command' in spec) return { kind: 'command', command: spec.command };
  if ('tcp' in spec) return { kind: 'tcp' };
  const { path, status = 200, headers = {} } = spec;
  return { kind: 'http', path, statuses: [status].flat(), headers };
}

/** Path and statuses of a target group's health check. Throws an Error for another kind, which the validator refuses on AWS. */
export function targetGroupCheck({ name, health: spec }: Pick<ServiceSpec, 'name' | 'health'>): {
  path: string;
  matcher: string;
} {
  const health = healthOf(spec);
  if (health.kind !== 'http') throw new Error(`the health of ${name} has no path, which a target group needs`);
  return { path: health.path, matcher: health.statuses.join(',') };
}

/** The health check, in words. */
export const describeHealth = (spec: HealthSpec): string => {
  const health = healthOf(spec);
  return health.kind === 'http' ? health.path : health.kind === 'tcp' ? 'its port' : health.command.join(' ');
};

/**
 * Headers of a request for the health path: those that the entry point sends with every request, so that the application answers as it
 * answers users. Without them a framework that insists on TLS or on its host name answers 301 or 400. The definition's own come last.
 */
export function healthHeaders(publicUrl: string, own: Record<string, string>): Record<string, string> {
  const { host } = new URL(publicUrl);
  const sent = { host, 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'https', 'x-forwarded-host': host };
  const lower = Object.entries(own).map(([name, value]) => [name.toLowerCase(), value] as const);
  return { ...sent, ...Object.fromEntries(lower) };
}

/** An answer of a health path that is not the one that was wanted. */
export interface WrongAnswer {
  path: string;
  wanted: number[];
  status: number;
  location?: string | undefined;
}

/** That answer, as a fact and what to do about it. */
export function explainAnswer({ path, wanted, status, location }: WrongAnswer): { found: string; todo: string } {
  const at = location === undefined ? '' : `, Location ${location}`;
  const has = `a health path has to answer ${wanted.join(' or ')}`;
  return { found: `${path} answered ${status}${at}`, todo: `${has}; ${cureOf(status, wanted)}` };
}

function cureOf(status: number, wanted: number[]): string {
  if (wanted.includes(status)) return 'it does so no more';
  if (status >= 300 && status < 400)
    return 'give the path that Location names, or let the application answer there without a redirect. It is asked with the headers of the entry point, x-forwarded-proto https among them, so it has to trust a proxy';
  if (status === 400)
    return 'the application refuses the request, often its Host: allow the host of PUBLIC_URL, or set health.headers';
  if (status === 401 || status === 403) return 'let it answer without a login, or set health.headers';
  if (status === 404) return 'this version has no such path: correct application.services health';
  return 'see the log of the service, or correct application.services health';
}

/** How long a wrong answer may stay the same before the wait is given up, ms. */
const lastingMs = 5000;
/** Answers of a proxy or framework whose application still starts. */
const starting = [502, 503, 504];

/**
 * Follows the answers of an instance that starts. The function that is returned takes each of them (undefined: no answer), and returns
 * true once waiting has no use: the same wrong answer for five seconds, and none of an application that still starts. `now`: ms.
 */
export function answerWatch(now = (): number => performance.now()) {
  let last = '';
  let since = 0;
  return (answer: WrongAnswer | undefined): boolean => {
    const found = answer === undefined || starting.includes(answer.status) ? '' : `${answer.status} ${answer.location}`;
    if (found !== last) [last, since] = [found, now()];
    return found !== '' && now() - since >= lastingMs;
  };
}
