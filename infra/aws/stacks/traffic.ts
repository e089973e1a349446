import type * as pulumi from '@pulumi/pulumi';
import { other, type Colour, type EnvironmentName, type Split } from '../../model.ts';
import {
  readFoundation,
  readTargetGroups,
  type FoundationOutputs,
  type TargetGroupArns,
} from '../lib/foundation-reference.ts';
import { listenerRule } from './network/listener-rule.ts';
import { accountProvider, Component, placeOf, type Place } from '../lib/place.ts';
import { trafficRules } from '../lib/routing-plan.ts';
import type { AwsSettings } from '../lib/settings.ts';

export async function trafficStack(
  environment: EnvironmentName,
  split: Split,
  settings: AwsSettings,
): Promise<Record<string, pulumi.Input<unknown>>> {
  const { foundation } = await readFoundation(environment);
  const place = placeOf(environment, foundation.spec.application, settings);
  // A colour without a share is not read: it may have no version, and so no target groups.
  const inUse: Colour[] = split.percent === 0 ? [split.live] : [split.live, other(split.live)];
  const read = inUse.map(async (colour) => [colour, await readTargetGroups(environment, colour)] as const);
  const targetGroups = new Map(await Promise.all(read));
  const traffic = new Traffic({ foundation, split, targetGroups }, place, { providers: [accountProvider(place)] });
  return { split, rules: traffic.rules };
}

interface TrafficArgs {
  foundation: FoundationOutputs;
  split: Split;
  targetGroups: Map<Colour, TargetGroupArns>;
}

/** The listener's rules, which decide who gets which requests. All of them follow from the split. */
class Traffic extends Component {
  /** ARNs of the rules by name. One call switches the hold rules on or off, by changing their priorities. */
  readonly rules: Record<string, pulumi.Output<string>>;

  constructor(
    { foundation, split, targetGroups }: TrafficArgs,
    place: Place,
    options: pulumi.ComponentResourceOptions,
  ) {
    super('Traffic', `${place.environment}-traffic`, place, options);
    const { listenerArn, fenceTargetGroupArn } = foundation;
    const colour = (service: string, of: Colour): string => {
      const arn = targetGroups.get(of)?.[service];
      if (arn === undefined)
        throw new Error(`${of} has no target group of the service ${service}: bring the colour up first`);
      return arn;
    };
    const where = { listenerArn, targets: { colour, fence: fenceTargetGroupArn }, place };
    const planned = trafficRules(foundation.spec, split);
    this.rules = Object.fromEntries(planned.map((rule) => [rule.name, listenerRule(rule, where, this).arn]));
    this.registerOutputs({});
  }
}
