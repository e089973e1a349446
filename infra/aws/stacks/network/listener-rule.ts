import type * as pulumi from '@pulumi/pulumi';
import { ListenerRule } from '@pulumi/aws/lb/listenerRule.js';
import type { Colour } from '../../../model.ts';
import type { Place } from '../../lib/place.ts';
import { ruleTag, stickySeconds, type Condition, type PlannedRule } from '../../lib/routing-plan.ts';

export interface Targets {
  colour: (service: string, colour: Colour) => pulumi.Input<string>;
  fence: pulumi.Input<string>;
}

/**
 * Declares a planned rule. Weights must not be in `ignoreChanges`: the provider resets what is ignored (pulumi-aws
 * #5798).
 */
export const listenerRule = (
  plan: PlannedRule,
  { listenerArn, targets, place }: { listenerArn: pulumi.Input<string>; targets: Targets; place: Place },
  parent: pulumi.Resource,
): ListenerRule =>
  new ListenerRule(
    `${place.environment}-${plan.name}`,
    {
      listenerArn,
      priority: plan.priority,
      conditions: plan.conditions.map(condition),
      actions: [action(plan.to, targets)],
      tags: { ...place.tags, Name: ruleTag(plan.name) },
    },
    // Two rules cannot share a priority, not even during a replacement.
    { parent, deleteBeforeReplace: true },
  );

function condition(planned: Condition) {
  switch (planned.kind) {
    case 'path':
      return { pathPattern: { values: planned.values } };
    case 'method':
      return { httpRequestMethod: { values: planned.values } };
    case 'header':
      return { httpHeader: { httpHeaderName: planned.name, values: planned.values } };
  }
}

function action(to: PlannedRule['to'], targets: Targets) {
  switch (to.kind) {
    case 'none':
      return {
        type: 'fixed-response',
        fixedResponse: { statusCode: '404', contentType: 'text/plain', messageBody: 'Not found' },
      };
    case 'fence':
      return forward([{ arn: targets.fence, weight: 1 }]);
    case 'colours': {
      const weights = Object.entries(to.weights) as [Colour, number][];
      return forward(weights.map(([colour, weight]) => ({ arn: targets.colour(to.service, colour), weight })));
    }
  }
}

/**
 * Always the form with `targetGroups`, also for one target: AWS returns both forms, and a change of the form is a diff.
 * Stickiness is given also when it is off, because AWS returns it (pulumi-aws #5771).
 */
const forward = (targetGroups: { arn: pulumi.Input<string>; weight: number }[]) => ({
  type: 'forward',
  forward: { targetGroups, stickiness: { enabled: targetGroups.length > 1, duration: stickySeconds } },
});
