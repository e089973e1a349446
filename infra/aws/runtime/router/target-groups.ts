import {
  DescribeTagsCommand,
  type ElasticLoadBalancingV2Client,
  type Rule,
  paginateDescribeRules,
  DescribeTargetHealthCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { colours } from '../../../model.ts';
import { priorities } from '../../lib/routing-plan.ts';
import { calling, isMissing } from '../client/errors.ts';
import { targetsOf, type GroupOwner, type OwnerOf } from './rules.ts';
import type { Clients } from '../client/clients.ts';
import type { ServerState } from '../../../platform/router.ts';

/** Resources that one call describes. */
const perCall = 20;

export interface OwnedGroup extends GroupOwner {
  arn: string;
}

export interface TargetGroups {
  /** Those that the rules send to. Where a service of a colour has two, the one of its header route comes first. */
  of(rules: Rule[]): Promise<OwnedGroup[]>;
}

/** Whose the target groups of an environment are, by their tags. These never change, so each is asked for once. */
export function createTargetGroups(balancer: ElasticLoadBalancingV2Client): TargetGroups {
  const known = new Map<string, GroupOwner | undefined>();

  const learn = async (arns: string[]): Promise<void> => {
    const ask = () => balancer.send(new DescribeTagsCommand({ ResourceArns: arns }));
    const answer = await calling('reading the tags of the target groups', () =>
      // One that went away since the rules were read (a preview's) spoils the call for all.
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
const rank = ({ Priority }: Rule): number => (Number(Priority) < priorities.fenceUp ? 0 : 1);

/** Looks up in both directions. */
export function owners(groups: OwnedGroup[]): { ownerOf: OwnerOf; arnOf: (owner: GroupOwner) => string | undefined } {
  return {
    ownerOf: (arn) => groups.find((group) => group.arn === arn),
    arnOf: ({ colour, service }) => groups.find((group) => group.colour === colour && group.service === service)?.arn,
  };
}

/** `targetgroup/<name>/<id>`, as the dimensions of CloudWatch have it. */
export const suffixOf = (arn: string): string => arn.slice(arn.indexOf(':targetgroup/') + 1);

/** All rules of a listener, its default one too. Rejects with AWS's own error: the caller knows what it was for. */
export async function listenerRules({ balancer }: Pick<Clients, 'balancer'>, ListenerArn: string): Promise<Rule[]> {
  const found: Rule[] = [];
  for await (const { Rules = [] } of paginateDescribeRules({ client: balancer }, { ListenerArn })) found.push(...Rules);
  return found;
}

/** Targets in the order of their addresses; those that are being taken away are left out. */
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
