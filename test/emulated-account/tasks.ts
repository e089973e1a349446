import { rm } from 'node:fs/promises';
import {
  DescribeClustersCommand,
  DescribeTaskDefinitionCommand,
  type Cluster,
  type Tag,
  type TaskDefinition,
  type TaskOverride,
  type LoadBalancer,
} from '@aws-sdk/client-ecs';
import { errorAnswer } from './faults.ts';
import type { Answer, Call, Hook, Part } from './hooks.ts';
import { taskAnswer } from './tasks-answers.ts';
import { clientsByRegion, regionOf } from './tasks-clients.ts';
import { Service } from './tasks-service.ts';
import { Targets } from './tasks-targets.ts';
import { Task, type TaskArgs } from './tasks-task.ts';

export interface TasksOptions {
  /** Directory for files of tasks. Deleted at the end. */
  directory: string;
  /** Directory of images (GREENLIGHT_TEST_IMAGES of the stand-in for `docker`). */
  images: string;
  /** PEM file used instead of RDS's authorities. */
  authority: string;
  /** PEM file of the authority of the entry point's certificate. */
  entryAuthority?: string;
  endpoint: string;
  /** Longest wait between deregistration and SIGTERM, ms. Default 500. */
  mostDrainMs?: number;
  /** Longest wait between SIGTERM and SIGKILL, ms. Default 30 s. */
  mostStopMs?: number;
  /** Longest wait for a service's task to become healthy, ms. Default 30 s. */
  mostHealthMs?: number;
}

export interface TasksPart extends Part {
  /** All tasks so far, including stopped ones. */
  tasks(): {
    arn: string;
    cluster: string;
    group: string;
    status: string;
    pid: number | undefined;
    address: string | undefined;
  }[];
  /** Errors of background work. */
  errors: unknown[];
}

/** ECS: each task is a process in the directory of its image. */
export function tasksPart(options: TasksOptions): TasksPart {
  const {
    directory,
    images,
    authority,
    entryAuthority,
    mostDrainMs = 500,
    mostStopMs = 30_000,
    mostHealthMs = 30_000,
  } = options;
  const clients = clientsByRegion(options.endpoint);
  const tasks = new Map<string, Task>();
  const services = new Map<string, Service>();
  const errors: unknown[] = [];
  const setting = { directory, images, authority, entryAuthority, mostStopMs };

  function launch(args: TaskArgs): Task {
    const task = new Task(args, setting, clients.of(regionOf(args.clusterArn)));
    tasks.set(task.id, task);
    void task.ended.then(() => errors.push(...task.logErrors.splice(0)));
    return task;
  }

  const text = (value: unknown, otherwise = ''): string => (typeof value === 'string' ? value : otherwise);
  /** The last part of a name or an ARN. */
  const last = (value: unknown, otherwise = ''): string => text(value, otherwise).split('/').at(-1) ?? '';
  const keyOf = ({ input }: Call, name: unknown): string => `${last(input['cluster'], 'default')}/${last(name)}`;
  const parse = (answer: Answer) => JSON.parse(answer.body.toString()) as Record<string, unknown>;
  const json = (value: unknown): Answer => ({
    status: 200,
    headers: { 'content-type': 'application/x-amz-json-1.1' },
    body: Buffer.from(JSON.stringify(value)),
  });
  const refuse = (call: Call, code: string, message: string): Answer =>
    errorAnswer(call, { status: 400, code, message });

  const regionOfCall = ({ headers }: Call): string =>
    /Credential=[^/]+\/\d+\/([\w-]+)\//.exec(headers['authorization'] ?? '')?.[1] ?? '';

  async function definitionOf(region: string, name: unknown): Promise<TaskDefinition | undefined> {
    if (typeof name !== 'string') return undefined;
    const asked = new DescribeTaskDefinitionCommand({ taskDefinition: name });
    return (await clients.of(region).containers.send(asked)).taskDefinition;
  }

  /** moto's description of a service, completed by what really runs. */
  function withFacts(described: Record<string, unknown>): Record<string, unknown> {
    const service = services.get(`${last(described['clusterArn'])}/${text(described['serviceName'])}`);
    return service === undefined ? described : { ...described, ...service.answer() };
  }

  const serviceAnswer = (answer: Answer): Answer => {
    const body = parse(answer);
    return json({ ...body, service: withFacts(body['service'] as Record<string, unknown>) });
  };

  async function createService(call: Call, answer: Answer): Promise<Answer> {
    const made = parse(answer)['service'] as {
      serviceName: string;
      clusterArn: string;
      loadBalancers?: LoadBalancer[];
    };
    const region = regionOf(made.clusterArn);
    const { input } = call;
    const breaker = (
      input['deploymentConfiguration'] as
        { deploymentCircuitBreaker?: { enable: boolean; rollback: boolean } } | undefined
    )?.deploymentCircuitBreaker;
    const loadBalancers = (input['loadBalancers'] as LoadBalancer[] | undefined) ?? [];
    const service = new Service(
      {
        name: made.serviceName,
        clusterArn: made.clusterArn,
        launchType: text(input['launchType'], 'FARGATE'),
        loadBalancers,
        graceMs: Number(input['healthCheckGracePeriodSeconds'] ?? 0) * 1000,
        breaker: breaker ?? { enable: false, rollback: false },
        tags: input['propagateTags'] === 'SERVICE' ? ((input['tags'] as Tag[] | undefined) ?? []) : [],
      },
      {
        launch,
        targets: new Targets(clients.of(region).balancer, loadBalancers),
        mostDrainMs,
        mostHealthMs,
        failed: (error) => errors.push(error),
      },
    );
    services.set(keyOf(call, made.serviceName), service);
    service.update({
      desired: Number(input['desiredCount'] ?? 0),
      definition: await definitionOf(region, input['taskDefinition']),
    });
    return serviceAnswer(answer);
  }

  async function updateService(call: Call, answer: Answer): Promise<Answer> {
    const { input } = call;
    const service = services.get(keyOf(call, input['service']));
    if (service === undefined) return answer;
    const { deploymentCircuitBreaker: breaker } =
      (input['deploymentConfiguration'] as { deploymentCircuitBreaker?: Service['args']['breaker'] } | undefined) ?? {};
    if (breaker !== undefined) service.args.breaker = breaker;
    service.update({
      desired: input['desiredCount'] as number | undefined,
      definition: await definitionOf(regionOf(service.args.clusterArn), input['taskDefinition']),
      force: input['forceNewDeployment'] === true,
    });
    return serviceAnswer(answer);
  }

  /**
   * Replaces moto's RunTask, which requires `memory` of each container (Fargate does not) and knows no tasks of
   * services.
   */
  async function runTask(call: Call): Promise<Answer> {
    const { input } = call;
    const region = regionOfCall(call);
    const name = text(input['cluster'], 'default');
    const asked = new DescribeClustersCommand({ clusters: [name] });
    const cluster: Cluster | undefined = (await clients.of(region).containers.send(asked)).clusters?.[0];
    if (cluster?.clusterArn === undefined) return refuse(call, 'ClusterNotFoundException', 'Cluster not found.');
    const definition = await definitionOf(region, input['taskDefinition']).catch(() => undefined);
    if (definition === undefined) return refuse(call, 'ClientException', 'TaskDefinition not found.');
    if (definition.status === 'INACTIVE') return refuse(call, 'ClientException', 'TaskDefinition is inactive');
    if (definition.networkMode === 'awsvpc' && input['networkConfiguration'] === undefined)
      return refuse(
        call,
        'InvalidParameterException',
        "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
      );
    const overrides = input['overrides'] as TaskOverride | undefined;
    const known = new Set(definition.containerDefinitions?.map((container) => container.name));
    if (overrides?.containerOverrides?.some((container) => !known.has(container.name)) === true)
      return refuse(
        call,
        'InvalidParameterException',
        'Override for container named that is not a container in the TaskDefinition.',
      );
    const args = {
      definition,
      clusterArn: cluster.clusterArn,
      overrides,
      group: text(input['group'], `family:${definition.family}`),
      launchType: text(input['launchType'], 'FARGATE'),
      startedBy: input['startedBy'] as string | undefined,
      tags: input['tags'] as Tag[] | undefined,
    };
    const started = Array.from({ length: Number(input['count'] ?? 1) }, () => launch(args));
    return json({ tasks: started.map((task) => taskAnswer(task, { tags: true })), failures: [] });
  }

  const inCluster =
    (call: Call) =>
    (task: Task): boolean =>
      last(task.args.clusterArn) === last(call.input['cluster'], 'default');

  function describeTasks(call: Call): Answer {
    const wanted = (call.input['tasks'] as string[] | undefined) ?? [];
    if (wanted.length === 0) return refuse(call, 'InvalidParameterException', 'Tasks cannot be empty.');
    const tags = ((call.input['include'] as string[] | undefined) ?? []).includes('TAGS');
    const found = wanted
      .map((name) => tasks.get(last(name)))
      .filter((task) => task !== undefined)
      .filter(inCluster(call));
    const failures = wanted
      .filter((name) => !found.some(({ id }) => id === last(name)))
      .map((arn) => ({ arn, reason: 'MISSING' }));
    return json({ tasks: found.map((task) => taskAnswer(task, { tags })), failures });
  }

  function listTasks(call: Call): Answer {
    const { serviceName, family, startedBy, desiredStatus = 'RUNNING', launchType } = call.input;
    const found = [...tasks.values()]
      .filter(inCluster(call))
      .filter(
        (task) =>
          (serviceName === undefined || task.args.group === `service:${last(serviceName)}`) &&
          (family === undefined || task.args.definition.family === family) &&
          (startedBy === undefined || task.args.startedBy === startedBy) &&
          (launchType === undefined || task.args.launchType === launchType) &&
          taskAnswer(task, { tags: false })['desiredStatus'] === desiredStatus,
      );
    return json({ taskArns: found.map(({ arn }) => arn) });
  }

  function stopTask(call: Call): Answer {
    const task = tasks.get(last(call.input['task']));
    if (task === undefined) return refuse(call, 'InvalidParameterException', 'The referenced task was not found.');
    task.stop(text(call.input['reason'], 'Task stopped by user'), 'UserInitiated');
    return json({ task: taskAnswer(task, { tags: true }) });
  }

  function mayCreate(call: Call): Answer | undefined {
    const status = services.get(keyOf(call, call.input['serviceName']))?.status;
    if (status === 'ACTIVE')
      return refuse(call, 'InvalidParameterException', 'Creation of service was not idempotent.');
    if (status === 'DRAINING')
      return refuse(call, 'InvalidParameterException', 'Unable to Start a service that is still Draining.');
    return undefined;
  }

  const before = (actions: string[], answer: (call: Call) => Answer | undefined | Promise<Answer>): Hook => ({
    service: 'ecs',
    actions,
    before: async (call) => answer(call),
  });
  const after = (action: string, change: Required<Hook>['after']): Hook => ({
    service: 'ecs',
    actions: [action],
    after: change,
  });

  const hooks: Hook[] = [
    before(['CreateService'], mayCreate),
    before(['UpdateService'], (call) =>
      services.get(keyOf(call, call.input['service']))?.deleted === true
        ? refuse(call, 'ServiceNotActiveException', 'Service was not ACTIVE.')
        : undefined,
    ),
    before(['RunTask'], runTask),
    before(['DescribeTasks'], describeTasks),
    before(['ListTasks'], listTasks),
    before(['StopTask'], stopTask),
    after('CreateService', createService),
    after('UpdateService', updateService),
    after('DeleteService', (call, answer) => {
      services.get(keyOf(call, call.input['service']))?.delete();
      return Promise.resolve(serviceAnswer(answer));
    }),
    after('DescribeServices', (_, answer) => {
      const body = parse(answer);
      return Promise.resolve(
        json({ ...body, services: (body['services'] as Record<string, unknown>[]).map(withFacts) }),
      );
    }),
    after('ListServices', (call, answer) => {
      const body = parse(answer);
      const gone = (arn: string) => services.get(keyOf(call, arn))?.status === 'INACTIVE';
      return Promise.resolve(
        json({ ...body, serviceArns: (body['serviceArns'] as string[]).filter((arn) => !gone(arn)) }),
      );
    }),
  ];

  return {
    hooks,
    errors,
    tasks: () =>
      [...tasks.values()].map(({ arn, args, status, pid, address }) => ({
        arn,
        cluster: args.clusterArn,
        group: args.group,
        status,
        pid,
        address: address && `${address.host}:${address.port}`,
      })),
    close: async () => {
      for (const service of services.values()) service.delete();
      await Promise.all([...services.values()].map((service) => service.settled()));
      for (const task of tasks.values()) task.stop('The account ended', 'UserInitiated');
      await Promise.all([...tasks.values()].map(({ ended }) => ended));
      clients.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
