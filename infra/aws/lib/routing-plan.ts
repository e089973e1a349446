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

/** First priority of each kind of rule. */
export const priorities = {
  header: { blue: 100, green: 200 },
  /** Hold rules that are on: after the header routes, before everything else. */
  fenceUp: 1000,
  routes: 2000,
  /** Hold rules that are off: after rules that match every write, so that no request reaches them. */
  fenceDown: 40_000,
} as const;

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

/** A rule's name as the value of its tag `Name`: characters that a tag may not contain are replaced. */
export const ruleTag = (name: string): string => name.replaceAll(/[^\w+=.:/@-]/g, '_');

/** Quotas of the Elastic Load Balancing guide: values per condition and per rule. */
const valuesPerCondition = 3;
const valuesPerRule = 5;
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
  const planned = [
    ...numbered(fence(spec), priorities.fenceDown),
    ...numbered(
      [...proof(spec), ...routes.flatMap((route) => rulesOfRoute(spec, route, split)), ...notFound(routes)],
      priorities.routes,
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

/** The hold rules. Together they match every write to any service. */
function fence({ writes }: EnvironmentSpec): Rule[] {
  const conditions: Condition[] = [
    ...chunks(writes.methods, valuesPerCondition).map((values): Condition => ({ kind: 'method', values })),
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

/**
 * A write that shows whether writes are held. If they are, a hold rule matches it and it gets 503. If not, the rule
 * `proof` below answers 404. It never reaches the application. Undefined if the application declares no writes.
 */
export function fenceProof({ writes }: Pick<EnvironmentSpec, 'writes'>): { method: string; path: string } | undefined {
  const [method] = writes.methods;
  if (method !== undefined) return { method, path: '/.greenlight/fence' };
  const [path] = writes.paths;
  return path === undefined ? undefined : { method: 'GET', path: `${path.replace(/\/$/, '')}/.greenlight/fence` };
}

function proof(spec: EnvironmentSpec): Rule[] {
  const request = fenceProof(spec);
  return request === undefined ? [] : [{ name: 'proof', conditions: [below(request.path)], to: { kind: 'none' } }];
}

/** Writes, and reads of clients that have just written, go to the live colour. Other reads are split by weight. */
function rulesOfRoute({ writes }: EnvironmentSpec, { prefix, service }: Route, split: Split): Rule[] {
  const { live } = split;
  const here = below(prefix);
  const toLive: Destination = { kind: 'colours', service, weights: { [live]: 1 } };
  const name = (kind: string) => `${kind}-${service}${prefix}`;
  const byMethod = chunks(writes.methods, Math.min(valuesPerCondition, valuesPerRule - here.values.length)).map(
    (values, index): Rule => ({
      name: name(`writes-${index}`),
      conditions: [here, { kind: 'method', values }],
      to: toLive,
    }),
  );
  const byPath = writes.paths
    .filter((path) => path.startsWith(prefix) || prefix.startsWith(path))
    .map((path, index): Rule => {
      const narrower = path.length > prefix.length ? path : prefix;
      return { name: name(`write-path-${index}`), conditions: [below(narrower)], to: toLive };
    });
  return [
    ...byMethod,
    ...byPath,
    { name: name('wrote'), conditions: [here, hasWritten], to: toLive },
    { name: name('reads'), conditions: [here], to: { kind: 'colours', service, weights: readWeights(split) } },
  ];
}

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
