import { DescribeTargetHealthCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { ServerState } from '../../platform.ts';
import type { Clients } from './clients.ts';
import { calling } from './errors.ts';
import type { OwnedGroup } from './target-groups.ts';

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
