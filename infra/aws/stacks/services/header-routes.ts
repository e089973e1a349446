import * as pulumi from '@pulumi/pulumi';
import type { ListenerRule } from '@pulumi/aws/lb/listenerRule.js';
import type { TargetGroup } from '@pulumi/aws/lb/targetGroup.js';
import type { Colour, ServiceSpec } from '../../../model.ts';
import type { FoundationOutputs } from '../../lib/foundation-reference.ts';
import { listenerRule } from '../network/listener-rule.ts';
import type { Place } from '../../lib/place.ts';
import { headerRules } from '../../lib/routing-plan.ts';

export interface HeaderRoutesArgs {
  colour: Colour;
  service: ServiceSpec;
  foundation: FoundationOutputs;
  routeSecret: pulumi.Input<string>;
  targetGroup: TargetGroup;
}

/**
 * Rules that route marked requests to one colour's service: for smoke tests, and to prove a colour before it gets
 * traffic.
 */
export function headerRoutes(args: HeaderRoutesArgs, place: Place, parent: pulumi.Resource): ListenerRule[] {
  const { colour, service, foundation, targetGroup } = args;
  const secret = pulumi.secret(args.routeSecret);
  const targets = { colour: () => targetGroup.arn, fence: foundation.fenceTargetGroupArn };
  return headerRules(foundation.spec, colour, secret)
    .filter((rule) => rule.service === service.name)
    .map((rule) => listenerRule(rule, { listenerArn: foundation.listenerArn, targets, place }, parent));
}
