import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadBalancer } from '@aws-sdk/client-ecs';
import {
  DeregisterTargetsCommand,
  DescribeTargetGroupAttributesCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  RegisterTargetsCommand,
  type ElasticLoadBalancingV2Client,
  type TargetGroup,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { unlessGone } from './balancer-model.ts';
import type { Task } from './tasks-task.ts';

const pollMs = 100;
const probeMs = 2000;

/** Registers a service's tasks with its target groups. */
export class Targets {
  readonly #client: ElasticLoadBalancingV2Client;
  readonly #arns: string[];
  readonly #registered = new WeakSet<Task>();

  constructor(client: ElasticLoadBalancingV2Client, loadBalancers: LoadBalancer[]) {
    this.#client = client;
    this.#arns = loadBalancers.flatMap(({ targetGroupArn }) => targetGroupArn ?? []);
  }

  async register(task: Task): Promise<void> {
    this.#registered.add(task);
    for (const TargetGroupArn of this.#arns)
      await this.#client.send(new RegisterTargetsCommand({ TargetGroupArn, Targets: [target(task)] }));
  }

  async deregister(task: Task): Promise<void> {
    // The balancer rejects a target that it does not know as invalid.
    if (!this.#registered.delete(task)) return;
    for (const TargetGroupArn of this.#arns)
      await unlessGone(this.#client.send(new DeregisterTargetsCommand({ TargetGroupArn, Targets: [target(task)] })));
  }

  /** Longest deregistration delay of the groups, ms. */
  async delayMs(): Promise<number> {
    const delays = await Promise.all(
      this.#arns.map(async (TargetGroupArn) => {
        const asked = this.#client.send(new DescribeTargetGroupAttributesCommand({ TargetGroupArn }));
        const all = (await unlessGone(asked))?.Attributes ?? [];
        const delay = all.find(({ Key }) => Key === 'deregistration_delay.timeout_seconds')?.Value;
        return Number(delay ?? 300) * 1000;
      }),
    );
    return Math.max(0, ...delays);
  }

  /** Whether all groups report the task healthy within `ms`. Ends early if `over` holds. */
  async healthy(task: Task, ms: number, over: () => boolean): Promise<boolean> {
    const deadline = Date.now() + ms;
    const groups = await Promise.all(this.#arns.map((arn) => this.#group(arn)));
    for (;;) {
      if (over()) return false;
      const all = await Promise.all(groups.map((group) => this.#finds(group, task).catch(() => false)));
      if (all.every(Boolean)) return !over();
      if (Date.now() > deadline) return false;
      await sleep(pollMs);
    }
  }

  async #group(arn: string): Promise<TargetGroup> {
    const asked = this.#client.send(new DescribeTargetGroupsCommand({ TargetGroupArns: [arn] }));
    return (await unlessGone(asked))?.TargetGroups?.[0] ?? {};
  }

  /** Requests the task itself and asks the balancer, because moto alone reports every target as healthy. */
  async #finds(group: TargetGroup, task: Task): Promise<boolean> {
    const { host, port } = task.address ?? {};
    const url = `http://${host}:${port}${group.HealthCheckPath ?? '/'}`;
    const answer = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(probeMs) });
    await answer.arrayBuffer();
    if (!matches(group.Matcher?.HttpCode ?? '200', answer.status)) return false;
    const input = { TargetGroupArn: group.TargetGroupArn, Targets: [target(task)] };
    const { TargetHealthDescriptions: found } = await this.#client.send(new DescribeTargetHealthCommand(input));
    return found?.every(({ TargetHealth }) => isGood.has(TargetHealth?.State ?? '')) === true;
  }
}

/** `unavailable`: the group has no health checks. */
const isGood = new Set(['healthy', 'unavailable']);

const target = ({ address }: Task) => ({ Id: address?.host ?? '', Port: address?.port });

/** Whether a status matches `200`, `200,202` or `200-299`. */
export const matches = (matcher: string, status: number): boolean =>
  matcher.split(',').some((part) => {
    const [first, last = first] = part.split('-').map(Number);
    return status >= (first ?? NaN) && status <= (last ?? NaN);
  });
