import type * as pulumi from '@pulumi/pulumi';
import { colours, other, type Colour, type EnvironmentSpec, type Split } from '../../model.ts';

/**
 * The rules of the listener as plain data, in the terms of an Application Load Balancer: it takes the first rule, by
 * priority, of which all conditions hold. The same decisions as the local entry point's, as far as a rule can say them.
 */

/** A condition holds when one of its values matches. */
export type Condition =
  | { kind: 'path'; values: string[] }
  | { kind: 'method'; values: string[] }
  | { kind: 'header'; name: string; values: pulumi.Input<string>[] };

/** Where a rule sends a request: shares of a service's colours, to the fence, or nowhere. */
export type Destination =
  { kind: 'colours'; service: string; weights: Partial<Record<Colour, number>> } | { kind: 'fence' } | { kind: 'none' };

export interface PlannedRule {
  /** Within the stack; also the rule's name in AWS, by its tag. */
  name: string;
  priority: number;
  conditions: Condition[];
  to: Destination;
}

/** Where in the order of rules each kind begins. */
export const priorities = {
  header: { blue: 100, green: 200 },
  /** Here the fence's rules hold writes: behind the header routes, before everything else. */
  fenceUp: 1000,
  routes: 2000,
  /** Here they wait, behind rules that match every write. */
  fenceDown: 40_000,
} as const;

/**
 * Seconds for which a client stays with the colour that its first read went to: a page and what belongs to it come from one
 * version. Short, so that the observed share follows the weights within a step.
 */
export const stickySeconds = 60;

/** Begin of the names of the fence's rules. */
export const fenceName = 'fence';

/** Tag on the fence's rules: when the hold ends by itself, ms since the epoch; not by itself where a word follows (`fence-lease.ts`). */
export const leaseTag = 'greenlight-hold-until';

/** A rule's name as its tag `Name` has it: without what a path may have and a tag may not. */
export const ruleTag = (name: string): string => name.replaceAll(/[^\w+=.:/@-]/g, '_');

/** Strings that one condition takes, and one rule, says the guide of Elastic Load Balancing. */
const valuesPerCondition = 3;
const valuesPerRule = 5;
/** Rules of a load balancer, without its default rules; the quota can be raised, and then this. */
export const rulesPerBalancer = 100;

interface Route {
  prefix: string;
  service: string;
}

/** Longest prefix first: rules are made in this order, so the longest that matches decides. */
export const routesOf = ({ services }: Pick<EnvironmentSpec, 'services'>): Route[] =>
  services
    .flatMap(({ name, routes }) => routes.map((prefix) => ({ prefix, service: name })))
    .sort((a, b) => b.prefix.length - a.prefix.length || (a.prefix < b.prefix ? -1 : 1));

/** All that begins with a prefix; what is a wildcard to the balancer is no part of a route. */
export function below(prefix: string): { kind: 'path'; values: [string] } {
  if (/[*?]/.test(prefix)) throw new Error(`the path ${prefix} has a wildcard: on AWS a route is a plain prefix`);
  return { kind: 'path', values: [`${prefix}*`] };
}

const cookie = (name: string): Condition => ({ kind: 'header', name: 'cookie', values: [`*${name}=*`] });

/** Set by the application on its answer to a write, as a balancer of AWS cannot set cookies; see docs/aws.md. */
const hasWritten = cookie('greenlight_wrote');

const chunks = <T>(list: T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));

/** Requests with the header route's headers, to one colour whatever the split says. Made with the colour. */
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

/** Rules of the traffic stack for a split. Throws an Error where a balancer cannot hold as many. */
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
      `the routes need ${all} rules, and a load balancer has ${rulesPerBalancer}: fewer routes, or a raised quota`,
    );
  return planned;
}

const numbered = (rules: Omit<PlannedRule, 'priority'>[], from: number): PlannedRule[] =>
  rules.map((rule, index) => ({ ...rule, priority: from + index }));

type Rule = Omit<PlannedRule, 'priority'>;

/** What matches every write, whichever service it is for. */
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
 * A write that proves where the fence is: the fence takes it where it is up, and else the rule below it, which answers 404
 * itself. So it never reaches the application. Undefined where nothing is a write.
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

/** Writes to the live colour; reads of who has just written too; the other reads by weight. */
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
 * A colour without a share is left out, instead of having the weight 0: that has been set as 1 (pulumi-aws #5772), and
 * clients that stick to a colour stay with it at weight 0.
 */
function readWeights({ live, percent }: Split): Partial<Record<Colour, number>> {
  const shares = [[live, 100 - percent] as const, [other(live), percent] as const];
  return Object.fromEntries(shares.filter(([, share]) => share > 0));
}

/** The listener's own default says that nothing is live, which is not so any more. */
const notFound = (routes: Route[]): Rule[] =>
  routes.some(({ prefix }) => prefix === '/')
    ? []
    : [{ name: 'not-found', conditions: [below('/')], to: { kind: 'none' } }];
