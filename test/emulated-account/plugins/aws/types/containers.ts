import {
  type ClusterSetting,
  type Compatibility,
  type ContainerDefinition,
  type CPUArchitecture,
  CreateClusterCommand,
  CreateServiceCommand,
  DeleteClusterCommand,
  DeleteServiceCommand,
  DeregisterTaskDefinitionCommand,
  DescribeClustersCommand,
  DescribeServicesCommand,
  DescribeTaskDefinitionCommand,
  type LaunchType,
  type NetworkMode,
  type OSFamily,
  type PropagateTags,
  RegisterTaskDefinitionCommand,
  type Service,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateServiceCommand,
} from '@aws-sdk/client-ecs';
import type { Unwrap } from '@pulumi/pulumi';
import type { ClusterArgs } from '@pulumi/aws/ecs/cluster.js';
import type { ServiceArgs } from '@pulumi/aws/ecs/service.js';
import type { TaskDefinitionArgs } from '@pulumi/aws/ecs/taskDefinition.js';
import { messageOf } from '../../../../../infra/lib/errors.ts';
import { Unready } from '../../serve.ts';
import { resource, type Context, type Table } from '../../handler.ts';
import { until, waits } from '../wait.ts';
import { tagChange } from './tags.ts';

const tagList = (tags: Record<string, string> | undefined) =>
  Object.entries(tags ?? {}).map(([key, value]) => ({ key, value }));
const tagMap = (tags: { key?: string; value?: string }[] | undefined) =>
  Object.fromEntries((tags ?? []).map(({ key, value }) => [key ?? '', value ?? '']));

async function retag(
  resourceArn: string,
  old: unknown,
  wanted: Record<string, string> | undefined,
  { clients }: Context,
) {
  const { added, removed } = tagChange(old, wanted);
  if (removed.length > 0) await clients.containers.send(new UntagResourceCommand({ resourceArn, tagKeys: removed }));
  if (Object.keys(added).length > 0)
    await clients.containers.send(new TagResourceCommand({ resourceArn, tags: tagList(added) }));
}

const cluster = resource<ClusterArgs>({
  autoName: { property: 'name' },
  replaces: ['name'],
  async create({ name, settings, tags }, { clients }) {
    const made = await clients.containers.send(
      new CreateClusterCommand({
        clusterName: name,
        settings: settings as ClusterSetting[] | undefined,
        tags: tagList(tags),
      }),
    );
    const arn = made.cluster?.clusterArn as string;
    return { id: arn, outputs: { arn } };
  },
  async read(id, _state, { clients }) {
    const { clusters } = await clients.containers.send(new DescribeClustersCommand({ clusters: [id] }));
    return clusters?.[0]?.status === 'ACTIVE' ? { arn: clusters[0].clusterArn } : undefined;
  },
  async update({ id, inputs, state }, context) {
    await retag(id, state.tags, inputs.tags, context);
  },
  async delete(id, _state, { clients }) {
    await clients.containers.send(new DeleteClusterCommand({ cluster: id }));
  },
});

/** Every change registers a new revision. The old one is deregistered afterwards. */
const taskDefinition = resource<TaskDefinitionArgs>({
  replaces: 'all',
  async create(inputs, { clients }) {
    const { runtimePlatform } = inputs;
    const { taskDefinition: made } = await clients.containers.send(
      new RegisterTaskDefinitionCommand({
        family: inputs.family,
        containerDefinitions: JSON.parse(inputs.containerDefinitions) as ContainerDefinition[],
        requiresCompatibilities: inputs.requiresCompatibilities as Compatibility[] | undefined,
        networkMode: inputs.networkMode as NetworkMode | undefined,
        cpu: inputs.cpu,
        memory: inputs.memory,
        executionRoleArn: inputs.executionRoleArn,
        taskRoleArn: inputs.taskRoleArn,
        ...(runtimePlatform && {
          runtimePlatform: {
            operatingSystemFamily: runtimePlatform.operatingSystemFamily as OSFamily | undefined,
            cpuArchitecture: runtimePlatform.cpuArchitecture as CPUArchitecture | undefined,
          },
        }),
        tags: tagList(inputs.tags),
      }),
    );
    const arn = made?.taskDefinitionArn as string;
    const arnWithoutRevision = arn.slice(0, arn.lastIndexOf(':'));
    return { id: inputs.family, outputs: { arn, arnWithoutRevision, revision: made?.revision } };
  },
  async read(_id, state, { clients }) {
    const asked = new DescribeTaskDefinitionCommand({ taskDefinition: state['arn'] as string });
    const { taskDefinition: found } = await clients.containers.send(asked);
    return found?.status === 'INACTIVE' ? undefined : { cpu: found?.cpu, memory: found?.memory };
  },
  async delete(_id, state, { clients }) {
    const asked = new DeregisterTaskDefinitionCommand({ taskDefinition: state['arn'] as string });
    await clients.containers.send(asked);
  },
});

type ServiceInputs = Unwrap<ServiceArgs>;

const deployment = (inputs: ServiceInputs) => ({
  taskDefinition: inputs.taskDefinition,
  ...(inputs.networkConfiguration && {
    networkConfiguration: {
      awsvpcConfiguration: {
        subnets: inputs.networkConfiguration.subnets,
        securityGroups: inputs.networkConfiguration.securityGroups,
        assignPublicIp:
          inputs.networkConfiguration.assignPublicIp === true ? ('ENABLED' as const) : ('DISABLED' as const),
      },
    },
  }),
  deploymentConfiguration: {
    maximumPercent: inputs.deploymentMaximumPercent,
    minimumHealthyPercent: inputs.deploymentMinimumHealthyPercent,
    ...(inputs.deploymentCircuitBreaker && { deploymentCircuitBreaker: inputs.deploymentCircuitBreaker }),
  },
  healthCheckGracePeriodSeconds: inputs.healthCheckGracePeriodSeconds,
  availabilityZoneRebalancing: inputs.availabilityZoneRebalancing as 'ENABLED' | 'DISABLED' | undefined,
  enableExecuteCommand: inputs.enableExecuteCommand,
  enableECSManagedTags: inputs.enableEcsManagedTags,
  propagateTags: inputs.propagateTags as PropagateTags | undefined,
  ...(inputs.loadBalancers && {
    loadBalancers: inputs.loadBalancers.map(({ targetGroupArn, containerName, containerPort }) => ({
      targetGroupArn,
      containerName,
      containerPort,
    })),
  }),
});

const service = resource<ServiceArgs>({
  autoName: { property: 'name' },
  replaces: ['name', 'cluster', 'launchType', 'schedulingStrategy'],
  async create(inputs, context) {
    const made = await context.clients.containers.send(
      new CreateServiceCommand({
        cluster: inputs.cluster,
        serviceName: inputs.name,
        launchType: inputs.launchType as LaunchType | undefined,
        desiredCount: inputs.desiredCount,
        ...deployment(inputs),
        tags: tagList(inputs.tags),
      }),
    );
    const id = made.service?.serviceArn as string;
    const unready = await steady(id, inputs, context).then(() => undefined, messageOf);
    return { id, outputs: { arn: id }, ...(unready === undefined ? {} : { unready }) };
  },
  async read(id, { cluster: of }, context) {
    const found = await describe(id, of, context);
    if (found === undefined || found.status === 'INACTIVE') return undefined;
    return {
      arn: found.serviceArn,
      desiredCount: found.desiredCount,
      taskDefinition: found.taskDefinition,
      loadBalancers: found.loadBalancers,
      // An emulator may not store it.
      ...(found.networkConfiguration?.awsvpcConfiguration && {
        networkConfiguration: {
          ...found.networkConfiguration.awsvpcConfiguration,
          assignPublicIp: found.networkConfiguration.awsvpcConfiguration.assignPublicIp === 'ENABLED',
        },
      }),
      tags: tagMap(found.tags),
    };
  },
  async update({ id, inputs, state, changed }, context) {
    if (changed('tags')) await retag(id, state.tags, inputs.tags, context);
    await context.clients.containers.send(
      new UpdateServiceCommand({
        cluster: inputs.cluster,
        service: id,
        ...(changed('desiredCount') ? { desiredCount: inputs.desiredCount } : {}),
        ...deployment(inputs),
      }),
    );
    try {
      await steady(id, inputs, context);
    } catch (error) {
      throw new Unready(id, {}, messageOf(error));
    }
  },
  async delete(id, { cluster: of }, context) {
    const { containers } = context.clients;
    await containers.send(new UpdateServiceCommand({ cluster: of, service: id, desiredCount: 0 }));
    await containers.send(new DeleteServiceCommand({ cluster: of, service: id, force: true }));
    await until('the service to be gone', async () => {
      const found = await describe(id, of, context);
      return found === undefined || found.status === 'INACTIVE' ? true : undefined;
    });
  },
});

async function describe(id: string, of: string | undefined, { clients }: Context): Promise<Service | undefined> {
  const asked = new DescribeServicesCommand({ cluster: of, services: [id], include: ['TAGS'] });
  const { services } = await clients.containers.send(asked);
  return services?.[0];
}

/** With `waitForSteadyState`, waits until all desired tasks of this definition run and no others. */
async function steady(id: string, inputs: ServiceInputs, context: Context): Promise<void> {
  if (inputs.waitForSteadyState !== true || !waits) return;
  await until(`the service ${inputs.name ?? id} to be steady`, async () => {
    const found = await describe(id, inputs.cluster, context);
    if (found === undefined) throw new Error('the service is gone');
    const primary = found.deployments?.find(({ status }) => status === 'PRIMARY');
    const ours = found.deployments?.find(({ taskDefinition: of }) => of === inputs.taskDefinition);
    if (ours?.rolloutState === 'FAILED' || (ours === undefined && primary?.rolloutState === 'COMPLETED'))
      throw new Error(
        `ECS deployment failed: ${ours?.rolloutStateReason ?? primary?.rolloutStateReason ?? 'rolled back'}`,
      );
    const all = found.deployments?.length === 1 && found.runningCount === found.desiredCount;
    return all && ours?.rolloutState === 'COMPLETED' ? true : undefined;
  });
}

export const containers: Table = {
  'aws:ecs/cluster:Cluster': cluster,
  'aws:ecs/taskDefinition:TaskDefinition': taskDefinition,
  'aws:ecs/service:Service': service,
};
