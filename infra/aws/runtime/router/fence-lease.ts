import {
  AddTagsCommand,
  DescribeTagsCommand,
  RemoveTagsCommand,
  type ElasticLoadBalancingV2Client,
  type Rule,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { OperationError } from '../../../lib/errors.ts';
import { leaseTag, writesTag } from '../../lib/routing-plan.ts';
import { dateMs, dateOfAnswer } from '../client/answer-date.ts';
import { calling } from '../client/errors.ts';

/**
 * Suffix of the time in the lease's tag. The function cannot parse such a value as a time, so it keeps holding writes.
 */
export const underChange = 'under-change';

export interface FenceState {
  /** End of the lease, ms since the epoch; 0 if the rules have none. */
  until: number;
  /** Whether the hold ends by itself at that time. */
  ends: boolean;
  /** Whether writes are refused, and not held. */
  refuses: boolean;
  /** Latest possible time by AWS's clock, ms since the epoch. The function that ends a hold uses that clock too. */
  now: number;
}

/** State of a write hold that is off. */
export const resting: FenceState = { until: 0, ends: true, refuses: false, now: 0 };

/** The lease of a write hold, as a tag on its rules. The function behind them reads it (`fence/index.mjs`). */
export function fenceLease(balancer: ElasticLoadBalancingV2Client) {
  const arnsOf = (rules: Rule[]) => rules.flatMap(({ RuleArn }) => RuleArn ?? []);
  return {
    /** `writes`: what happens to writes from now on; absent: the same as before. */
    async set(
      fence: Rule[],
      value: string,
      doing: string,
      writes?: 'held' | 'refused',
    ): Promise<Pick<FenceState, 'now'>> {
      const kind = writes === undefined ? [] : [{ Key: writesTag, Value: writes }];
      const Tags = [{ Key: leaseTag, Value: value }, ...kind];
      const command = new AddTagsCommand({ ResourceArns: arnsOf(fence), Tags });
      const date = dateOfAnswer(command);
      await calling(doing, () => balancer.send(command));
      return { now: latest(date(), doing) };
    },

    async read(fence: Rule[], doing: string): Promise<FenceState> {
      const command = new DescribeTagsCommand({ ResourceArns: arnsOf(fence) });
      const date = dateOfAnswer(command);
      const { TagDescriptions = [] } = await calling(doing, () => balancer.send(command));
      const all = TagDescriptions.flatMap(({ Tags = [] }) => Tags);
      const valuesOf = (key: string) => all.filter(({ Key }) => Key === key).map(({ Value = '' }) => Value);
      const values = valuesOf(leaseTag);
      const until = Math.max(0, ...values.map((value) => Number.parseInt(value)).filter(Number.isFinite));
      const ends = !values.some((value) => value.endsWith(underChange));
      return { until, ends, refuses: valuesOf(writesTag).includes('refused'), now: latest(date(), doing) };
    },

    remove: (fence: Rule[], doing: string) =>
      calling(doing, () =>
        balancer.send(new RemoveTagsCommand({ ResourceArns: arnsOf(fence), TagKeys: [leaseTag, writesTag] })),
      ),
  };
}

function latest(date: number, doing: string): number {
  if (Number.isNaN(date))
    throw new OperationError(
      doing,
      'the answer of AWS has no Date header',
      'check that no proxy removes it, then repeat the command',
    );
  return date + dateMs;
}
