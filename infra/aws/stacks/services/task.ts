import * as pulumi from '@pulumi/pulumi';
import { TaskDefinition } from '@pulumi/aws/ecs/taskDefinition.js';
import type { LogGroup } from '@pulumi/aws/cloudwatch/logGroup.js';
import { serviceRole, type Statement } from '../../rights/iam.ts';
import { logGroup } from '../storage/log-group.ts';
import { Component, type Place } from '../../lib/place.ts';
import { servicePort } from '../../lib/names.ts';

export interface TaskArgs {
  /** `blue-api`. */
  name: string;
  image: pulumi.Input<string>;
  command: string[];
  environment: Record<string, pulumi.Input<string>>;
  /** Seconds between SIGTERM and SIGKILL. */
  stopSeconds: number;
  /** Environment variable -> ARN of the secret that holds its value. */
  secrets: Record<string, pulumi.Input<string>>;
  repositoryArn: pulumi.Input<string>;
  keyArn: pulumi.Input<string>;
}

/**
 * The task definition of a service. ECS gets the rights to start the task; the program itself gets no rights in AWS.
 */
export class Task extends Component {
  readonly definition: TaskDefinition;
  readonly #args: TaskArgs;
  readonly #logs: LogGroup;

  constructor(args: TaskArgs, place: Place, options: pulumi.ComponentResourceOptions) {
    super('Task', `${place.environment}-${args.name}-task`, place, options);
    this.#args = args;
    const { name, keyArn } = args;
    const logName = `/greenlight/${place.environment}/${name}`;
    this.#logs = logGroup(this.named(name), { name: logName, place, keyArn }, this);
    this.definition = this.#definition();
    this.registerOutputs({});
  }

  #definition() {
    const { place } = this;
    const { cpu, memory, architecture } = place.settings.tasks;
    return new TaskDefinition(
      this.named(this.#args.name),
      {
        family: this.named(this.#args.name),
        requiresCompatibilities: ['FARGATE'],
        networkMode: 'awsvpc',
        cpu: String(cpu),
        memory: String(memory),
        runtimePlatform: { operatingSystemFamily: 'LINUX', cpuArchitecture: architecture },
        executionRoleArn: this.#role('start', 'ecs-tasks.amazonaws.com', this.#toStart()).arn,
        taskRoleArn: this.#role('run', 'ecs-tasks.amazonaws.com', []).arn,
        containerDefinitions: pulumi.jsonStringify([this.#container()]),
        tags: place.tags,
      },
      this.child,
    );
  }

  #role = (use: string, service: string, statements: Statement[]) =>
    serviceRole(this.named(`${this.#args.name}-${use}`), { place: this.place, service, statements }, this);

  /** Rights of ECS to start the task: pull from this repository, read these secrets, write this log. */
  #toStart(): Statement[] {
    const { repositoryArn, secrets, keyArn } = this.#args;
    const pull = ['ecr:BatchCheckLayerAvailability', 'ecr:GetDownloadUrlForLayer', 'ecr:BatchGetImage'];
    const statements: Statement[] = [
      { Effect: 'Allow', Action: pull, Resource: repositoryArn },
      // This action takes no resource. It allows the login to the registry, and gives no right to an image.
      { Effect: 'Allow', Action: 'ecr:GetAuthorizationToken', Resource: '*' },
      {
        Effect: 'Allow',
        Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        Resource: pulumi.interpolate`${this.#logs.arn}:*`,
      },
    ];
    if (Object.keys(secrets).length === 0) return statements;
    return [
      ...statements,
      { Effect: 'Allow', Action: 'secretsmanager:GetSecretValue', Resource: Object.values(secrets) },
      { Effect: 'Allow', Action: 'kms:Decrypt', Resource: keyArn },
    ];
  }

  #container() {
    const { name, image, command, environment, secrets, stopSeconds } = this.#args;
    const pairs = <T>(record: Record<string, T>) => Object.entries(record);
    return {
      name,
      image,
      essential: true,
      command,
      // A program can neither change what it runs nor leave data on disk.
      readonlyRootFilesystem: true,
      // An init process that forwards SIGTERM and reaps orphaned processes.
      linuxParameters: { initProcessEnabled: true, capabilities: { drop: ['ALL'] } },
      portMappings: [{ containerPort: servicePort, protocol: 'tcp' }],
      stopTimeout: stopSeconds,
      environment: pairs(environment).map(([key, value]) => ({ name: key, value })),
      secrets: pairs(secrets).map(([key, valueFrom]) => ({ name: key, valueFrom })),
      logConfiguration: {
        logDriver: 'awslogs',
        options: {
          'awslogs-group': this.#logs.name,
          'awslogs-region': this.place.settings.region,
          'awslogs-stream-prefix': name,
          // A log that cannot be written must not block the program.
          mode: 'non-blocking',
          'max-buffer-size': '4m',
        },
      },
    };
  }
}
