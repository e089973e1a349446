import {
  DescribeTasksCommand,
  StopTaskCommand,
  paginateListTasks,
  type Task,
  DescribeServicesCommand,
  paginateListServices,
  type Service,
} from '@aws-sdk/client-ecs';
import { DescribeLoadBalancersCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import { OperationError } from '../../../lib/errors.ts';
import { colours, type Colour, type EnvironmentSpec } from '../../../model.ts';
import type { Instances, InstanceState } from '../../../platform/instances.ts';
import type { FoundationOutputs } from '../../lib/foundation-reference.ts';
import { databaseIdentifier } from '../../lib/place.ts';
import type { Clients } from '../client/clients.ts';
import { describeInstance, instanceState } from '../databases/instance.ts';
import { calling } from '../client/errors.ts';
import type { OwnedGroup } from '../router/target-groups.ts';
import { until } from '../client/waiting.ts';
import type { GroupOwner } from '../router/rules.ts';

export interface AwsInstancesOptions {
  clients: Pick<Clients, 'containers' | 'databases' | 'balancer'>;
  foundation: Pick<FoundationOutputs, 'cluster' | 'listenerArn'>;
  spec: EnvironmentSpec;
  targetGroups: () => Promise<OwnedGroup[]>;
  /** Longest wait until a stopped task is replaced, ms. Pulling the image and two good health checks take a minute. */
  startMs?: number;
  pollMs?: number;
}

/** Most tasks that one DescribeTasks call takes. */
const perCall = 100;

/**
 * The running instances of an environment on AWS: tasks of services (numbered by age), databases and the load balancer.
 */
export function createAwsInstances(options: AwsInstancesOptions): Instances {
  const { clients, foundation, spec, targetGroups, startMs = 5 * 60_000, pollMs = 2_000 } = options;
  const cluster = foundation.cluster.arn;
  const numbers = new Numbers();

  const services = async () => ownedServices(clients, cluster, await targetGroups());

  const tasksOf = ({ name }: OwnedService): Promise<Task[]> =>
    calling('looking for the tasks', async () => {
      const arns: string[] = [];
      for await (const page of paginateListTasks({ client: clients.containers }, { cluster, serviceName: name }))
        arns.push(...(page.taskArns ?? []));
      const found: Task[] = [];
      for (let i = 0; i < arns.length; i += perCall) {
        const command = new DescribeTasksCommand({ cluster, tasks: arns.slice(i, i + perCall) });
        found.push(...((await clients.containers.send(command)).tasks ?? []));
      }
      return found.filter(({ desiredStatus }) => desiredStatus !== 'STOPPED');
    });

  const numbered = async (service: OwnedService): Promise<{ id: string; task: Task }[]> => {
    const group = `${service.service}.${service.colour}`;
    const tasks = await tasksOf(service);
    const known = numbers.of(
      group,
      tasks.map(({ taskArn = '', createdAt }) => ({ arn: taskArn, createdAt: createdAt?.getTime() ?? 0 })),
    );
    return tasks
      .map((task) => ({ number: known.get(task.taskArn ?? '') ?? 0, task }))
      .sort((a, b) => a.number - b.number)
      .map(({ number, task }) => ({ id: `${group}.${number}`, task }));
  };

  const allTasks = async () => (await Promise.all((await services()).map(numbered))).flat();

  return {
    async list() {
      const [tasks, databases, balancer] = await Promise.all([
        allTasks(),
        Promise.all(colours.map((colour) => databaseState(clients, spec, colour))),
        balancerState(clients, foundation.listenerArn),
      ]);
      const states = tasks.map(({ id, task }): InstanceState => {
        const since = task.startedAt?.getTime();
        return { id, state: taskState(task), since };
      });
      return [...states, ...databases.flat(), ...balancer];
    },

    async stop(id) {
      const tasks = await allTasks();
      const found = tasks.find((one) => one.id === id);
      if (found === undefined) {
        const names = tasks.map((one) => one.id).join(', ');
        const todo = names === '' ? 'bring the environment up first' : `use one of ${names}`;
        throw new OperationError(`stopping ${id}`, `${spec.environment} runs no task of that name`, todo);
      }
      const command = new StopTaskCommand({
        cluster,
        task: found.task.taskArn,
        reason: 'Stopped by Greenlight to prove that the loss is noticed.',
      });
      await calling(`stopping ${id}`, () => clients.containers.send(command));
    },

    /** ECS replaces a stopped task by itself. Waits until the service runs as many tasks as desired. */
    async start(id) {
      const [name, colour] = id.split('.');
      const doing = `starting ${id}`;
      const todo = 'look at the events of the service in the console of ECS, and at its log group';
      await until({ doing, deadlineMs: startMs, pollMs, todo }, async () => {
        const service = (await services()).find((one) => one.service === name && one.colour === colour);
        if (service === undefined)
          throw new OperationError(
            doing,
            `${spec.environment} has no service of that name`,
            'bring the colour up first',
          );
        const running = (await numbered(service)).filter(({ task }) => taskState(task) === 'running').length;
        return running >= service.desired ? service : `${running} of ${service.desired} tasks run`;
      });
    },
  };
}

/** By ECS's `lastStatus`: statuses before RUNNING mean starting, those after it stopped. */
function taskState({ lastStatus = '' }: Task): InstanceState['state'] {
  if (lastStatus === 'RUNNING') return 'running';
  return ['PROVISIONING', 'PENDING', 'ACTIVATING'].includes(lastStatus) ? 'starting' : 'stopped';
}

async function databaseState(
  clients: Pick<Clients, 'databases'>,
  { application, environment }: EnvironmentSpec,
  colour: Colour,
): Promise<InstanceState[]> {
  const identifier = databaseIdentifier({ tags: { application }, environment }, colour);
  const found = await calling('looking for the databases', () => describeInstance(clients, identifier));
  if (found === undefined) return [];
  return [{ id: `database.${colour}`, state: instanceState(found.DBInstanceStatus ?? '') }];
}

async function balancerState({ balancer }: Pick<Clients, 'balancer'>, listenerArn: string): Promise<InstanceState[]> {
  const arn = listenerArn.replace(':listener/', ':loadbalancer/').replace(/\/[^/]+$/, '');
  const ask = () => balancer.send(new DescribeLoadBalancersCommand({ LoadBalancerArns: [arn] }));
  const { LoadBalancers = [] } = await calling('looking at the load balancer', ask);
  const states = { active: 'running', active_impaired: 'running', provisioning: 'starting', failed: 'failed' } as const;
  return LoadBalancers.map(({ State }) => ({ id: 'balancer', state: states[State?.Code ?? 'failed'] }));
}

/** A task that gets a number. */
export interface Numbered {
  arn: string;
  /** ms since the epoch. */
  createdAt: number;
}

/**
 * Numbers the tasks of a group from 1 on, by age. A task keeps its number as long as it exists. A new one gets the
 * lowest free number, so that the replacement of `api.blue.1` is `api.blue.1`. The numbers are kept in memory: another
 * process may number differently.
 */
export class Numbers {
  readonly #known = new Map<string, Map<string, number>>();

  /** Numbers by ARN. `tasks` are all current tasks of the group. */
  of(group: string, tasks: Numbered[]): Map<string, number> {
    const before = this.#known.get(group) ?? new Map<string, number>();
    const kept = new Map([...before].filter(([arn]) => tasks.some((task) => task.arn === arn)));
    const taken = new Set(kept.values());
    const byAge = tasks.toSorted((a, b) => a.createdAt - b.createdAt || (a.arn < b.arn ? -1 : 1));
    for (const { arn } of byAge.filter((task) => !kept.has(task.arn))) {
      let number = 1;
      while (taken.has(number)) number++;
      taken.add(number);
      kept.set(arn, number);
    }
    this.#known.set(group, kept);
    return kept;
  }
}

export interface OwnedService extends GroupOwner {
  arn: string;
  /** Name of the ECS service in its cluster. */
  name: string;
  desired: number;
  running: number;
}

/** Most services that one DescribeServices call takes. */
const servicesPerCall = 10;

/**
 * The ECS services of both colours. Their target groups identify them. Services that are being deleted are left out.
 */
export function ownedServices(
  { containers }: Pick<Clients, 'containers'>,
  cluster: string,
  groups: OwnedGroup[],
): Promise<OwnedService[]> {
  return calling('looking for the services', async () => {
    const arns: string[] = [];
    for await (const { serviceArns = [] } of paginateListServices({ client: containers }, { cluster }))
      arns.push(...serviceArns);
    const found: Service[] = [];
    for (let i = 0; i < arns.length; i += servicesPerCall) {
      const command = new DescribeServicesCommand({ cluster, services: arns.slice(i, i + servicesPerCall) });
      found.push(...((await containers.send(command)).services ?? []));
    }
    return found.flatMap(
      ({ serviceArn, serviceName, status, loadBalancers = [], desiredCount = 0, runningCount = 0 }) => {
        const owner = groups.find(({ arn }) => loadBalancers.some(({ targetGroupArn }) => targetGroupArn === arn));
        if (owner === undefined || serviceArn === undefined || serviceName === undefined || status !== 'ACTIVE')
          return [];
        const { colour, service } = owner;
        return [{ colour, service, arn: serviceArn, name: serviceName, desired: desiredCount, running: runningCount }];
      },
    );
  });
}
