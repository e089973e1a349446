/**
 * How an Application Load Balancer decides: the first rule by priority whose conditions all match; then, if it
 * forwards, a target group by weight or by the client's cookie. Pure; from "Listener rules" of its user guide.
 */

export type Condition =
  | { field: 'path-pattern' | 'host-header' | 'http-request-method'; values: string[] }
  | { field: 'http-header'; name: string; values: string[] };

export interface Forward {
  type: 'forward';
  groups: { arn: string; weight: number }[];
  /** Absent: each request is decided separately. */
  stickySeconds?: number;
}

export type Action =
  | Forward
  | { type: 'fixed-response'; status: number; contentType: string; body: string }
  | { type: 'redirect'; status: number; protocol: string; host: string; port: string; path: string; query: string };

export interface Rule {
  arn: string;
  /** Undefined for the default rule, which comes last. */
  priority: number | undefined;
  conditions: Condition[];
  action: Action;
}

export interface Asked {
  method: string;
  /** Including the query. */
  url: string;
  headers: NodeJS.Dict<string | string[]>;
}

const patterns = new Map<string, RegExp>();

/** `*` is any number of characters, `?` is one. */
function pattern(wildcards: string, flags: '' | 'i'): RegExp {
  const key = flags + wildcards;
  const known = patterns.get(key);
  if (known !== undefined) return known;
  const source = wildcards
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  const made = new RegExp(`^${source}$`, `${flags}s`);
  patterns.set(key, made);
  return made;
}

const valuesOf = (header: string | string[] | undefined) =>
  header === undefined ? [] : Array.isArray(header) ? header : [header];

function holds(condition: Condition, { method, url, headers }: Asked): boolean {
  const some = (flags: '' | 'i', found: string[]) =>
    condition.values.some((value) => found.some((text) => pattern(value, flags).test(text)));
  switch (condition.field) {
    case 'path-pattern':
      return some('', [url.split('?', 1)[0] ?? '']);
    case 'host-header':
      return some(
        'i',
        valuesOf(headers['host']).map((host) => host.replace(/:\d+$/, '')),
      );
    case 'http-request-method':
      return condition.values.includes(method);
    case 'http-header':
      return some('i', valuesOf(headers[condition.name.toLowerCase()]));
  }
}

/** In the order in which they are evaluated. */
export const inOrder = (rules: Rule[]): Rule[] =>
  [...rules].sort((a, b) => (a.priority ?? Infinity) - (b.priority ?? Infinity));

/** The first rule that matches. Undefined if there is not even a default rule. `rules` must be `inOrder`. */
export const ruleFor = (rules: Rule[], asked: Asked): Rule | undefined =>
  rules.find(({ conditions }) => conditions.every((condition) => holds(condition, asked)));

/** Name of the balancer's cookie. Its content is the balancer's own (AWS encrypts it). */
export const stickyCookie = 'AWSALBTG';

export interface Choice {
  arn: string;
  /** Header for the answer, if the rule is sticky. */
  setCookie: string | undefined;
}

/**
 * Chooses a target group: that of the cookie as long as the rule has it, whatever its weight; else one by weight. AWS
 * does not document whether a request prolongs the cookie. In the emulation it does not, so that shares follow the
 * weights. Undefined if all weights are 0: then AWS answers 503.
 */
export function groupFor(
  { groups, stickySeconds }: Forward,
  cookies: string | undefined,
  { random = Math.random(), now = Date.now() } = {},
): Choice | undefined {
  const stuck = stickySeconds === undefined ? undefined : readCookie(cookies);
  if (stuck !== undefined && now < stuck.until && groups.some(({ arn }) => arn === stuck.arn))
    return { arn: stuck.arn, setCookie: writeCookie(stuck) };
  const arn = byWeight(groups, random);
  if (arn === undefined) return undefined;
  const until = now + (stickySeconds ?? 0) * 1000;
  return { arn, setCookie: stickySeconds === undefined ? undefined : writeCookie({ arn, until }) };
}

function byWeight(groups: Forward['groups'], random: number): string | undefined {
  let left = random * groups.reduce((sum, { weight }) => sum + weight, 0);
  return groups.filter(({ weight }) => weight > 0).find(({ weight }) => (left -= weight) < 0)?.arn;
}

interface Stuck {
  arn: string;
  /** ms since the epoch. */
  until: number;
}

const weekSeconds = 604_800;

const writeCookie = (stuck: Stuck) =>
  `${stickyCookie}=${Buffer.from(JSON.stringify(stuck)).toString('base64url')}; Max-Age=${weekSeconds}; Path=/`;

function readCookie(cookies = ''): Stuck | undefined {
  const value = new RegExp(`(?:^|;\\s*)${stickyCookie}=([^;]+)`).exec(cookies)?.[1];
  try {
    return value === undefined ? undefined : (JSON.parse(Buffer.from(value, 'base64url').toString()) as Stuck);
  } catch {
    return undefined;
  }
}

/** Target of a redirect: `#{host}` and the like are replaced by the request's values. */
export function redirectTo(
  action: Extract<Action, { type: 'redirect' }>,
  { url, headers }: Asked,
  listener: { protocol: string; port: number },
): string {
  const [path = '/', query = ''] = url.split('?', 2);
  const host = String(headers['host'] ?? '').replace(/:\d+$/, '');
  const known = { protocol: listener.protocol, host, port: String(listener.port), path: path.slice(1), query };
  const fill = (text: string) => text.replaceAll(/#\{(\w+)\}/g, (_, name: keyof typeof known) => known[name]);
  const asked = fill(action.query);
  const to = `${fill(action.protocol).toLowerCase()}://${fill(action.host)}:${fill(action.port)}${fill(action.path)}`;
  return asked === '' ? to : `${to}?${asked}`;
}
