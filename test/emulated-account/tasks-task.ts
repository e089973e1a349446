import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContainerDefinition, Tag, TaskDefinition, TaskOverride } from '@aws-sdk/client-ecs';
import { containerEnvironment, localPath, secretValues } from './containers-environment.ts';
import { LogStream } from './container-logs.ts';
import { startContainer, taskAddress, type Container } from './containers.ts';
import { findImage, type Image } from './images.ts';
import type { AccountClients } from './tasks-clients.ts';

export interface TaskSetting {
  /** Directory for files of tasks. */
  directory: string;
  images: string;
  authority: string;
  entryAuthority?: string | undefined;
  /** Upper bound of the time between SIGTERM and SIGKILL, ms, whatever `stopTimeout` says. */
  mostStopMs: number;
}

export interface TaskArgs {
  definition: TaskDefinition;
  clusterArn: string;
  group: string;
  launchType: string;
  startedBy?: string | undefined;
  overrides?: TaskOverride | undefined;
  tags?: Tag[] | undefined;
}

/** Port of the images, used if no port is mapped. */
const usualPort = 3000;
/** Default of `stopTimeout`, seconds. */
const stopSeconds = 30;

/** One task with one container, which is one process. */
export class Task {
  readonly arn: string;
  readonly id = randomBytes(16).toString('hex');
  readonly args: TaskArgs;
  readonly containerPort: number;
  readonly createdAt = Date.now();
  /** Resolves when it is STOPPED. */
  readonly ended: Promise<void>;
  /** Resolves when it is RUNNING, or has ended without running. */
  readonly started: Promise<void>;
  status: 'PROVISIONING' | 'PENDING' | 'RUNNING' | 'STOPPING' | 'STOPPED' = 'PROVISIONING';
  address: { host: string; port: number } | undefined;
  startedAt: number | undefined;
  stoppingAt: number | undefined;
  stoppedAt: number | undefined;
  stopCode: string | undefined;
  stoppedReason: string | undefined;
  exitCode: number | undefined;
  digest: string | undefined;
  readonly logErrors: unknown[] = [];
  readonly #setting: TaskSetting;
  readonly #clients: AccountClients;
  #container: Container | undefined;

  constructor(args: TaskArgs, setting: TaskSetting, clients: AccountClients) {
    this.args = args;
    this.#setting = setting;
    this.#clients = clients;
    this.arn = `${args.clusterArn.replace(':cluster/', ':task/')}/${this.id}`;
    this.containerPort = this.definition.portMappings?.[0]?.containerPort ?? usualPort;
    let running: () => void = () => undefined;
    this.started = new Promise((resolve) => (running = resolve));
    this.ended = this.#run(running).catch((error: Error) => this.#end('TaskFailedToStart', error.message));
    void this.ended.then(running);
  }

  get definition(): ContainerDefinition {
    const [first, ...more] = this.args.definition.containerDefinitions ?? [];
    if (first === undefined || more.length > 0) throw new Error('a task of the emulated account has one container');
    return first;
  }

  get pid(): number | undefined {
    return this.#container?.pid;
  }

  /** Sends SIGTERM, and SIGKILL after the container's `stopTimeout`. Only the first reason is kept. */
  stop(reason: string, code: string): void {
    this.stopCode ??= code;
    this.stoppedReason ??= reason;
    if (this.status === 'STOPPED') return;
    this.stoppingAt ??= Date.now();
    if (this.#container === undefined) return;
    this.status = 'STOPPING';
    const grace = (this.definition.stopTimeout ?? stopSeconds) * 1000;
    this.#container.stop(Math.min(grace, this.#setting.mostStopMs));
  }

  async #run(running: () => void): Promise<void> {
    const { definition } = this;
    const override = this.args.overrides?.containerOverrides?.find(({ name }) => name === definition.name);
    const temporary = join(this.#setting.directory, this.id);
    const image = await this.#pull(definition);
    this.status = 'PENDING';
    const secrets = await secretValues(definition, this.#clients.secrets);
    const log = await this.#openLog(definition);
    this.address = await taskAddress(this.containerPort);
    await mkdir(temporary, { recursive: true, mode: 0o700 });
    try {
      if (this.stoppingAt !== undefined) return this.#end('UserInitiated', 'Task stopped by user');
      const { authority, entryAuthority } = this.#setting;
      const where = { imageEnv: image.env, ...this.address, otherPort: this.address.port !== this.containerPort };
      const surroundings = { ...where, authority, entryAuthority, temporary };
      const command =
        override?.command ?? definition.command ?? (definition.entryPoint === undefined ? image.command : []);
      const argv = [...(definition.entryPoint ?? image.entryPoint), ...command].map((a) => localPath(a, authority));
      const env = containerEnvironment(definition, override, secrets, surroundings);
      const line = (text: string) => log?.write(text);
      this.#container = begin(() => startContainer({ argv, directory: image.directory, env, line }));
      this.startedAt = Date.now();
      this.status = 'RUNNING';
      running();
      this.exitCode = await this.#container.ended;
      // Written before the task counts as stopped, so that whoever waited for its end can read the whole log.
      await log?.close();
      this.#end('EssentialContainerExited', 'Essential container in task exited');
    } finally {
      if (log !== undefined) this.logErrors.push(...log.errors);
      await rm(temporary, { recursive: true, force: true });
    }
  }

  #end(code: string, reason: string): void {
    this.stopCode ??= code;
    this.stoppedReason ??= reason;
    this.stoppedAt = Date.now();
    this.status = 'STOPPED';
  }

  async #pull({ image: name = '' }: ContainerDefinition): Promise<Image> {
    const image = await findImage(this.#setting.images, name);
    if (image === undefined) {
      throw new Error(
        `CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref ${name}: ${name}: not found`,
      );
    }
    this.digest = image.digest;
    const wanted = this.args.definition.runtimePlatform?.cpuArchitecture === 'ARM64' ? 'linux/arm64' : 'linux/amd64';
    if (image.platform !== wanted)
      begin(() => {
        throw new Error(`exec: "${(this.definition.command ?? image.command)[0] ?? ''}": exec format error`);
      });
    return image;
  }

  async #openLog({ name = '', logConfiguration }: ContainerDefinition): Promise<LogStream | undefined> {
    const options = logConfiguration?.options ?? {};
    if (logConfiguration?.logDriver !== 'awslogs') return undefined;
    const stream = `${options['awslogs-stream-prefix'] ?? ''}/${name}/${this.id}`;
    const log = new LogStream(this.#clients.logs, options['awslogs-group'] ?? '', stream);
    await log.open(options['awslogs-create-group'] === 'true').catch((error: Error) => {
      throw new Error(
        `ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: ${error.name}: ${error.message}`,
      );
    });
    return log;
  }
}

/** Wraps the error of a failed start in ECS's message. */
function begin<T>(start: () => T): T {
  try {
    return start();
  } catch (error) {
    throw new Error(
      `CannotStartContainerError: ResourceInitializationError: failed to create new container runtime task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ${(error as Error).message}: unknown`,
      { cause: error },
    );
  }
}
