import type { Task } from './tasks-task.ts';

/** ECS's descriptions of tasks and services, in its protocol: times are seconds since the epoch. */

const seconds = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms / 1000);

export function taskAnswer(task: Task, { tags }: { tags: boolean }): Record<string, unknown> {
  const { args, definition, status } = task;
  const address = task.address?.host;
  return {
    taskArn: task.arn,
    clusterArn: args.clusterArn,
    taskDefinitionArn: args.definition.taskDefinitionArn,
    group: args.group,
    launchType: args.launchType,
    ...(args.startedBy === undefined ? {} : { startedBy: args.startedBy }),
    overrides: args.overrides ?? { containerOverrides: [], inferenceAcceleratorOverrides: [] },
    cpu: args.definition.cpu,
    memory: args.definition.memory,
    platformVersion: '1.4.0',
    platformFamily: 'Linux',
    availabilityZone: `${task.arn.split(':')[3]}a`,
    connectivity: 'CONNECTED',
    lastStatus: status,
    desiredStatus: task.stoppingAt === undefined && status !== 'STOPPED' ? 'RUNNING' : 'STOPPED',
    healthStatus: 'UNKNOWN',
    createdAt: seconds(task.createdAt),
    startedAt: seconds(task.startedAt),
    stoppingAt: seconds(task.stoppingAt ?? task.stoppedAt),
    executionStoppedAt: seconds(task.stoppedAt),
    stoppedAt: seconds(task.stoppedAt),
    stopCode: status === 'STOPPED' || status === 'STOPPING' ? task.stopCode : undefined,
    stoppedReason: status === 'STOPPED' || status === 'STOPPING' ? task.stoppedReason : undefined,
    attachments: [
      {
        id: `${task.id}-eni`,
        type: 'ElasticNetworkInterface',
        status: status === 'STOPPED' ? 'DELETED' : address === undefined ? 'PRECREATED' : 'ATTACHED',
        details: address === undefined ? [] : [{ name: 'privateIPv4Address', value: address }],
      },
    ],
    containers: [
      {
        containerArn: `${task.arn.replace(':task/', ':container/')}/${definition.name}`,
        taskArn: task.arn,
        name: definition.name,
        image: definition.image,
        imageDigest: task.digest,
        lastStatus:
          status === 'STOPPED' ? 'STOPPED' : status === 'RUNNING' || status === 'STOPPING' ? 'RUNNING' : 'PENDING',
        // Undefined if the container never ran.
        exitCode: task.exitCode,
        reason: task.stopCode === 'TaskFailedToStart' ? task.stoppedReason : undefined,
        networkBindings: [],
        networkInterfaces:
          address === undefined ? [] : [{ attachmentId: `${task.id}-eni`, privateIpv4Address: address }],
        healthStatus: 'UNKNOWN',
      },
    ],
    ...(tags ? { tags: args.tags ?? [] } : {}),
  };
}

export interface DeploymentFacts {
  id: string;
  status: 'PRIMARY' | 'ACTIVE';
  taskDefinition: string;
  desired: number;
  running: number;
  pending: number;
  failed: number;
  createdAt: number;
  updatedAt: number;
  state: 'IN_PROGRESS' | 'COMPLETED' | 'FAILED';
  reason: string;
}

export const deploymentAnswer = (d: DeploymentFacts, launchType: unknown): Record<string, unknown> => ({
  id: d.id,
  status: d.status,
  taskDefinition: d.taskDefinition,
  desiredCount: d.desired,
  runningCount: d.running,
  pendingCount: d.pending,
  failedTasks: d.failed,
  createdAt: seconds(d.createdAt),
  updatedAt: seconds(d.updatedAt),
  launchType,
  platformVersion: '1.4.0',
  platformFamily: 'Linux',
  rolloutState: d.state,
  rolloutStateReason: d.reason,
});
