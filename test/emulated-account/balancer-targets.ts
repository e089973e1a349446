import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Group } from './balancer-model.ts';

export type TargetState = 'initial' | 'healthy' | 'unhealthy' | 'draining' | 'unused' | 'unavailable';

export interface Target {
  /** IP address, or ARN of a function. */
  id: string;
  port: number | undefined;
  state: TargetState;
  reason?: string;
  description?: string;
  /** Aborts the requests that are still in flight when the time to drain is over. */
  end: AbortController;
  /** Changes whenever its health checks restart or end. */
  round: number;
}

export interface TargetOptions {
  /** Upper bounds for the settings of target groups, ms, so that tests need not wait. */
  healthIntervalMs?: number;
  drainMs?: number;
}

/** The targets of one group and their health. They are kept here because moto knows only one port per address. */
export class Targets {
  group: Group;
  /** Whether any target was ever healthy. */
  proven = false;
  /** As in AWS, health is checked only if some rule forwards to the group. */
  #inUse = false;
  readonly #targets = new Map<string, Target>();
  readonly #options: TargetOptions;
  #turn = 0;

  constructor(group: Group, options: TargetOptions) {
    this.group = group;
    this.#options = options;
  }

  all = (): Target[] => [...this.#targets.values()];

  inUse(is: boolean): void {
    if (is === this.#inUse) return;
    this.#inUse = is;
    for (const target of this.all()) if (target.state !== 'draining') this.#begin(target);
  }

  register(id: string, port = this.group.port): void {
    const known = this.#targets.get(keyOf(id, port));
    if (known !== undefined && known.state !== 'draining') return;
    // A draining target with the same address keeps draining separately, so that its requests are not cut off.
    const target: Target = { id, port, state: 'initial', end: new AbortController(), round: 0 };
    this.#targets.set(keyOf(id, port), target);
    this.#begin(target);
  }

  /** Sends no new requests to the target. Those in flight have the group's delay to end. */
  deregister(id: string, port = this.group.port): void {
    const target = this.#targets.get(keyOf(id, port));
    if (target === undefined || target.state === 'draining') return;
    const drainMs = target.state === 'unused' ? 0 : Math.min(this.group.drainMs, this.#options.drainMs ?? Infinity);
    Object.assign(target, {
      round: target.round + 1,
      state: 'draining',
      reason: 'Target.DeregistrationInProgress',
      description: 'Target deregistration is in progress',
    });
    const gone = () => {
      target.end.abort();
      if (this.#targets.get(keyOf(id, port)) === target) this.#targets.delete(keyOf(id, port));
    };
    void delay(drainMs, undefined, { signal: target.end.signal }).then(gone, gone);
  }

  /**
   * The next healthy target by round robin. If all targets are unhealthy, the next of those, because AWS fails open.
   */
  next(): Target | undefined {
    const all = this.all();
    const good = all.filter(({ state }) => state === 'healthy' || state === 'unavailable');
    const able = good.length > 0 ? good : all.filter(({ state }) => state === 'unhealthy');
    return able.length === 0 ? undefined : able[this.#turn++ % able.length];
  }

  close(): void {
    for (const { end } of this.all()) end.abort();
    this.#targets.clear();
  }

  #begin(target: Target): void {
    delete target.reason;
    delete target.description;
    Object.assign(target, this.#firstState(), { round: target.round + 1 });
    if (target.state === 'initial') void this.#watch(target);
  }

  #firstState(): Pick<Target, 'state' | 'reason' | 'description'> {
    if (!this.#inUse)
      return {
        state: 'unused',
        reason: 'Target.NotInUse',
        description: 'Target group is not configured to receive traffic from the load balancer',
      };
    if (!this.group.health.enabled)
      return {
        state: 'unavailable',
        reason: 'Target.HealthCheckDisabled',
        description: 'Health checks are disabled for this target group',
      };
    return {
      state: 'initial',
      reason: 'Elb.InitialHealthChecking',
      description: 'Initial health checks in progress',
    };
  }

  /**
   * Checks health until the round is over. The first good answer makes a new target healthy; after that the thresholds
   * count.
   */
  async #watch(target: Target): Promise<void> {
    let [good, bad] = [0, 0];
    const { signal } = target.end;
    const { round } = target;
    const isOver = () => signal.aborted || target.round !== round;
    while (!isOver()) {
      const wrong = await check(target, this.group, signal);
      if (isOver()) return;
      [good, bad] = wrong === undefined ? [good + 1, 0] : [0, bad + 1];
      const { health } = this.group;
      if (good >= (target.state === 'initial' ? 1 : health.good)) {
        target.state = 'healthy';
        this.proven = true;
        delete target.reason;
        delete target.description;
      } else if (bad >= health.bad) Object.assign(target, { state: 'unhealthy', ...wrong });
      const interval = Math.min(health.intervalMs, this.#options.healthIntervalMs ?? Infinity);
      await delay(interval, undefined, { signal }).catch(() => undefined);
    }
  }
}

const keyOf = (id: string, port: number | undefined) => `${id} ${port}`;

type Wrong = Required<Pick<Target, 'reason' | 'description'>>;

/** Requests the health path once. Resolves to the problem, or to undefined. */
function check({ id, port }: Target, { health }: Group, signal: AbortSignal): Promise<Wrong | undefined> {
  return new Promise((resolve) => {
    const asked = request({
      host: id,
      port: health.port ?? port,
      path: health.path,
      timeout: health.timeoutMs,
      headers: { 'user-agent': 'ELB-HealthChecker/2.0', connection: 'close' },
      agent: false,
      signal,
    });
    asked.on('response', (response) => {
      const { statusCode = 0 } = response;
      response.resume();
      response.on('error', () => undefined);
      const description = `Health checks failed with these codes: [${statusCode}]`;
      resolve(matches(health.matcher, statusCode) ? undefined : { reason: 'Target.ResponseCodeMismatch', description });
    });
    asked.on('timeout', () => {
      resolve({ reason: 'Target.Timeout', description: 'Request timed out' });
      asked.destroy();
    });
    asked.on('error', () => resolve({ reason: 'Target.FailedHealthChecks', description: 'Health checks failed' }));
    asked.end();
  });
}

/** `200`, `200,202`, `200-299`. */
const matches = (matcher: string, status: number) =>
  matcher.split(',').some((part) => {
    const [from = NaN, to = from] = part.split('-').map(Number);
    return status >= from && status <= to;
  });
