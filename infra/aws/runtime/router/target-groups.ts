import {
  DescribeTagsCommand,
  type ElasticLoadBalancingV2Client,
  type Rule,
  paginateDescribeRules,
  DescribeTargetHealthCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { colours } from '../../../model.ts';
import { firstOfTraffic } from '../../lib/routing-plan.ts';
import { calling, isMissing } from '../client/errors.ts';
import { targetsOf, type GroupOwner, type OwnerOf } from './rules.ts';
import type { Clients } from '../client/clients.ts';
import type { ServerState } from '../../../platform/router.ts';

/** Most resources that one DescribeTags call takes. */
const perCall = 20;

export interface OwnedGroup extends GroupOwner {
  arn: string;
}

export interface TargetGroups {
  /**
   * The target groups that the rules forward to. If a service of a colour has two, that of its header route comes
   * first.
   */
  of(rules: Rule[]): Promise<OwnedGroup[]>;
}

/** Finds the owners of target groups by their tags. Tags never change, so each group is queried once. */
export function createTargetGroups(balancer: ElasticLoadBalancingV2Client): TargetGroups {
  const known = new Map<string, GroupOwner | undefined>();

  const learn = async (arns: string[]): Promise<void> => {
    const ask = () => balancer.send(new DescribeTagsCommand({ ResourceArns: arns }));
    const answer = await calling('reading the tags of the target groups', () =>
      // A target group that was deleted since the rules were read (a preview's) makes the call fail for all.
      ask().catch((error: unknown) => (isMissing(error) ? undefined : Promise.reject(error as Error))),
    );
    if (answer === undefined && arns.length > 1) for (const arn of arns) await learn([arn]);
    for (const { ResourceArn, Tags = [] } of answer?.TagDescriptions ?? []) {
      const tag = (key: string) => Tags.find(({ Key }) => Key === key)?.Value;
      const colour = colours.find((candidate) => candidate === tag('colour'));
      const service = tag('service');
      const owner = colour === undefined || service === undefined ? undefined : { colour, service };
      if (ResourceArn !== undefined) known.set(ResourceArn, owner);
    }
  };

  return {
    async of(rules) {
      const inOrder = rules.toSorted((a, b) => rank(a) - rank(b));
      const arns = [...new Set(inOrder.flatMap(targetsOf).map(({ arn }) => arn))];
      const unknown = arns.filter((arn) => !known.has(arn));
      for (let i = 0; i < unknown.length; i += perCall) await learn(unknown.slice(i, i + perCall));
      return arns.flatMap((arn) => {
        const owner = known.get(arn);
        return owner === undefined ? [] : [{ arn, ...owner }];
      });
    },
  };
}

/** Header routes first. */
const rank = ({ Priority }: Rule): number => (Number(Priority) < firstOfTraffic ? 0 : 1);

/** Maps target groups to owners and back. */
export function owners(groups: OwnedGroup[]): { ownerOf: OwnerOf; arnOf: (owner: GroupOwner) => string | undefined } {
  return {
    ownerOf: (arn) => groups.find((group) => group.arn === arn),
    arnOf: ({ colour, service }) => groups.find((group) => group.colour === colour && group.service === service)?.arn,
  };
}

/** `targetgroup/<name>/<id>`: the value of CloudWatch's dimension `TargetGroup`. */
export const suffixOf = (arn: string): string => arn.slice(arn.indexOf(':targetgroup/') + 1);

/**
 * All rules of a listener, including the default. Rejects with AWS's error; the caller knows what the rules were for.
 */
export async function listenerRules({ balancer }: Pick<Clients, 'balancer'>, ListenerArn: string): Promise<Rule[]> {
  const found: Rule[] = [];
  for await (const { Rules = [] } of paginateDescribeRules({ client: balancer }, { ListenerArn })) found.push(...Rules);
  return found;
}

/** Targets in order of their addresses, without those that are draining. */
export async function serversOf({ balancer }: Pick<Clients, 'balancer'>, known: OwnedGroup[]): Promise<ServerState[]> {
  const states = known.map(async ({ arn, colour, service }) => {
    const { TargetHealthDescriptions = [] } = await calling(`reading the health of ${service} on ${colour}`, () =>
      balancer.send(new DescribeTargetHealthCommand({ TargetGroupArn: arn })),
    );
    return TargetHealthDescriptions.filter(({ TargetHealth }) => TargetHealth?.State !== 'draining')
      .map(({ Target, TargetHealth }) => ({ at: `${Target?.Id}:${Target?.Port}`, state: TargetHealth?.State }))
      .sort((a, b) => a.at.localeCompare(b.at, 'en', { numeric: true }))
      .map(({ state }, index) => ({ colour, service, instance: index + 1, healthy: state === 'healthy' }));
  });
  return (await Promise.all(states)).flat();
}
