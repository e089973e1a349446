import type * as pulumi from '@pulumi/pulumi';
import { colours, other, type Colour, type EnvironmentSpec, type Split } from '../../model.ts';

/**
 * The listener's rules as plain data, in the terms of an Application Load Balancer: it takes the first rule, by
 * priority, whose conditions all match. They decide like the local entry point, as far as a rule can express it.
 */

/** A condition matches if one of its values does. */
export type Condition =
  | { kind: 'path'; values: string[] }
  | { kind: 'method'; values: string[] }
  | { kind: 'header'; name: string; values: pulumi.Input<string>[] };

/** Where a rule sends a request: to colours of a service by weight, to the write hold's function, or nowhere (404). */
export type Destination =
  { kind: 'colours'; service: string; weights: Partial<Record<Colour, number>> } | { kind: 'fence' } | { kind: 'none' };

export interface PlannedRule {
  /** Unique in the stack. Also the rule's tag `Name` in AWS (`ruleTag`). */
  name: string;
  priority: number;
  conditions: Condition[];
  to: Destination;
}

/** First priority of each kind of rule. A rule cannot say "every other method", so the reads come before the writes. */
export const priorities = {
  header: { blue: 100, green: 200 },
  /** Paths that write, WebSockets, and reads. */
  routes: 3000,
  /** Whatever no rule before has matched. */
  writes: 35_000,
} as const;

/**
 * Where hold rules are on (from `up` until before `end`), and off (from `down`): behind rules that match every write, so that no request reaches them. Those
 * for what writes whatever its method come after the header routes and before everything else. The rule for all the rest comes between reads and writes.
 * One place would not do, as no rule can say "unless it reads". Both places are left and taken in the same call, by the run time and by the function.
 */
export const fencePlaces = {
  named: { up: 1000, end: 2000, down: 40_000 },
  rest: { up: 30_000, end: 31_000, down: 45_000 },
} as const;

/** Every rule from here on belongs to the traffic stack. */
export const firstOfTraffic = fencePlaces.named.up;

/** Whether a rule of this priority belongs to the write hold, and is on or off. */
export function placeInFence(priority: number): 'up' | 'down' | undefined {
  if (priority >= fencePlaces.named.down) return 'down';
  return Object.values(fencePlaces).some(({ up, end }) => priority >= up && priority < end) ? 'up' : undefined;
}

/** The priority of a hold rule at the place where it is on or off. `priority`: that which it has now. */
export function movedInFence(priority: number, to: 'up' | 'down'): number {
  const from = placeInFence(priority) ?? 'down';
  const { named, rest } = fencePlaces;
  const place = priority >= rest[from] ? rest : named;
  return place[to] + priority - place[from];
}

/**
 * Seconds for which a client stays with the colour of its first read, so that a page and its resources come from one
 * version. Short, so that within a canary step the observed share follows the weights.
 */
export const stickySeconds = 60;

/** Prefix of the names of the hold rules. */
export const fenceName = 'fence';

/**
 * Tag of the hold rules: when the hold ends by itself, ms since the epoch. A value that is no number disables that
 * (`fence-lease.ts`).
 */
export const leaseTag = 'greenlight-hold-until';

/**
 * Tag of the hold rules with the value `refused` where writes are refused, and `held` where they are held. The function answers both 503: a
 * client is to repeat a held write at once, and a refused one later.
 */
export const writesTag = 'greenlight-writes';

/** The environment variables of the function that answers held writes. `listenerArn`: a string, or the engine's output. */
export const fenceVariables = <T>(listenerArn: T) => ({
  LISTENER_ARN: listenerArn,
  LEASE_TAG: leaseTag,
  WRITES_TAG: writesTag,
  FENCE_PLACES: JSON.stringify(Object.values(fencePlaces)),
});

/** A rule's name as the value of its tag `Name`: characters that a tag may not contain are replaced. */
export const ruleTag = (name: string): string => name.replaceAll(/[^\w+=.:/@-]/g, '_');

/** Quota of the Elastic Load Balancing guide. A rule may have five values in all: a path, a cookie and three methods. */
const valuesPerCondition = 3;
/** Quota of rules per load balancer, without default rules. If AWS raises an account's quota, raise this as well. */
export const rulesPerBalancer = 100;

interface Route {
  prefix: string;
  service: string;
}

/** Longest prefix first: priorities follow this order, so that the longest matching prefix wins. */
export const routesOf = ({ services }: Pick<EnvironmentSpec, 'services'>): Route[] =>
  services
    .flatMap(({ name, routes }) => routes.map((prefix) => ({ prefix, service: name })))
    .sort((a, b) => b.prefix.length - a.prefix.length || (a.prefix < b.prefix ? -1 : 1));

/**
 * Matches paths that begin with a prefix. Throws an Error if the prefix contains a wildcard of the balancer (`*` or
 * `?`).
 */
export function below(prefix: string): { kind: 'path'; values: [string] } {
  if (/[*?]/.test(prefix)) throw new Error(`the path ${prefix} has a wildcard: on AWS a route is a plain prefix`);
  return { kind: 'path', values: [`${prefix}*`] };
}

const cookie = (name: string): Condition => ({ kind: 'header', name: 'cookie', values: [`*${name}=*`] });

/**
 * The application sets this cookie on its answer to a write, because an AWS balancer cannot set cookies (docs/aws.md).
 */
const hasWritten = cookie('greenlight_wrote');

/** The handshake of a WebSocket. It goes where writes go. */
const upgrades: Condition = { kind: 'header', name: 'upgrade', values: ['websocket'] };

const chunks = <T>(list: T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));

/**
 * Rules that send requests with the header route's headers to one colour, whatever the split. Declared with the colour.
 */
export function headerRules(
  spec: EnvironmentSpec,
  colour: Colour,
  secret: pulumi.Input<string>,
): (PlannedRule & Route)[] {
  const headers: Condition[] = [
    { kind: 'header', name: 'x-greenlight-colour', values: [colour] },
    { kind: 'header', name: 'x-greenlight-secret', values: [secret] },
  ];
  return routesOf(spec).map(({ prefix, service }, index) => ({
    prefix,
    service,
    name: `${colour}-header-${index}`,
    priority: priorities.header[colour] + index,
    conditions: [below(prefix), ...headers],
    to: { kind: 'colours', service, weights: { [colour]: 1 } },
  }));
}

/** Rules of the traffic stack for a split. Throws an Error if there are more than `rulesPerBalancer`. */
export function trafficRules(spec: EnvironmentSpec, split: Split): PlannedRule[] {
  const routes = routesOf(spec);
  // Behind the hold rule that matches it, and before what would send it to the application.
  const byPath = spec.writes.paths.some((path) => fenceProof(spec).path.startsWith(path));
  const planned = [
    ...numbered(namedFence(spec), fencePlaces.named.down),
    ...numbered([restOfFence], fencePlaces.rest.down),
    ...numbered(
      [...(byPath ? [proof(spec)] : []), ...routes.flatMap((route) => readsOfRoute(spec, route, split))],
      priorities.routes,
    ),
    ...numbered(
      [...(byPath ? [] : [proof(spec)]), ...routes.map((route) => restOfRoute(route, split)), ...notFound(routes)],
      priorities.writes,
    ),
  ];
  const all = planned.length + colours.length * routes.length;
  if (all > rulesPerBalancer)
    throw new Error(
      `the routes need ${all} rules, and a load balancer takes ${rulesPerBalancer}: use fewer routes, or have AWS raise the quota and change rulesPerBalancer`,
    );
  return planned;
}

const numbered = (rules: Omit<PlannedRule, 'priority'>[], from: number): PlannedRule[] =>
  rules.map((rule, index) => ({ ...rule, priority: from + index }));

type Rule = Omit<PlannedRule, 'priority'>;

/** The hold rules for what writes whatever its method. */
function namedFence({ writes }: EnvironmentSpec): Rule[] {
  const conditions: Condition[] = [
    upgrades,
    ...chunks(
      writes.paths.flatMap((path) => below(path).values),
      valuesPerCondition,
    ).map((values): Condition => ({ kind: 'path', values })),
  ];
  return conditions.map((condition, index) => ({
    name: `${fenceName}-${index}`,
    conditions: [condition],
    to: { kind: 'fence' },
  }));
}

/** Where it is on, all reads have found their rule before it. */
const restOfFence: Rule = { name: `${fenceName}-rest`, conditions: [below('/')], to: { kind: 'fence' } };

/**
 * A write that shows whether writes are held. If they are, a hold rule matches it and it gets 503. If not, the rule
 * `proof` below answers 404. It never reaches the application.
 */
export function fenceProof({ writes }: Pick<EnvironmentSpec, 'writes'>): { method: string; path: string } {
  const method = ['POST', 'PUT', 'PATCH', 'DELETE'].find((one) => !writes.reads.includes(one)) ?? 'GREENLIGHT';
  return { method, path: '/.greenlight/fence' };
}

const proof = (spec: EnvironmentSpec): Rule => ({
  name: 'proof',
  conditions: [below(fenceProof(spec).path)],
  to: { kind: 'none' },
});

/** What reads here. The balancer itself answers TRACE, by 405. */
const readMethods = ({ writes }: EnvironmentSpec): Condition[] =>
  chunks(
    writes.reads.filter((method) => method !== 'TRACE'),
    valuesPerCondition,
  ).map((values) => ({ kind: 'method', values }));

/**
 * What is decided before the reads go by weight: paths that write, WebSockets, and reads of clients that have just written go to the live
 * colour.
 */
function readsOfRoute(spec: EnvironmentSpec, { prefix, service }: Route, split: Split): Rule[] {
  const here = below(prefix);
  const toLive: Destination = { kind: 'colours', service, weights: { [split.live]: 1 } };
  const name = (kind: string) => `${kind}-${service}${prefix}`;
  const byPath = spec.writes.paths
    .filter((path) => path.startsWith(prefix) || prefix.startsWith(path))
    .map((path, index): Rule => {
      const narrower = path.length > prefix.length ? path : prefix;
      return { name: name(`write-path-${index}`), conditions: [below(narrower)], to: toLive };
    });
  const each = (kind: string, more: Condition[], to: Destination): Rule[] =>
    readMethods(spec).map((method, index) => ({
      name: name(index === 0 ? kind : `${kind}-${index}`),
      conditions: [here, method, ...more],
      to,
    }));
  return [
    ...byPath,
    { name: name('upgrades'), conditions: [here, upgrades], to: toLive },
    ...each('wrote', [hasWritten], toLive),
    ...each('reads', [], { kind: 'colours', service, weights: readWeights(split) }),
  ];
}

/** Every request that is no read. */
const restOfRoute = ({ prefix, service }: Route, { live }: Split): Rule => ({
  name: `writes-${service}${prefix}`,
  conditions: [below(prefix)],
  to: { kind: 'colours', service, weights: { [live]: 1 } },
});

/**
 * A colour without a share is left out instead of getting weight 0: the provider has set 0 as 1 (pulumi-aws #5772), and
 * clients that stick to a colour stay with it at weight 0.
 */
function readWeights({ live, percent }: Split): Partial<Record<Colour, number>> {
  const shares = [[live, 100 - percent] as const, [other(live), percent] as const];
  return Object.fromEntries(shares.filter(([, share]) => share > 0));
}

/** The listener's default action says that nothing is live yet, so paths without a route need a 404 of their own. */
const notFound = (routes: Route[]): Rule[] =>
  routes.some(({ prefix }) => prefix === '/')
    ? []
    : [{ name: 'not-found', conditions: [below('/')], to: { kind: 'none' } }];
