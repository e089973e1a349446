import { stackKinds } from '../../model.ts';
import { prices, type Price, type PriceKey } from './prices.ts';
import type { Declared, DeclaredStacks } from '../declared/resource-tree.ts';

/** One line of an estimate: `quantity` times `price.usd` is `usd`. */
export interface CostLine {
  what: string;
  /** In the price's unit. */
  quantity: number;
  price: Price;
  usd: number;
  /** `use` is calculated from `assumedUse`. */
  kind: 'fixed' | 'use';
}

export interface Cost {
  lines: CostLine[];
  usd: number;
  /** What has no price in the table, and is missing in `usd`. */
  unknown: string[];
}

/** Hours of a month, as AWS calculates. */
export const monthHours = 730;

/** Assumed use of an environment per month. Every estimate states it. */
export const assumedUse = {
  /** Load balancer capacity units, on average: 25 new connections a second, or 1 GB an hour. */
  lcu: 1,
  natGb: 50,
  endpointGb: 20,
  logGb: 20,
  bucketGb: 20,
  imageGb: 10,
  millionRequests: 5,
} as const;

/** What costs something, usually little, and is in no estimate. */
export const neverPriced = [
  'traffic to the internet and between zones',
  'Container Insights (enhanced)',
  'requests to KMS, S3, Secrets Manager and CloudWatch',
  'the write hold (Lambda), SNS and SQS',
  'DNS queries',
  'one-off tasks and databases while a release runs',
];

const of = (declared: Declared[], type: string): Declared[] => declared.filter((found) => found.type === `aws:${type}`);

/** Collects lines in one region. */
class Sum {
  readonly #region: string;
  readonly #lines: CostLine[] = [];
  readonly #unknown: string[] = [];

  constructor(region: string) {
    this.#region = region;
  }

  add(kind: CostLine['kind'], what: string, quantity: number, key: PriceKey): void {
    if (quantity === 0) return;
    const price = prices[this.#region]?.[key];
    if (price === undefined) this.#unknown.push(`${what} in ${this.#region}`);
    else this.#lines.push({ what, quantity, price, usd: quantity * price.usd, kind });
  }

  get cost(): Cost {
    return {
      lines: this.#lines,
      usd: this.#lines.reduce((sum, { usd }) => sum + usd, 0),
      unknown: this.#unknown,
    };
  }
}

/**
 * Cost of an environment for a month: the live colour, and the database of the inactive one, which stays between
 * releases. No lines if there are no prices of the region. Pure.
 */
export function monthlyCost(declared: DeclaredStacks, settings: { region: string; backupRegion: string }): Cost {
  const sum = new Sum(settings.region);
  if (prices[settings.region] === undefined) return noPrices(settings.region);
  addTasks(sum, declared.blue, monthHours);
  addDatabases(sum, [...declared.blue, ...declared.green], { hours: monthHours, months: 1 });
  addNetwork(sum, declared.foundation);
  const all = stackKinds.flatMap((kind) => declared[kind]);
  addObservability(sum, all);
  addStorage(sum, all);
  const backups = addBackups(declared, settings);
  const { lines, usd, unknown } = sum.cost;
  return {
    lines: [...lines, ...backups.lines],
    usd: usd + backups.usd,
    unknown: [...unknown, ...backups.unknown],
  };
}

/**
 * Cost of the inactive colour for an hour of bake time: its tasks, and its database, which `monthlyCost` includes too.
 * Pure.
 */
export function idleColourCost(declared: DeclaredStacks, { region }: { region: string }): Cost {
  if (prices[region] === undefined) return noPrices(region);
  const sum = new Sum(region);
  addTasks(sum, declared.green, 1);
  addDatabases(sum, declared.green, { hours: 1, months: 1 / monthHours });
  return sum.cost;
}

const noPrices = (region: string): Cost => ({
  lines: [],
  usd: 0,
  unknown: [`everything: no price of ${region} is in the table`],
});

function addTasks(sum: Sum, colour: Declared[], hours: number): void {
  for (const { name, inputs } of of(colour, 'ecs/service:Service')) {
    const task = of(colour, 'ecs/taskDefinition:TaskDefinition').find((found) => found.name === name)?.inputs ?? {};
    const { cpuArchitecture = 'X86_64' } = (task['runtimePlatform'] ?? {}) as { cpuArchitecture?: 'X86_64' | 'ARM64' };
    const tasks = Number(inputs['desiredCount']);
    const what = `${tasks} tasks of ${name}`;
    sum.add(
      'fixed',
      `${what}: processor`,
      (tasks * hours * Number(task['cpu'])) / 1024,
      `fargate.${cpuArchitecture}.vcpu`,
    );
    sum.add(
      'fixed',
      `${what}: memory`,
      (tasks * hours * Number(task['memory'])) / 1024,
      `fargate.${cpuArchitecture}.gb`,
    );
  }
}

/** A standby is billed like the instance, in hours and storage ("On-Demand DB instances" in the RDS guide). */
function addDatabases(sum: Sum, declared: Declared[], time: { hours: number; months: number }): void {
  for (const { name, inputs } of of(declared, 'rds/instance:Instance')) {
    const copies = inputs['multiAz'] === true ? 2 : 1;
    const what = `${name}${copies === 2 ? ' and its standby' : ''}`;
    const instanceClass = String(inputs['instanceClass']);
    sum.add('fixed', `${what}: ${instanceClass}`, copies * time.hours, `rds.instance.${instanceClass}`);
    sum.add('fixed', `${what}: storage`, copies * time.months * Number(inputs['allocatedStorage']), 'rds.gp3');
  }
}

function addNetwork(sum: Sum, foundation: Declared[]): void {
  const vpc = foundation.find(({ type }) => type === 'awsx:ec2:Vpc')?.inputs ?? {};
  const zones = ((vpc['availabilityZoneNames'] ?? []) as string[]).length;
  const { strategy } = (vpc['natGateways'] ?? { strategy: 'None' }) as { strategy: string };
  const gateways = strategy === 'OnePerAz' ? zones : strategy === 'Single' ? 1 : 0;
  const balancers = of(foundation, 'lb/loadBalancer:LoadBalancer').length;
  const endpoints = of(foundation, 'ec2/vpcEndpoint:VpcEndpoint')
    .filter(({ inputs }) => inputs['vpcEndpointType'] === 'Interface')
    .reduce((count, { inputs }) => count + ((inputs['subnetIds'] ?? []) as unknown[]).length, 0);
  sum.add('fixed', 'load balancer', balancers * monthHours, 'alb.hour');
  sum.add('use', 'load balancer: capacity units', balancers * assumedUse.lcu * monthHours, 'alb.lcu');
  sum.add('fixed', `${gateways} NAT gateway${gateways === 1 ? '' : 's'}`, gateways * monthHours, 'nat.hour');
  sum.add('use', 'NAT gateways: data', assumedUse.natGb, 'nat.gb');
  // One per zone of the balancer, one per NAT gateway.
  sum.add('fixed', 'public addresses', (balancers * zones + gateways) * monthHours, 'ipv4');
  sum.add('fixed', `${endpoints} interface endpoints (each in each zone)`, endpoints * monthHours, 'endpoint.hour');
  sum.add('use', 'interface endpoints: data', assumedUse.endpointGb, 'endpoint.gb');
  sum.add('fixed', 'hosted zone', 1, 'zone');
  const acls = of(foundation, 'wafv2/webAcl:WebAcl');
  sum.add('fixed', 'firewall', acls.length, 'waf.acl');
  sum.add(
    'fixed',
    'firewall: groups of rules',
    acls.flatMap(({ inputs }) => inputs['rules'] as unknown[]).length,
    'waf.rule',
  );
  sum.add('use', 'firewall: requests', acls.length * assumedUse.millionRequests, 'waf.requests');
}

function addObservability(sum: Sum, all: Declared[]): void {
  const metricsOf = ({ inputs }: Declared) => {
    const queries = inputs['metricQueries'] as { metric?: unknown }[] | undefined;
    return queries === undefined ? 1 : queries.filter(({ metric }) => metric !== undefined).length;
  };
  const alarms = of(all, 'cloudwatch/metricAlarm:MetricAlarm');
  sum.add(
    'fixed',
    `${alarms.length} alarms, by their metrics`,
    alarms.reduce((count, alarm) => count + metricsOf(alarm), 0),
    'alarm',
  );
  sum.add('fixed', 'dashboard', of(all, 'cloudwatch/dashboard:Dashboard').length, 'dashboard');
  sum.add('use', 'logs: written', assumedUse.logGb, 'logs.ingested');
  sum.add('use', 'logs: kept', assumedUse.logGb, 'logs.stored');
}

function addStorage(sum: Sum, all: Declared[]): void {
  const databases = of(all, 'rds/instance:Instance').filter(
    ({ inputs }) => inputs['manageMasterUserPassword'] === true,
  );
  sum.add('fixed', 'keys', of(all, 'kms/key:Key').length, 'kms.key');
  sum.add('fixed', 'secrets', of(all, 'secretsmanager/secret:Secret').length + databases.length, 'secret');
  sum.add('use', 'buckets', assumedUse.bucketGb, 's3.gb');
  sum.add('use', 'images', assumedUse.imageGb, 'ecr.gb');
}

/**
 * Recovery points of AWS Backup: counts the databases once per region, because later recovery points are incremental.
 */
function addBackups(
  declared: DeclaredStacks,
  { region, backupRegion }: { region: string; backupRegion: string },
): Cost {
  const gigabytes = of([...declared.blue, ...declared.green], 'rds/instance:Instance').reduce(
    (sum, { inputs }) => sum + Number(inputs['allocatedStorage']),
    0,
  );
  const costs = [region, backupRegion].map((where) => {
    const sum = new Sum(where);
    sum.add('use', `backups${where === region ? '' : ': copies'}`, gigabytes, 'backup.rds');
    return sum.cost;
  });
  return {
    lines: costs.flatMap(({ lines }) => lines),
    usd: costs.reduce((total, { usd }) => total + usd, 0),
    unknown: costs.flatMap(({ unknown }) => unknown),
  };
}
