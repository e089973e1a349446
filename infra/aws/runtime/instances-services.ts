import { DescribeServicesCommand, paginateListServices, type Service } from '@aws-sdk/client-ecs';
import type { Clients } from './clients.ts';
import { calling } from './errors.ts';
import type { GroupOwner } from './rules.ts';
import type { OwnedGroup } from './target-groups.ts';

export interface OwnedService extends GroupOwner {
  arn: string;
  /** In its cluster. */
  name: string;
  desired: number;
  running: number;
}

/** Services that one call describes. */
const perCall = 10;

/** The services of both colours: by their target groups, which say whose they are. Those that are going away are left out. */
export function ownedServices(
  { containers }: Pick<Clients, 'containers'>,
  cluster: string,
  groups: OwnedGroup[],
): Promise<OwnedService[]> {
  return calling('looking for the services', async () => {
    const arns: string[] = [];
    for await (const { serviceArns = [] } of paginateListServices({ client: containers }, { cluster })) arns.push(...serviceArns); // prettier-ignore
    const found: Service[] = [];
    for (let i = 0; i < arns.length; i += perCall) {
      const command = new DescribeServicesCommand({ cluster, services: arns.slice(i, i + perCall) });
      found.push(...((await containers.send(command)).services ?? []));
    }
    return found.flatMap(({ serviceArn, serviceName, status, loadBalancers = [], desiredCount = 0, runningCount = 0 }) => {
      const owner = groups.find(({ arn }) => loadBalancers.some(({ targetGroupArn }) => targetGroupArn === arn));
      if (owner === undefined || serviceArn === undefined || serviceName === undefined || status !== 'ACTIVE') return [];
      const { colour, service } = owner;
      return [{ colour, service, arn: serviceArn, name: serviceName, desired: desiredCount, running: runningCount }];
    }); // prettier-ignore
  });
}
