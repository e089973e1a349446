import type { Action, Rule, RuleCondition } from '@aws-sdk/client-elastic-load-balancing-v2';
import { OperationError } from '../../../lib/errors.ts';
import { other, type Colour, type EnvironmentSpec, type Split } from '../../../model.ts';
import {
  firstOfTraffic,
  placeInFence,
  stickySeconds,
  trafficRules,
  type Condition,
  type PlannedRule,
} from '../../lib/routing-plan.ts';

/** Compares the listener's rules, as AWS returns them, with the plan by which they were created. Pure. */

export interface GroupOwner {
  colour: Colour;
  service: string;
}

/** The colour and service that a target group belongs to. Undefined if it belongs to no colour. */
export type OwnerOf = (targetGroupArn: string) => GroupOwner | undefined;

/** A planned rule that forwards to colours, with the rule in AWS that matches it. */
export interface Routed {
  name: string;
  service: string;
  /** Reads go by weight; the others (writes, reads after a write) to the live colour alone. */
  weighted: boolean;
  rule: Rule;
}

export interface MatchedRules {
  /** In the order of the plan: the first unweighted one decides which colour is live. */
  routed: Routed[];
  /** Names of planned rules that do not exist. */
  missing: string[];
  /** Rules of the write hold that are on. */
  up: Rule[];
  /** All rules of the write hold, on or off. */
  fence: Rule[];
}

/**
 * Matches rules by their conditions, which do not depend on the split. Rules with equal conditions are matched in order
 * of priority.
 */
export function matchRules(spec: EnvironmentSpec, rules: Rule[]): MatchedRules {
  // With a share for both colours, a rule's weights show whether it is weighted.
  const planned = trafficRules(spec, { live: 'blue', percent: 50 });
  const inOrder = rules
    .filter((rule) => rule.IsDefault !== true && Number(rule.Priority) >= firstOfTraffic)
    .sort((a, b) => Number(a.Priority) - Number(b.Priority));
  // A rule of the write hold may have the same conditions as a route, so it is recognised by its range of priorities.
  const byKey = Map.groupBy(inOrder, (rule) => keyOf(isOfFence(rule), (rule.Conditions ?? []).map(conditionKey)));
  const take = ({ to, conditions }: PlannedRule): Rule | undefined =>
    byKey.get(keyOf(to.kind === 'fence', conditions.map(plannedKey)))?.shift();
  const matched: MatchedRules = { routed: [], missing: [], up: [], fence: [] };
  for (const plan of planned) {
    const rule = take(plan);
    if (rule === undefined) matched.missing.push(plan.name);
    else if (plan.to.kind === 'fence') matched.fence.push(rule);
    else if (plan.to.kind === 'colours')
      matched.routed.push({
        name: plan.name,
        service: plan.to.service,
        weighted: Object.keys(plan.to.weights).length > 1,
        rule,
      });
  }
  matched.up = matched.fence.filter(({ Priority }) => placeInFence(Number(Priority)) === 'up');
  return matched;
}

const isOfFence = ({ Priority }: Rule): boolean => placeInFence(Number(Priority)) !== undefined;

const keyOf = (ofFence: boolean, conditions: string[]): string =>
  `${ofFence ? 'fence: ' : ''}${conditions.toSorted().join(' & ')}`;

function plannedKey(condition: Condition): string {
  const values = (condition.values as string[]).toSorted().join('|');
  return condition.kind === 'header'
    ? `header ${condition.name.toLowerCase()}=${values}`
    : `${condition.kind}=${values}`;
}

/** AWS returns the old form of a condition (`Values`), the new one, or both. */
function conditionKey(condition: RuleCondition): string {
  const { Field, Values = [] } = condition;
  const text = (values: string[] | undefined) => (values ?? Values).toSorted().join('|');
  switch (Field) {
    case 'path-pattern':
      return `path=${text(condition.PathPatternConfig?.Values)}`;
    case 'http-request-method':
      return `method=${text(condition.HttpRequestMethodConfig?.Values)}`;
    case 'http-header': {
      const { HttpHeaderName = '', Values: values } = condition.HttpHeaderConfig ?? {};
      return `header ${HttpHeaderName.toLowerCase()}=${text(values)}`;
    }
    default:
      return JSON.stringify(condition);
  }
}

/** The target groups that a rule forwards to, with their weights. AWS may return a single target in a short form. */
export function targetsOf(rule: Rule): { arn: string; weight: number }[] {
  const [action] = rule.Actions ?? [];
  if (action?.Type !== 'forward') return [];
  const groups = action.ForwardConfig?.TargetGroups ?? [];
  if (groups.length === 0 && action.TargetGroupArn !== undefined) return [{ arn: action.TargetGroupArn, weight: 1 }];
  return groups.flatMap(({ TargetGroupArn, Weight = 1 }) =>
    TargetGroupArn === undefined ? [] : [{ arn: TargetGroupArn, weight: Weight }],
  );
}

/**
 * The split that the rules implement. The first rule for the live colour decides which one that is: it is changed first
 * and restored last. The percentage is the largest of all routes. Undefined if there are no traffic rules. Throws an
 * OperationError if the rules make no sense.
 */
export function splitOf({ routed }: Pick<MatchedRules, 'routed'>, ownerOf: OwnerOf): Split | undefined {
  const first = routed.find(({ weighted }) => !weighted);
  const reads = routed.filter(({ weighted }) => weighted);
  if (first === undefined || reads.length === 0) return undefined;
  const colours = Object.keys(shares(first, ownerOf)) as Colour[];
  const [live] = colours;
  if (live === undefined || colours.length > 1)
    throw notUnderstood(`the rule ${first.name} sends to ${colours.join(' and ') || 'no colour'}`);
  const percents = reads.map((read) => {
    const found = shares(read, ownerOf);
    const all = Object.values(found).reduce((sum, weight) => sum + weight, 0);
    if (all === 0) throw notUnderstood(`the rule ${read.name} sends to no colour`);
    return Math.round((100 * (found[other(live)] ?? 0)) / all);
  });
  return { live, percent: Math.max(...percents) };
}

/**
 * The colours to which the rules for the live colour forward. More than one if a change of the rules was interrupted.
 */
export const liveColours = ({ routed }: Pick<MatchedRules, 'routed'>, ownerOf: OwnerOf): Colour[] => {
  const targets = routed.filter(({ weighted }) => !weighted).flatMap(({ rule }) => targetsOf(rule));
  return [...new Set(targets.flatMap(({ arn }) => ownerOf(arn)?.colour ?? []))];
};

/** Names of the routes that differ from the split: a change of the rules was interrupted. */
export function disagreeing({ routed }: Pick<MatchedRules, 'routed'>, split: Split, ownerOf: OwnerOf): string[] {
  const differs = (route: Routed): boolean => {
    const found = shares(route, ownerOf);
    const all = Object.values(found).reduce((sum, weight) => sum + weight, 0);
    const wanted = route.weighted ? split.percent : 0;
    return Math.round((100 * (found[other(split.live)] ?? 0)) / all) !== wanted;
  };
  return routed.filter(differs).map(({ name }) => name);
}

function shares({ name, rule }: Routed, ownerOf: OwnerOf): Partial<Record<Colour, number>> {
  const found: Partial<Record<Colour, number>> = {};
  for (const { arn, weight } of targetsOf(rule)) {
    const owner = ownerOf(arn);
    if (owner === undefined) throw notUnderstood(`the rule ${name} sends to ${arn}, which is no colour's`);
    // A target group of weight 0 gets no new requests.
    if (weight > 0) found[owner.colour] = (found[owner.colour] ?? 0) + weight;
  }
  return found;
}

/**
 * The action of a rule for a split, in the form in which the stack declares it. A colour without a share is left out,
 * because weight 0 has been set as 1 (pulumi-aws #5772), and stickiness is always given (#5771).
 */
export function actionFor({ weighted, service }: Routed, split: Split, arnOf: (owner: GroupOwner) => string): Action {
  const { live, percent } = split;
  const weights: [Colour, number][] = weighted
    ? [
        [live, 100 - percent],
        [other(live), percent],
      ]
    : [[live, 1]];
  const groups = weights
    .filter(([, weight]) => weight > 0)
    .map(([colour, weight]) => ({ TargetGroupArn: arnOf({ colour, service }), Weight: weight }));
  return {
    Type: 'forward',
    ForwardConfig: {
      TargetGroups: groups,
      TargetGroupStickinessConfig: { Enabled: groups.length > 1, DurationSeconds: stickySeconds },
    },
  };
}

/** Whether a rule already has the action, in whichever form AWS returns it. */
export function hasAction(rule: Rule, action: Action): boolean {
  const plain = (of: Rule) =>
    targetsOf(of)
      .map(({ arn, weight }) => `${arn} ${weight}`)
      .toSorted()
      .join();
  return plain(rule) === plain({ Actions: [action] }) && sticks(rule) === sticks({ Actions: [action] });
}

const sticks = ({ Actions }: Rule): boolean =>
  Actions?.[0]?.ForwardConfig?.TargetGroupStickinessConfig?.Enabled === true;

export const notUnderstood = (found: string): OperationError =>
  new OperationError(
    'reading the rules of the load balancer',
    found,
    "these are not this environment's rules: npm run resume, or bring the traffic stack up again",
  );
