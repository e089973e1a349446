import {
  AddTagsCommand,
  DescribeTagsCommand,
  RemoveTagsCommand,
  type ElasticLoadBalancingV2Client,
  type Rule,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { leaseTag } from '../routing-plan.ts';
import { calling } from './errors.ts';
import type { MatchedRules } from './rules.ts';

/** Behind the time in the tag of a lease: the function of the fence does not read such a one as a time, and holds. */
export const underChange = 'under-change';

/** The lease of a hold, as a tag on the rules of the fence: the function behind them reads it (`fence/index.mjs`). */
export function fenceLease(balancer: ElasticLoadBalancingV2Client) {
  const arnsOf = (rules: Rule[]) => rules.flatMap(({ RuleArn }) => RuleArn ?? []);
  return {
    set(fence: Rule[], value: string, doing: string) {
      const Tags = [{ Key: leaseTag, Value: value }];
      return calling(doing, () => balancer.send(new AddTagsCommand({ ResourceArns: arnsOf(fence), Tags })));
    },

    /** Until when the fence's rules hold, ms since the epoch; 0 where they do not. `ends`: by itself. */
    async read({ up }: Pick<MatchedRules, 'up'>, doing: string): Promise<{ until: number; ends: boolean }> {
      const ResourceArns = arnsOf(up);
      if (ResourceArns.length === 0) return { until: 0, ends: true };
      const { TagDescriptions = [] } = await calling(doing, () =>
        balancer.send(new DescribeTagsCommand({ ResourceArns })),
      );
      const tags = TagDescriptions.flatMap(({ Tags = [] }) => Tags.filter(({ Key }) => Key === leaseTag));
      const values = tags.map(({ Value = '' }) => Value);
      const until = Math.max(0, ...values.map((value) => Number.parseInt(value)).filter(Number.isFinite));
      return { until, ends: !values.some((value) => value.endsWith(underChange)) };
    },

    remove: (fence: Rule[], doing: string) =>
      calling(doing, () => balancer.send(new RemoveTagsCommand({ ResourceArns: arnsOf(fence), TagKeys: [leaseTag] }))),
  };
}
