import { once } from 'node:events';
import { Agent, createServer as createPlainServer, type Server } from 'node:http';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { packageRoot } from '../../infra/lib/paths.ts';
import { readModel, readRules, type Listener, type Model } from './balancer-model.ts';
import { Functions, type FunctionOptions } from './balancer-function.ts';
import { Exchange, type Served } from './balancer-proxy.ts';
import { Targets, type TargetOptions } from './balancer-targets.ts';
import { answerXml, healthXml, targetsIn } from './balancer-answers.ts';
import type { Answer, Call, Part } from './hooks.ts';

export interface BalancerOptions extends TargetOptions, Omit<FunctionOptions, 'file'> {
  /** Certificate and key, PEM. */
  certificate: { cert: string; key: string };
  /** Whether AWS's managed firewall rules are in front of it. Default: false. */
  firewall?: boolean;
  /** Delay until a change affects requests, ms. Default 0: before the call that made the change is answered. */
  propagationMs?: number;
  /** Port of a listener; undefined: it does not listen. Default: for HTTPS the listener's own port, for HTTP none. */
  portOf?: (listener: Pick<Listener, 'port' | 'protocol' | 'balancerArn'>) => number | undefined;
}

const changesRules = ['CreateRule', 'ModifyRule', 'DeleteRule', 'SetRulePriorities'];
const changesMore = [
  ...['CreateListener', 'ModifyListener', 'DeleteListener', 'CreateLoadBalancer', 'DeleteLoadBalancer'],
  ...['CreateTargetGroup', 'ModifyTargetGroup', 'ModifyTargetGroupAttributes', 'DeleteTargetGroup'],
];

const fence = join(packageRoot, 'infra', 'aws', 'stacks', 'network', 'fence', 'index.mjs');

/** The data plane of the account's load balancers: carries out what moto was told. */
export class Balancer implements Part {
  readonly hooks: Part['hooks'];
  /** Errors of delayed changes; none is expected. */
  readonly errors: unknown[] = [];
  readonly #options: BalancerOptions;
  readonly #client: ElasticLoadBalancingV2Client;
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: 64 });
  readonly #functions: Functions;
  readonly #targets = new Map<string, Targets>();
  readonly #servers = new Map<string, { server: Server; port: number }>();
  readonly #observers: ((one: Served) => void)[] = [];
  readonly #end = new AbortController();
  #groups: Model['groups'] = new Map();
  /** As stored in moto (`#latest`), and as requests see them (`#listeners`). */
  #latest: Listener[] = [];
  #listeners: Listener[] = [];
  #reading = Promise.resolve();
  #applying = Promise.resolve();

  constructor(options: BalancerOptions) {
    this.#options = options;
    const { moto: endpoint, region } = options;
    const credentials = { accessKeyId: 'balancer', secretAccessKey: 'balancer' };
    this.#client = new ElasticLoadBalancingV2Client({ endpoint, region, credentials });
    this.#functions = new Functions({ ...options, file: fence });
    const service = 'elasticloadbalancing';
    this.hooks = [
      { service, actions: changesRules, after: () => this.#changed((model) => readRules(this.#client, model)) },
      { service, actions: changesMore, after: () => this.#changed(() => readModel(this.#client)) },
      { service, actions: ['RegisterTargets'], after: (call) => this.#register(call) },
      { service, actions: ['DeregisterTargets'], before: (call) => Promise.resolve(this.#deregister(call)) },
      { service, actions: ['DescribeTargetHealth'], after: (call, answer) => this.#health(call, answer) },
      {
        service: 'lambda',
        actions: ['POST', 'PUT', 'DELETE'],
        after: async () => void (await this.#functions.forget()),
      },
    ];
  }

  /** Calls `listener` for each request once it is answered. */
  onServed(listener: (one: Served) => void): void {
    this.#observers.push(listener);
  }

  /** The targets of each group, per balancer whose rules forward to it. */
  *groups(): Generator<{ balancerArn: string; groupArn: string; targets: Targets }> {
    for (const [groupArn, targets] of this.#targets)
      for (const balancerArn of new Set(this.#forwarding(groupArn).map((listener) => listener.balancerArn)))
        yield { balancerArn, groupArn, targets };
  }

  /** Output of the functions behind the balancer. */
  functionLog = (): string[] => this.#functions.log;

  async close(): Promise<void> {
    this.#end.abort();
    await this.#reading;
    await this.#applying;
    for (const targets of this.#targets.values()) targets.close();
    await Promise.all([...this.#servers.keys()].map((arn) => this.#shut(arn)));
    this.#agent.destroy();
    await this.#functions.forget();
    this.#client.destroy();
  }

  /**
   * Reads the configuration from moto, one reading after the other, and applies it: at once, or after a delay as in
   * AWS.
   */
  async #changed(read: (model: Model) => Promise<Model>): Promise<undefined> {
    const { propagationMs = 0 } = this.#options;
    const next = this.#reading.then(async () => {
      if (this.#end.signal.aborted) return;
      const { groups, listeners } = await read({ groups: this.#groups, listeners: this.#latest });
      this.#latest = listeners;
      this.#updateGroups(groups);
      if (propagationMs === 0) return this.#apply(listeners);
      void delay(propagationMs, undefined, { signal: this.#end.signal }).then(
        () =>
          (this.#applying = this.#applying
            .then(() => this.#apply(listeners))
            .catch((error: unknown) => void this.errors.push(error))),
        () => undefined,
      );
    });
    this.#reading = next.catch(() => undefined);
    await next;
  }

  /** Target groups accept targets as soon as they exist. */
  #updateGroups(groups: Model['groups']): void {
    this.#groups = groups;
    for (const [arn, group] of groups) {
      const known = this.#targets.get(arn);
      if (known === undefined) this.#targets.set(arn, new Targets(group, this.#options));
      else known.group = group;
    }
    for (const [arn, targets] of this.#targets)
      if (!groups.has(arn)) {
        targets.close();
        this.#targets.delete(arn);
      }
  }

  async #apply(listeners: Listener[]): Promise<void> {
    this.#listeners = listeners;
    for (const [arn, targets] of this.#targets) targets.inUse(this.#forwarding(arn).length > 0);
    const stays = (arn: string, port: number) => listeners.some((one) => one.arn === arn && this.#portOf(one) === port);
    for (const [arn, { port }] of [...this.#servers]) if (!stays(arn, port)) await this.#shut(arn);
    for (const listener of listeners) await this.#open(listener);
  }

  #forwarding = (groupArn: string): Listener[] =>
    this.#listeners.filter(({ rules }) =>
      rules.some(({ action }) => action.type === 'forward' && action.groups.some(({ arn }) => arn === groupArn)),
    );

  #portOf(listener: Listener): number | undefined {
    const { portOf } = this.#options;
    if (portOf !== undefined) return portOf(listener);
    return listener.protocol === 'HTTPS' ? listener.port : undefined;
  }

  async #open({ arn, ...about }: Listener): Promise<void> {
    const port = this.#portOf({ arn, ...about });
    if (port === undefined || this.#servers.has(arn)) return;
    const context = {
      listener: () => this.#listeners.find((listener) => listener.arn === arn) ?? { arn, ...about, rules: [] },
      targets: (groupArn: string) => this.#targets.get(groupArn),
      agent: this.#agent,
      functions: this.#functions,
      firewall: this.#options.firewall ?? false,
      served: (one: Served) => this.#observers.forEach((listener) => listener(one)),
      port,
    };
    const { certificate } = this.#options;
    const server =
      about.protocol === 'HTTPS' ? createServer({ ...certificate, minVersion: 'TLSv1.2' }) : createPlainServer();
    // The balancer's idle timeout.
    server.keepAliveTimeout = 60_000;
    server.on('request', (incoming, response) => new Exchange(context, incoming, response).run());
    server.on('tlsClientError', () => undefined);
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    this.#servers.set(arn, { server, port });
  }

  async #shut(arn: string): Promise<void> {
    const open = this.#servers.get(arn);
    if (open === undefined) return;
    this.#servers.delete(arn);
    open.server.close();
    open.server.closeAllConnections();
    await once(open.server, 'close');
  }

  #register({ input }: Call): Promise<undefined> {
    const targets = this.#of(input);
    for (const { id, port } of targetsIn(input)) targets?.register(id, port);
    return Promise.resolve(undefined);
  }

  /** Answers instead of moto, which would not know the second target of an address. */
  #deregister({ input }: Call): Answer | undefined {
    const targets = this.#of(input);
    if (targets === undefined) return undefined;
    for (const { id, port } of targetsIn(input)) targets.deregister(id, port);
    return answerXml('DeregisterTargets', '');
  }

  #health({ input }: Call, answer: Answer): Promise<Answer> {
    const targets = this.#of(input);
    return Promise.resolve(targets === undefined ? answer : healthXml(targets, targetsIn(input)));
  }

  #of = (input: Record<string, unknown>) => this.#targets.get(String(input['TargetGroupArn']));
}
