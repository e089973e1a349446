import { DescribeTasksCommand, StopTaskCommand, paginateListTasks, type Task } from '@aws-sdk/client-ecs';
import { DescribeLoadBalancersCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import { OperationError } from '../../errors.ts';
import { colours, type Colour, type EnvironmentSpec } from '../../model.ts';
import type { Instances, InstanceState } from '../../platform.ts';
import type { FoundationOutputs } from '../foundation-reference.ts';
import { databaseIdentifier } from '../names.ts';
import type { Clients } from './clients.ts';
import { describeInstance, instanceState } from './database-instance.ts';
import { calling } from './errors.ts';
import { Numbers } from './instances-numbers.ts';
import { ownedServices, type OwnedService } from './instances-services.ts';
import type { OwnedGroup } from './target-groups.ts';
import { until } from './waiting.ts';

export interface AwsInstancesOptions {
  clients: Pick<Clients, 'containers' | 'databases' | 'balancer'>;
  foundation: Pick<FoundationOutputs, 'cluster' | 'listenerArn'>;
  spec: EnvironmentSpec;
  targetGroups: () => Promise<OwnedGroup[]>;
  /** Longest wait until a stopped task is replaced, ms: pulling the image and two good health checks take a minute. */
  startMs?: number;
  pollMs?: number;
}

/** Tasks that one call describes. */
const perCall = 100;

/** What runs in an environment on AWS: tasks of services, numbered by age; databases; the load balancer. */
export function createAwsInstances(options: AwsInstancesOptions): Instances {
  const { clients, foundation, spec, targetGroups, startMs = 5 * 60_000, pollMs = 2_000 } = options;
  const cluster = foundation.cluster.arn;
  const numbers = new Numbers();

  const services = async () => ownedServices(clients, cluster, await targetGroups());

  const tasksOf = ({ name }: OwnedService): Promise<Task[]> =>
    calling('looking for the tasks', async () => {
      const arns: string[] = [];
      for await (const page of paginateListTasks({ client: clients.containers }, { cluster, serviceName: name })) arns.push(...(page.taskArns ?? [])); // prettier-ignore
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
        return { id, state: taskState(task), ...(since === undefined ? {} : { since }) };
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
      const command = new StopTaskCommand({ cluster, task: found.task.taskArn, reason: 'Stopped to prove that it is noticed.' }); // prettier-ignore
      await calling(`stopping ${id}`, () => clients.containers.send(command));
    },

    /** A service replaces a task by itself: waits until it runs as many as it should. */
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

/** `lastStatus` of ECS: what comes before RUNNING is a start, what comes after it an end. */
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
