import {
  DeleteTaskDefinitionsCommand,
  DeregisterTaskDefinitionCommand,
  DescribeTasksCommand,
  RegisterTaskDefinitionCommand,
  RunTaskCommand,
  StopTaskCommand,
  type Container,
  type Failure,
  type RegisterTaskDefinitionCommandInput,
  type Task,
} from '@aws-sdk/client-ecs';
import { CreateSecretCommand, DeleteSecretCommand } from '@aws-sdk/client-secrets-manager';
import { greenlight } from '../../../lib/command.ts';
import { OperationError } from '../../../lib/errors.ts';
import { defaultStopSeconds, type Artefact } from '../../../model.ts';
import { imageTag, jobSecretPrefix } from '../../lib/names.ts';
import { codeOf, isMissing } from '../client/errors.ts';
import type { Setting } from '../client/setting.ts';
import { asEcsTags, asTagList, shortId, type Tags } from '../client/temporary.ts';
import { until } from '../client/waiting.ts';

/** One-off tasks: jobs, and the services of a preview. Each has its own task definition. */

export interface TaskSpec {
  /** `job` or `preview`: part of the definition's family, and of the log stream's name. */
  kind: 'job' | 'preview';
  /** Name of the task's only container. */
  container: string;
  artefact: Artefact;
  /** A third party's image, used instead of the artefact's. Its entry point is overridden. */
  image?: string;
  command: string[];
  /** Visible to everybody who may describe task definitions, so no secrets. */
  environment: Record<string, string>;
  /** Variables whose values are passed in a temporary secret. */
  secrets: Record<string, string>;
  /** Port on which the container listens, if any. */
  port?: number;
  /** Seconds between SIGTERM and SIGKILL. Absent: `defaultStopSeconds`. */
  stopSeconds?: number | undefined;
  tags: Tags;
}

/** Family of the task definitions: the same for all runs, so that leftovers can be listed. */
export const taskFamily = (environment: string, kind: TaskSpec['kind']): string => `${environment}-${kind}`;

/** Name of the log stream that the driver awslogs creates: prefix, container, and the id in the task's ARN. */
export const streamName = (kind: string, container: string, taskArn: string): string =>
  `${kind}/${container}/${taskArn.split('/').at(-1) ?? ''}`;

/** The task definition as input of ECS. `secretArn` is the secret that holds `secrets` as a JSON object. Pure. */
export function taskDefinition(
  { environment, foundation, settings }: Omit<Setting, 'clients'>,
  spec: TaskSpec,
  secretArn: string | undefined,
): RegisterTaskDefinitionCommandInput {
  const { jobs, repository } = foundation;
  const { cpu, memory, architecture } = settings.tasks;
  const scratch = 'scratch';
  // A volume belongs to root unless the image declares its owner, so a third party's image keeps its own /tmp.
  const hasVolume = spec.kind === 'job' && spec.image === undefined;
  return {
    family: taskFamily(environment, spec.kind),
    requiresCompatibilities: ['FARGATE'],
    networkMode: 'awsvpc',
    cpu: String(cpu),
    memory: String(memory),
    runtimePlatform: { operatingSystemFamily: 'LINUX', cpuArchitecture: architecture },
    executionRoleArn: jobs.executionRoleArn,
    taskRoleArn: jobs.taskRoleArn,
    volumes: hasVolume ? [{ name: scratch }] : [],
    containerDefinitions: [
      {
        name: spec.container,
        image: spec.image ?? `${repository.url}:${imageTag(spec.artefact.digest)}`,
        essential: true,
        ...(spec.image === undefined ? {} : { entryPoint: spec.command.slice(0, 1) }),
        command: spec.image === undefined ? spec.command : spec.command.slice(1),
        // As in the services. A job may write only to /tmp, a volume that is deleted with the task.
        readonlyRootFilesystem: spec.image === undefined,
        linuxParameters: { initProcessEnabled: true, capabilities: { drop: ['ALL'] } },
        mountPoints: hasVolume ? [{ sourceVolume: scratch, containerPath: '/tmp', readOnly: false }] : [],
        portMappings: spec.port === undefined ? [] : [{ containerPort: spec.port, protocol: 'tcp' }],
        stopTimeout: spec.stopSeconds ?? defaultStopSeconds,
        environment: Object.entries(spec.environment).map(([name, value]) => ({ name, value })),
        // Format: secret, key of the JSON object, stage, version. The last two are empty: the newest version.
        secrets: Object.keys(secretArn === undefined ? {} : spec.secrets).map((name) => ({
          name,
          valueFrom: `${secretArn}:${name}::`,
        })),
        logConfiguration: {
          logDriver: 'awslogs',
          options: {
            'awslogs-group': jobs.logGroup,
            'awslogs-region': settings.region,
            'awslogs-stream-prefix': spec.kind,
            // Results are sent through the log: in blocking mode a slow log delays the program, and no line is lost.
            mode: spec.kind === 'job' ? 'blocking' : 'non-blocking',
          },
        },
      },
    ],
    tags: asEcsTags(spec.tags),
  };
}

export interface StartedTask {
  arn: string;
  /** Deletes definition and secret. The sweep deletes later what cannot be deleted now. */
  forget(): Promise<void>;
}

export interface StartOptions {
  pollMs: number;
  /** How long to retry if ECS has no capacity, ms. */
  capacityMs: number;
  doing: string;
}

/** Starts one task with its own task definition. If that fails, deletes definition and secret. */
export async function startTask(
  setting: Setting,
  spec: TaskSpec,
  { pollMs, capacityMs, doing }: StartOptions,
): Promise<StartedTask> {
  const { clients, environment, foundation } = setting;
  let secretArn: string | undefined;
  let definitionArn: string | undefined;
  const forget = async () => {
    const [arn, definition] = [secretArn, definitionArn];
    await Promise.allSettled([
      ...(arn === undefined ? [] : [deleteSecret(setting, arn)]),
      ...(definition === undefined ? [] : [deleteDefinition(setting, definition)]),
    ]);
  };
  try {
    if (Object.keys(spec.secrets).length > 0) {
      const command = new CreateSecretCommand({
        Name: `${jobSecretPrefix(environment)}${shortId()}${shortId()}`,
        KmsKeyId: foundation.keyArn,
        SecretString: JSON.stringify(spec.secrets),
        Tags: asTagList(spec.tags),
      });
      secretArn = (await clients.secrets.send(command)).ARN;
    }
    const definition = new RegisterTaskDefinitionCommand(taskDefinition(setting, spec, secretArn));
    definitionArn = (await clients.containers.send(definition)).taskDefinition?.taskDefinitionArn;
    const deadline = { doing, deadlineMs: capacityMs, pollMs, todo: cureOf('capacity') };
    // The same token makes a repeated call idempotent when its answer was lost. A refused call gets a new token.
    let clientToken = `${shortId()}${shortId()}`;
    const { arn } = await until(deadline, async () => {
      const command = new RunTaskCommand({
        cluster: foundation.cluster.arn,
        taskDefinition: definitionArn,
        clientToken,
        launchType: 'FARGATE',
        networkConfiguration: {
          awsvpcConfiguration: {
            subnets: foundation.network.privateSubnetIds,
            securityGroups: [foundation.securityGroups.tasks],
            assignPublicIp: 'DISABLED',
          },
        },
        startedBy: `greenlight-${spec.kind}`,
        tags: asEcsTags(spec.tags),
      });
      const { tasks, failures } = await clients.containers.send(command);
      const started = tasks?.[0]?.taskArn;
      if (started !== undefined) return { arn: started };
      clientToken = `${shortId()}${shortId()}`;
      return failureText(failures);
    });
    return { arn, forget };
  } catch (error) {
    await forget();
    throw error;
  }
}

const failureText = (failures: Failure[] | undefined): string =>
  failures?.map(({ reason, detail }) => [reason, detail].filter(Boolean).join(': ')).join('; ') ||
  'ECS started no task and gave no reason';

export async function describeTask({ clients, foundation }: Setting, arn: string): Promise<Task | undefined> {
  const command = new DescribeTasksCommand({ cluster: foundation.cluster.arn, tasks: [arn] });
  return (await clients.containers.send(command)).tasks?.[0];
}

/** Sends SIGTERM, and SIGKILL after the stop timeout. No-op if the task does not exist. */
export async function stopTask({ clients, foundation }: Setting, task: string, reason: string): Promise<void> {
  try {
    await clients.containers.send(new StopTaskCommand({ cluster: foundation.cluster.arn, task, reason }));
  } catch (error) {
    if (!isMissing(error) && !/InvalidParameter/.test(codeOf(error))) throw error;
  }
}

/** Deletes the secret at once, without a recovery window. No-op if it does not exist. */
export async function deleteSecret({ clients }: Pick<Setting, 'clients'>, arn: string): Promise<void> {
  try {
    await clients.secrets.send(new DeleteSecretCommand({ SecretId: arn, ForceDeleteWithoutRecovery: true }));
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

export async function deleteDefinition({ clients }: Pick<Setting, 'clients'>, arn: string): Promise<void> {
  await clients.containers.send(new DeregisterTaskDefinitionCommand({ taskDefinition: arn }));
  await clients.containers.send(new DeleteTaskDefinitionsCommand({ taskDefinitions: [arn] }));
}

const cures: [RegExp, string][] = [
  [
    /exec format error|platform|manifest.*(linux|arm64|amd64)/i,
    `the image is for another CPU architecture: build it for tasks.architecture (aws), then: ${greenlight('resume')}`,
  ],
  [
    /CannotPull.*(not found|manifest unknown|does not exist)/is,
    `the image of this version is not in the registry: ${greenlight('resume')} builds it again`,
  ],
  [
    /CannotPull|registry auth|ResourceInitializationError.*(secret|ecr|logger|log group)/is,
    'tasks cannot reach ECR, Secrets Manager or the logs, or lack the right: check the VPC endpoints and the role jobs-start',
  ],
  [
    /capacity|RESOURCE|Insufficient/i,
    `AWS has no capacity, or the quota for Fargate is used up: wait, or raise the quota (Service Quotas), then: ${greenlight('resume')}`,
  ],
  [/OutOfMemory/i, 'raise tasks.memory (aws)'],
];

/** What to do about ECS's reason for a failure. */
export const cureOf = (reason: string): string =>
  cures.find(([pattern]) => pattern.test(reason))?.[1] ??
  `look at the task in the ECS console, then: ${greenlight('resume')}`;

/** The container with this name. AWS may add sidecars in any order, as GuardDuty's Runtime Monitoring does. */
export const containerOf = (task: Task, name: string): Container | undefined =>
  task.containers?.find((container) => container.name === name);

/** Why a stopped task never ran the program of that container. Undefined if it did. */
export function startFailure(task: Task, name: string): string | undefined {
  const container = containerOf(task, name);
  const reason = container?.reason ?? task.stoppedReason ?? 'no reason was given';
  return task.stopCode === 'TaskFailedToStart' || container?.exitCode === undefined ? reason : undefined;
}

export const notStarted = (doing: string, reason: string): OperationError =>
  new OperationError(doing, reason, cureOf(reason));
