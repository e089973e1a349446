import * as pulumi from '@pulumi/pulumi';
import type { AwsSettings } from '../../../infra/aws/settings.ts';
import {
  stackName,
  type ColourSpec,
  type EnvironmentName,
  type EnvironmentSpec,
  type Split,
} from '../../../infra/model.ts';
import { programFor } from '../../../infra/program.ts';
import { projectName, toPulumiConfig, type StackConfig } from '../../../infra/stacks.ts';

/** A resource as a program declared it. */
export interface Declared {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
  /** Inputs that the engine is told to keep secret. */
  secrets: string[];
  options: { protect: boolean; ignoreChanges: string[]; deleteBeforeReplace: boolean; dependsOn: string[] };
}

export const settings: AwsSettings = {
  accountId: '123456789012',
  region: 'eu-central-1',
  backupRegion: 'eu-west-1',
  availabilityZones: ['eu-central-1a', 'eu-central-1b'],
  hostedZoneId: 'Z0123456789ABC',
  domain: 'app.example.org',
  owner: 'learning',
  cidrBlock: '10.0.0.0/16',
  tasks: {
    cpu: 512,
    memory: 1024,
    max: 8,
    architecture: 'X86_64',
    schedules: [{ name: 'evening', cron: 'cron(0 17 * * ? *)', timeZone: 'Europe/Berlin', minTasks: 4 }],
  },
  database: { version: '17.6', instanceClass: 'db.m7g.large', storage: 50, maxStorage: 200 },
  state: { bucket: 'coins-state', key: 'alias/greenlight-state' },
  image: { dockerfile: 'infra/aws/Dockerfile', k6: 'grafana/k6:1.8.1' },
  authorities: { databasePeers: '/rdsdbdata/rds-metadata/ca-cert.pem' },
  metrics: { periodSeconds: 60, delaySeconds: 180 },
  logDays: 90,
  backupDays: 14,
  monthlyBudget: 900,
};

export const spec = (environment: EnvironmentName): EnvironmentSpec => ({
  application: 'coins',
  environment,
  services: [
    { name: 'web', start: ['node', 'web.mjs'], health: '/healthz', routes: ['/'], instances: 1, database: false, env: {} },
    { name: 'api', start: ['node', 'api.mjs'], health: '/api/health', routes: ['/api'], instances: 3, database: true, env: { LEVEL: 'info' } },
  ],
  integrations: [{ name: 'feed', env: 'FEED_URL', url: 'https://feed.example.org', health: '/' }],
  writes: { methods: ['POST', 'PUT', 'PATCH', 'DELETE'], paths: [] },
  database: { maxConnections: 200 },
  slo: { errorRate: 0.01, p95Ms: 300 },
  alertReceivers: [{ name: 'on-call', webhook: 'https://alerts.example.org/token' }],
}); // prettier-ignore

export const colourSpec = (colour: ColourSpec['colour']): ColourSpec => ({
  colour,
  artefact: { version: '2.0.0', digest: `sha256:${'ab'.repeat(32)}`, location: 'registry' },
});

/** What AWS would answer, as far as programs read it. */
function answer(type: string, name: string, inputs: Record<string, unknown>): Record<string, unknown> {
  const region = (inputs['region'] as string | undefined) ?? settings.region;
  const arn = `arn:aws:${type.split(':')[1]}:${region}:${settings.accountId}:${name}`;
  const own: Record<string, Record<string, unknown>> = {
    'awsx:ec2:Vpc': {
      vpcId: 'vpc-1',
      publicSubnetIds: ['public-a', 'public-b'],
      privateSubnetIds: ['private-a', 'private-b'],
      isolatedSubnetIds: ['isolated-a', 'isolated-b'],
      routeTables: [{ id: 'routes-a' }, { id: 'routes-b' }],
    },
    'aws:acm/certificate:Certificate': {
      domainValidationOptions: [{ resourceRecordName: '_x', resourceRecordType: 'CNAME', resourceRecordValue: '_y' }],
    },
    'aws:lb/loadBalancer:LoadBalancer': { arnSuffix: 'app/entry/1', dnsName: 'entry.aws', zoneId: 'ZALB' },
    'aws:lb/targetGroup:TargetGroup': { arnSuffix: `targetgroup/${name}/1` },
    'aws:rds/instance:Instance': {
      address: `${name}.rds`,
      resourceId: 'db-1',
      masterUserSecrets: [{ secretArn: `arn:${name}:master` }],
    },
    'aws:route53/record:Record': { fqdn: 'record' },
    'aws:ecr/repository:Repository': { repositoryUrl: `registry/${String(inputs['name'])}` },
    'aws:s3/bucket:Bucket': { bucket: name },
    'random:index/randomPassword:RandomPassword': { result: `secret-of-${name}` },
    'random:index/randomId:RandomId': { hex: '0badcafe' },
  };
  return { name, ...inputs, arn, ...own[type] };
}

const envelope = '4dabf18193072939515e22adb298388d';
const isSecret = (value: unknown): boolean => typeof value === 'object' && value !== null && envelope in value;

/** Secrets reach the engine in an envelope; rules and tests look into it. */
function open(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(open);
  if (typeof value !== 'object' || value === null || value instanceof pulumi.asset.AssetArchive) return value;
  const entries = value as Record<string, unknown>;
  if (isSecret(value)) return open(entries['value']);
  return Object.fromEntries(Object.entries(entries).map(([key, inner]) => [key, open(inner)]));
}

/** Outputs of the stacks that have been declared, by name: what stack references find. */
export type Outputs = Map<string, Record<string, unknown>>;

type Options = Declared['options'];
const noOptions: Options = { protect: false, ignoreChanges: [], deleteBeforeReplace: false, dependsOn: [] };

/** Mocks are not told the options of resources: reads them from the requests on their way there. */
function listen(): Map<string, Options> {
  const requested = new Map<string, Options>();
  const monitor = pulumi.runtime.getMonitor();
  if (monitor === undefined) throw new Error('set the mocks first');
  const register = monitor.registerResource.bind(monitor) as (request: Request, ...rest: unknown[]) => unknown;
  const heard = (request: Request, ...rest: unknown[]) => {
    requested.set(`${request.getType()} ${request.getName()}`, {
      protect: request.getProtect(),
      ignoreChanges: request.getIgnorechangesList(),
      deleteBeforeReplace: request.getDeletebeforereplace(),
      // By type and name, the end of a URN.
      dependsOn: request.getDependenciesList().map((urn) => urn.split('::').slice(-2).join(' ')),
    });
    return register(request, ...rest);
  };
  Object.assign(monitor, { registerResource: heard });
  return requested;
}

interface Request {
  getType(): string;
  getName(): string;
  getProtect(): boolean;
  getIgnorechangesList(): string[];
  getDeletebeforereplace(): boolean;
  getDependenciesList(): string[];
}

/** Runs one stack's program against mocks: what it declares, and what it gives to the other stacks. */
export async function declare(
  environment: EnvironmentName,
  config: StackConfig,
  outputs: Outputs = new Map(),
  aws: unknown = settings,
): Promise<Declared[]> {
  const declared: Declared[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource({ type, name, inputs }) {
        const given = inputs as Record<string, unknown>;
        if (type === 'pulumi:pulumi:StackReference') {
          const found = outputs.get(name.split('/').at(-1) as string) ?? {};
          return { id: name, state: { name, outputs: found, secretOutputNames: [] } };
        }
        const options = requested.get(`${type} ${name}`) ?? noOptions;
        const secrets = Object.keys(given).filter((key) => isSecret(given[key]));
        declared.push({ type, name, inputs: open(given) as Record<string, unknown>, secrets, options });
        return { id: `${name}-id`, state: answer(type, name, given) };
      },
      call: () => ({}),
    },
    projectName,
    stackName(environment, config.kind),
    false,
  );
  const requested = listen();
  pulumi.runtime.setAllConfig({
    ...toPulumiConfig('aws', config),
    ...(config.kind === 'foundation'
      ? { 'greenlight:alertReceivers': JSON.stringify(config.spec.alertReceivers) }
      : {}),
    'greenlight:aws': JSON.stringify(aws),
  });
  const result = await programFor(environment, config.kind)();
  outputs.set(stackName(environment, config.kind), await known(result));
  // Waits until everything is registered.
  await pulumi.runtime.disconnect();
  return declared;
}

const known = <T>(value: pulumi.Input<T>): Promise<T> =>
  new Promise((resolve) => {
    pulumi.output(value).apply((plain) => resolve(plain as T));
  });

export interface Environment {
  foundation: Declared[];
  blue: Declared[];
  green: Declared[];
  traffic: Declared[];
  all: Declared[];
  outputs: Outputs;
}

/** All four stacks of an environment, each colour with a version. */
export async function declareEnvironment(environment: EnvironmentName, split: Split): Promise<Environment> {
  const outputs: Outputs = new Map();
  const foundation = await declare(environment, { kind: 'foundation', spec: spec(environment) }, outputs);
  const blue = await declare(environment, { kind: 'blue', colour: colourSpec('blue') }, outputs);
  const green = await declare(environment, { kind: 'green', colour: colourSpec('green') }, outputs);
  const traffic = await declare(environment, { kind: 'traffic', split }, outputs);
  return { foundation, blue, green, traffic, all: [...foundation, ...blue, ...green, ...traffic], outputs };
}

/** Its inputs. */
export const only = (declared: Declared[], type: string, part = ''): Record<string, unknown> =>
  declaration(declared, type, part).inputs;

/** The only resource of a type whose name holds `part`, with its options. Throws where there is none, or several. */
export function declaration(declared: Declared[], type: string, part = ''): Declared {
  const found = all(declared, type).filter(({ name }) => `${name}:`.includes(part));
  if (found.length !== 1) throw new Error(`${found.length} of ${type} with ${part}: ${found.map(({ name }) => name).join(', ')}`);
  return found[0] as Declared;
} // prettier-ignore

/** Those of a type, `lb/listenerRule:ListenerRule` without the package. */
export const all = (declared: Declared[], type: string): Declared[] =>
  declared.filter((resource) => resource.type === (type.includes(':', type.indexOf(':') + 1) ? type : `aws:${type}`));
