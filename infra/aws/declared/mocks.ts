import * as pulumi from '@pulumi/pulumi';
import {
  stackKinds,
  stackName,
  type Artefact,
  type EnvironmentName,
  type EnvironmentSpec,
  type StackKind,
} from '../../model.ts';
import { programFor } from '../../program.ts';
import { projectName, toPulumiConfig, type StackConfig } from '../../stacks.ts';
import type { Declared, Options } from './resource-tree.ts';
import type { AwsSettings } from '../lib/settings.ts';

/**
 * Runs the programs with Pulumi's mocks to find what they declare, without an account, a plug-in or a network. Pulumi's
 * runtime is one per process and the mocks replace it, so a process that also runs the engine uses `declareApart`.
 */

/** Outputs of the stacks that have been declared, by stack name, for stack references. */
export type Outputs = Map<string, Record<string, unknown>>;

/** The outputs that AWS would give a resource, as far as programs read them. */
function answer(
  type: string,
  name: string,
  inputs: Record<string, unknown>,
  settings: AwsSettings,
): Record<string, unknown> {
  const region = (inputs['region'] as string | undefined) ?? settings.region;
  const arn = `arn:aws:${type.split(':')[1]}:${region}:${settings.accountId}:${name}`;
  // Named after the zone's letter: `private-a` in `eu-central-1a`.
  const inEachZone = (kind: string) => settings.availabilityZones.map((zone) => `${kind}-${zone.at(-1)}`);
  const own: Record<string, () => Record<string, unknown>> = {
    'awsx:ec2:Vpc': () => ({
      vpcId: 'vpc-1',
      publicSubnetIds: inEachZone('public'),
      privateSubnetIds: inEachZone('private'),
      isolatedSubnetIds: inEachZone('isolated'),
      routeTables: inEachZone('routes').map((id) => ({ id })),
    }),
    'aws:acm/certificate:Certificate': () => ({
      domainValidationOptions: [{ resourceRecordName: '_x', resourceRecordType: 'CNAME', resourceRecordValue: '_y' }],
    }),
    'aws:lb/loadBalancer:LoadBalancer': () => ({ arnSuffix: 'app/entry/1', dnsName: 'entry.aws', zoneId: 'ZALB' }),
    'aws:lb/targetGroup:TargetGroup': () => ({ arnSuffix: `targetgroup/${name}/1` }),
    'aws:rds/instance:Instance': () => ({
      address: `${name}.rds`,
      resourceId: 'db-1',
      masterUserSecrets: [{ secretArn: `arn:${name}:master` }],
    }),
    'aws:route53/record:Record': () => ({ fqdn: 'record' }),
    'aws:ecr/repository:Repository': () => ({ repositoryUrl: `registry/${String(inputs['name'])}` }),
    'aws:s3/bucket:Bucket': () => ({ bucket: name }),
    'random:index/randomPassword:RandomPassword': () => ({ result: `secret-of-${name}` }),
    'random:index/randomId:RandomId': () => ({ hex: '0badcafe' }),
  };
  return { name, ...inputs, arn, ...own[type]?.() };
}

/** Results of the look-ups that programs make. */
const found = (token: string, { subnetId }: Record<string, unknown>): Record<string, unknown> =>
  token === 'aws:ec2/getRouteTable:getRouteTable' ? { routeTableId: `routes-of-${String(subnetId)}` } : {};

const envelope = '4dabf18193072939515e22adb298388d';
const isSecret = (value: unknown): boolean => typeof value === 'object' && value !== null && envelope in value;

/** Replaces the envelopes in which secrets reach the engine by their values, which policy rules and tests read. */
function open(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(open);
  if (typeof value !== 'object' || value === null || value instanceof pulumi.asset.AssetArchive) return value;
  const entries = value as Record<string, unknown>;
  if (isSecret(value)) return open(entries['value']);
  return Object.fromEntries(Object.entries(entries).map(([key, inner]) => [key, open(inner)]));
}

interface Request {
  getType(): string;
  getName(): string;
  getParent(): string;
  getProtect(): boolean;
  getIgnorechangesList(): string[];
  getDeletebeforereplace(): boolean;
  getDependenciesList(): string[];
}

interface Requested {
  parent: string | undefined;
  options: Options;
}

/** Type and name, which end a URN: `urn:pulumi:<stack>::<project>::<parents' types>$<type>::<name>`. */
const endOfUrn = (urn: string): string => {
  const [types = '', name = ''] = urn.split('::').slice(-2);
  return `${types.split('$').at(-1)} ${name}`;
};

/** Mocks do not get the parents and options of resources. Reads them from the registration requests. */
function recordRequests(): Map<string, Requested> {
  const requested = new Map<string, Requested>();
  const monitor = pulumi.runtime.getMonitor();
  if (monitor === undefined) throw new Error('set the mocks first');
  const register = monitor.registerResource.bind(monitor) as (request: Request, ...rest: unknown[]) => unknown;
  const recording = (request: Request, ...rest: unknown[]) => {
    const parent = endOfUrn(request.getParent());
    requested.set(`${request.getType()} ${request.getName()}`, {
      parent: parent.startsWith('pulumi:pulumi:Stack') || parent.trim() === '' ? undefined : parent,
      options: {
        protect: request.getProtect(),
        ignoreChanges: request.getIgnorechangesList(),
        deleteBeforeReplace: request.getDeletebeforereplace(),
        dependsOn: request.getDependenciesList().map((urn) => urn.split('::').slice(-2).join(' ')),
      },
    });
    return register(request, ...rest);
  };
  Object.assign(monitor, { registerResource: recording });
  return requested;
}

const unseen: Requested = {
  parent: undefined,
  options: { protect: false, ignoreChanges: [], deleteBeforeReplace: false, dependsOn: [] },
};

/** Sets Pulumi's mocks for one stack. Resources that are declared afterwards are added to the returned list. */
export async function mockStack(stack: string, settings: AwsSettings, outputs: Outputs): Promise<Declared[]> {
  const declared: Declared[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource({ type, name, inputs }) {
        const given = inputs as Record<string, unknown>;
        if (type === 'pulumi:pulumi:StackReference') {
          const found = outputs.get(name.split('/').at(-1) as string) ?? {};
          return { id: name, state: { name, outputs: found, secretOutputNames: [] } };
        }
        const { parent, options } = requested.get(`${type} ${name}`) ?? unseen;
        const secrets = Object.keys(given).filter((key) => isSecret(given[key]));
        const opened = open(given) as Record<string, unknown>;
        declared.push({ type, name, inputs: opened, secrets, options, parent });
        return { id: `${name}-id`, state: answer(type, name, given, settings) };
      },
      call: ({ token, inputs }) => found(token, inputs as Record<string, unknown>),
    },
    projectName,
    stack,
    false,
  );
  const requested = recordRequests();
  return declared;
}

/** The resources that one stack's program declares. Adds the stack's outputs to `outputs`. */
export async function declareStack(
  environment: EnvironmentName,
  config: StackConfig,
  outputs: Outputs,
  settings: AwsSettings,
): Promise<Declared[]> {
  const stack = stackName(environment, config.kind);
  const declared = await mockStack(stack, settings, outputs);
  pulumi.runtime.setAllConfig({
    ...toPulumiConfig('aws', config),
    ...(config.kind === 'foundation'
      ? { 'greenlight:alertReceivers': JSON.stringify(config.spec.alertReceivers) }
      : {}),
    'greenlight:aws': JSON.stringify(settings),
  });
  outputs.set(stack, await known(await programFor(environment, config.kind)()));
  // Waits until everything is registered.
  await pulumi.runtime.disconnect();
  return declared;
}

export const known = <T>(value: pulumi.Input<T>): Promise<T> =>
  new Promise((resolve) => {
    pulumi.output(value).apply((plain) => resolve(plain as T));
  });

/** All stacks of an environment, both colours with a version, as during a release. */
export async function declareAll(spec: EnvironmentSpec, settings: AwsSettings): Promise<Record<StackKind, Declared[]>> {
  const { environment } = spec;
  const artefact: Artefact = { version: '0.0.0', digest: `sha256:${'0'.repeat(64)}`, location: '' };
  const configs: Record<StackKind, StackConfig> = {
    foundation: { kind: 'foundation', spec },
    blue: { kind: 'blue', colour: { colour: 'blue', artefact } },
    green: { kind: 'green', colour: { colour: 'green', artefact } },
    traffic: { kind: 'traffic', split: { live: 'blue', percent: 50 } },
  };
  const outputs: Outputs = new Map();
  const all: [StackKind, Declared[]][] = [];
  for (const kind of stackKinds) all.push([kind, await declareStack(environment, configs[kind], outputs, settings)]);
  return Object.fromEntries(all) as Record<StackKind, Declared[]>;
}
