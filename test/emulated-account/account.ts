import { BalancerAlarms } from './alarms.ts';
import { Balancer, type BalancerOptions } from './balancer.ts';
import type { Faults } from './faults.ts';
import { startGateway } from './gateway.ts';
import type { Part } from './hooks.ts';
import { BalancerMetrics } from './metrics.ts';
import { startMoto } from './moto.ts';

export interface AccountOptions {
  /** Certificate of the load balancers, PEM. */
  certificate: { cert: string; key: string };
  region?: string;
  /** Further parts, created once the account answers. Their hooks run after the built-in ones. */
  parts?: ((account: {
    endpoint: string;
    moto: string;
    region: string;
    env: Record<string, string>;
  }) => Part | Promise<Part>)[];
  balancer?: Pick<BalancerOptions, 'propagationMs' | 'portOf' | 'healthIntervalMs' | 'drainMs' | 'firewall'>;
  /** How often metrics of the balancers are published, and alarms evaluated, ms. */
  metricsMs?: number;
  alarmsMs?: number;
}

export interface Account {
  /** Value for AWS_ENDPOINT_URL. */
  endpoint: string;
  region: string;
  /** Environment variables for programs that use this account. */
  env: Record<string, string>;
  faults: Faults;
  balancer: Balancer;
  /** Errors of the emulation itself so far. Empty if it works. */
  errors(): unknown[];
  close(): Promise<void>;
}

/**
 * An AWS account on this machine for the length of a test: moto, and the real parts that carry out what moto was told.
 */
export async function startAccount(options: AccountOptions): Promise<Account> {
  const region = options.region ?? 'eu-central-1';
  const opened: { close(): Promise<void> }[] = [];
  const close = async () => {
    // In reverse order: parts stop what they run while moto still answers.
    const failures: unknown[] = [];
    for (const one of opened.splice(0).reverse()) await one.close().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw new AggregateError(failures, 'a part of the account failed to close');
  };
  const open = <T extends { close(): Promise<void> }>(one: T): T => {
    opened.push(one);
    return one;
  };
  try {
    const { endpoint: moto } = open(await startMoto());
    const gateway = open(await startGateway({ moto }));
    const { endpoint, faults } = gateway;
    const env = environment(endpoint, region);
    const balancer = open(new Balancer({ moto, region, env, certificate: options.certificate, ...options.balancer }));
    const { metricsMs, alarmsMs } = options;
    const metrics = open(
      new BalancerMetrics({ moto, region, balancer, ...(metricsMs ? { periodMs: metricsMs } : {}) }),
    );
    const alarms = open(new BalancerAlarms({ moto, region, balancer, ...(alarmsMs ? { periodMs: alarmsMs } : {}) }));
    for (const part of [balancer, metrics, alarms]) gateway.use(part.hooks);
    for (const make of options.parts ?? []) gateway.use(open(await make({ endpoint, moto, region, env })).hooks);
    const errors = () => [...gateway.hookErrors, ...metrics.errors, ...alarms.errors, ...balancer.errors];
    return { endpoint, region, env, faults, balancer, errors, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Also disables the AWS settings of this machine. */
const environment = (endpoint: string, region: string): Record<string, string> => ({
  AWS_ENDPOINT_URL: endpoint,
  AWS_ACCESS_KEY_ID: 'AKIAEMULATED',
  AWS_SECRET_ACCESS_KEY: 'emulated',
  AWS_SESSION_TOKEN: 'emulated',
  AWS_REGION: region,
  AWS_DEFAULT_REGION: region,
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
});
