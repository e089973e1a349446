import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadBalancer, Tag, TaskDefinition } from '@aws-sdk/client-ecs';
import { deploymentAnswer } from './tasks-answers.ts';
import type { Targets } from './tasks-targets.ts';
import type { Task, TaskArgs } from './tasks-task.ts';

export interface ServiceArgs {
  name: string;
  clusterArn: string;
  launchType: string;
  loadBalancers: LoadBalancer[];
  graceMs: number;
  breaker: { enable: boolean; rollback: boolean };
  tags: Tag[];
}

export interface ServiceHost {
  launch(args: TaskArgs): Task;
  targets: Targets;
  /** Upper bound of the wait for a deregistered target, ms, whatever its group says. */
  mostDrainMs: number;
  /** Longest wait for a task to become healthy, ms. */
  mostHealthMs: number;
  failed(error: unknown): void;
}

interface Deployment {
  id: string;
  definition: TaskDefinition;
  tasks: Set<Task>;
  healthy: Set<Task>;
  failed: number;
  /** Whether it was ever completed. Only such a deployment can be rolled back to. */
  proven: boolean;
  state: 'IN_PROGRESS' | 'COMPLETED' | 'FAILED';
  reason: string;
  createdAt: number;
  updatedAt: number;
}

/**
 * Minimum of failed tasks before the circuit breaker acts. Otherwise it is half of the desired number ("Amazon ECS
 * deployment circuit breaker").
 */
const leastFailures = 3;
/** Pause after a task has ended, ms. */
const pauseMs = 100;
/** How long a failed deployment stays visible, ms. */
const lingerMs = 3000;

/** One ECS service: keeps the desired number of tasks running, and replaces them in a rolling update. */
export class Service {
  readonly args: ServiceArgs;
  desired = 0;
  deleted = false;
  readonly #host: ServiceHost;
  /** The primary deployment is the first. */
  #deployments: Deployment[] = [];
  readonly #events: { id: string; createdAt: number; message: string }[] = [];
  /** Tasks that are being retired (`#retiring`), and all that ever were (`#retired`). */
  readonly #retiring = new Set<Task>();
  readonly #retired = new WeakSet<Task>();
  readonly #work = new Set<Promise<void>>();

  constructor(args: ServiceArgs, host: ServiceHost) {
    this.args = args;
    this.#host = host;
  }

  /** Applies CreateService or UpdateService. */
  update({
    desired,
    definition,
    force,
  }: {
    desired?: number | undefined;
    definition?: TaskDefinition | undefined;
    force?: boolean;
  }): void {
    this.desired = desired ?? this.desired;
    const current = this.#deployments[0];
    const other = definition !== undefined && definition.taskDefinitionArn !== current?.definition.taskDefinitionArn;
    const next = definition ?? current?.definition;
    if ((other || force === true) && next !== undefined) this.#deployments.unshift(deployment(next));
    this.#reconcile();
  }

  delete(): void {
    this.desired = 0;
    this.deleted = true;
    this.#reconcile();
  }

  /** `DRAINING` until the last process of a deleted service is gone. */
  get status(): 'ACTIVE' | 'DRAINING' | 'INACTIVE' {
    if (!this.deleted) return 'ACTIVE';
    return this.#count(() => true) > 0 || this.#retiring.size > 0 ? 'DRAINING' : 'INACTIVE';
  }

  /** The fields of ECS's answer that describe what really runs. */
  answer(): Record<string, unknown> {
    const { launchType } = this.args;
    const deployments = this.deleted ? [] : this.#deployments.filter((d, i) => i === 0 || isVisible(d));
    return {
      status: this.status,
      desiredCount: this.desired,
      runningCount: this.#count(isRunning),
      pendingCount: this.#count(isPending),
      taskDefinition: this.#deployments[0]?.definition.taskDefinitionArn,
      deployments: deployments.map((d, i) =>
        deploymentAnswer(
          {
            ...d,
            status: i === 0 ? 'PRIMARY' : 'ACTIVE',
            taskDefinition: d.definition.taskDefinitionArn ?? '',
            desired: i === 0 ? this.desired : 0,
            running: [...d.tasks].filter(isRunning).length,
            pending: [...d.tasks].filter(isPending).length,
          },
          launchType,
        ),
      ),
      events: this.#events.slice(0, 100).map((event) => ({ ...event, createdAt: event.createdAt / 1000 })),
    };
  }

  async settled(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work);
  }

  #count = (which: (task: Task) => boolean): number =>
    this.#deployments.reduce((sum, { tasks }) => sum + [...tasks].filter(which).length, 0);

  #event(message: string): void {
    const id = String(randomInt(2 ** 47));
    this.#events.unshift({ id, createdAt: Date.now(), message: `(service ${this.args.name}) ${message}` });
  }

  #background(work: Promise<void>): void {
    const done = work.catch((error: unknown) => this.#host.failed(error));
    this.#work.add(done);
    void done.finally(() => this.#work.delete(done));
  }

  /** Starts and retires tasks towards the desired state. Called after every change. */
  #reconcile(): void {
    const [primary, ...older] = this.#deployments;
    if (primary === undefined) return;
    const live = [...primary.tasks].filter((task) => !this.#retired.has(task));
    if (primary.state !== 'FAILED') {
      for (let missing = this.desired - live.length; missing > 0; missing -= 1) this.#launch(primary);
    }
    for (const task of live.slice(this.desired)) this.#retire(task, primary);
    if (primary.state === 'FAILED' || primary.healthy.size < this.desired) return;
    for (const old of older) for (const task of old.tasks) this.#retire(task, old);
    if (primary.state === 'COMPLETED' || older.some(({ tasks }) => tasks.size > 0)) return;
    this.#complete(primary);
  }

  #complete(primary: Deployment): void {
    primary.state = 'COMPLETED';
    primary.proven = true;
    if (!primary.reason.includes('rolling back')) primary.reason = `ECS deployment ${primary.id} completed.`;
    primary.updatedAt = Date.now();
    this.#event(`(deployment ${primary.id}) deployment completed.`);
    this.#event('has reached a steady state.');
    this.#deployments = this.#deployments.filter((d) => d === primary || isVisible(d));
  }

  #launch(to: Deployment): void {
    const { clusterArn, launchType, name, tags } = this.args;
    const task = this.#host.launch({
      definition: to.definition,
      clusterArn,
      launchType,
      group: `service:${name}`,
      startedBy: to.id,
      tags,
    });
    to.tasks.add(task);
    this.#event(`has started 1 tasks: (task ${task.id}).`);
    this.#background(this.#follow(task, to));
  }

  async #follow(task: Task, of: Deployment): Promise<void> {
    await task.started;
    if (isRunning(task)) await this.#register(task, of);
    await task.ended;
    const stopped = this.#retired.has(task);
    const good = of.healthy.delete(task);
    if (!stopped) {
      await this.#host.targets.deregister(task).catch((error: unknown) => this.#host.failed(error));
      if (!good && of.state === 'IN_PROGRESS') of.failed += 1;
      this.#checkBreaker(of);
      if (of === this.#deployments[0] && of.state !== 'FAILED') await sleep(pauseMs);
    }
    of.tasks.delete(task);
    this.#reconcile();
  }

  /** Registers a task with the target groups. Older tasks are retired once it is healthy. */
  async #register(task: Task, of: Deployment): Promise<void> {
    const { targets, mostHealthMs } = this.#host;
    const over = () => !isRunning(task) || this.#retired.has(task);
    try {
      await targets.register(task);
      if (await targets.healthy(task, Math.min(Math.max(this.args.graceMs, 10_000), mostHealthMs), over)) {
        of.healthy.add(task);
        this.#reconcile();
        return;
      }
    } catch (error) {
      this.#host.failed(error);
    }
    if (over()) return;
    const group = this.args.loadBalancers[0]?.targetGroupArn;
    this.#event(`(task ${task.id}) failed ELB health checks in (target-group ${group}).`);
    task.stop(`Task failed ELB health checks in (target-group ${group})`, 'ServiceSchedulerInitiated');
  }

  /** The circuit breaker of a deployment that is not completed. */
  #checkBreaker(of: Deployment): void {
    const limit = Math.max(leastFailures, Math.ceil(this.desired / 2));
    if (!this.args.breaker.enable || of !== this.#deployments[0] || of.state !== 'IN_PROGRESS' || of.failed < limit)
      return;
    of.state = 'FAILED';
    of.reason = 'ECS deployment circuit breaker: tasks failed to start.';
    of.updatedAt = Date.now();
    this.#event(`(deployment ${of.id}) deployment failed: tasks failed to start.`);
    for (const task of of.tasks) this.#retire(task, of);
    const back = this.args.breaker.rollback ? this.#deployments.find((d) => d.proven && d !== of) : undefined;
    if (back === undefined) return;
    this.#event(`rolling back to deployment ${back.id}.`);
    back.state = 'IN_PROGRESS';
    back.reason = `ECS deployment circuit breaker: rolling back to deploymentId ${back.id}.`;
    back.updatedAt = Date.now();
    back.failed = 0;
    this.#deployments = [back, ...this.#deployments.filter((d) => d !== back)];
  }

  /** Deregisters a task from the target groups, then stops it. */
  #retire(task: Task, of: Deployment): void {
    if (this.#retired.has(task)) return;
    this.#retired.add(task);
    this.#retiring.add(task);
    of.healthy.delete(task);
    const { targets, mostDrainMs } = this.#host;
    const work = async () => {
      const running = isRunning(task);
      try {
        await targets.deregister(task);
        if (running && this.args.loadBalancers.length > 0) await sleep(Math.min(await targets.delayMs(), mostDrainMs));
      } finally {
        task.stop(
          `Scaling activity initiated by (deployment ${this.#deployments[0]?.id})`,
          'ServiceSchedulerInitiated',
        );
        await task.ended;
        this.#retiring.delete(task);
        this.#event(`has stopped 1 running tasks: (task ${task.id}).`);
      }
    };
    this.#background(work());
  }
}

/** A failed deployment stays visible for a while. */
const isVisible = ({ tasks, state, updatedAt }: Deployment): boolean =>
  tasks.size > 0 || (state === 'FAILED' && Date.now() - updatedAt < lingerMs);
const isRunning = (task: Task): boolean => task.status === 'RUNNING';
const isPending = (task: Task): boolean => task.status === 'PROVISIONING' || task.status === 'PENDING';

function deployment(definition: TaskDefinition): Deployment {
  const id = `ecs-svc/${String(randomInt(2 ** 47)).padStart(19, '1')}`;
  const now = Date.now();
  const reason = `ECS deployment ${id} in progress.`;
  return {
    id,
    definition,
    tasks: new Set(),
    healthy: new Set(),
    failed: 0,
    proven: false,
    state: 'IN_PROGRESS',
    reason,
    createdAt: now,
    updatedAt: now,
  };
}
