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

/** A service's tasks in its target groups. */
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
    // Of a target that it does not know the balancer would say that it is invalid.
    if (!this.#registered.delete(task)) return;
    for (const TargetGroupArn of this.#arns)
      await unlessGone(this.#client.send(new DeregisterTargetsCommand({ TargetGroupArn, Targets: [target(task)] })));
  }

  /** Longest delay of deregistration, ms. */
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

  /** Whether all groups found the task healthy within `ms`; ends early when `over` says so. */
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

  /** What the task itself answers, and what the balancer says: moto alone calls every target healthy. */
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

/** `unavailable`: nobody checks this group. */
const isGood = new Set(['healthy', 'unavailable']);

const target = ({ address }: Task) => ({ Id: address?.host ?? '', Port: address?.port });

/** Whether a status fits `200`, `200,202` or `200-299`. */
export const matches = (matcher: string, status: number): boolean =>
  matcher.split(',').some((part) => {
    const [first, last = first] = part.split('-').map(Number);
    return status >= (first ?? NaN) && status <= (last ?? NaN);
  });
