import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateRepositoryCommand } from '@aws-sdk/client-ecr';
import { CreateLogGroupCommand } from '@aws-sdk/client-cloudwatch-logs';
import { CreateSecurityGroupCommand, CreateSubnetCommand, CreateVpcCommand } from '@aws-sdk/client-ec2';
import { CreateClusterCommand } from '@aws-sdk/client-ecs';
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  type LoadBalancer,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import {
  CreateDBInstanceCommand,
  CreateDBParameterGroupCommand,
  CreateDBSubnetGroupCommand,
  DescribeDBInstancesCommand,
  ModifyDBParameterGroupCommand,
} from '@aws-sdk/client-rds';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { CreateSecretCommand } from '@aws-sdk/client-secrets-manager';
import type { FoundationOutputs } from '../../../../infra/aws/lib/foundation-reference.ts';
import { administrator, authoritiesFile } from '../../../../infra/aws/lib/names.ts';
import { createClients, type Clients } from '../../../../infra/aws/runtime/client/clients.ts';
import type { ColourDatabase } from '../../../../infra/aws/runtime/databases/databases.ts';
import type { Setting } from '../../../../infra/aws/runtime/client/setting.ts';
import { databaseUrl } from '../../../../infra/application/database-url.ts';
import { createCertificates } from '../../../../infra/local/lib/certificates.ts';
import type { Colour, EnvironmentSpec } from '../../../../infra/model.ts';
import type { StackOutputs } from '../../../../infra/platform/platform.ts';
import { Balancer } from '../../../emulated-account/balancer.ts';
import { databasesPart, type DatabasesPart } from '../../../emulated-account/databases.ts';
import { startGateway, type Gateway } from '../../../emulated-account/gateway.ts';
import { freePort, startMoto } from '../../../emulated-account/moto.ts';
import { settings as plain } from '../../../lib/declared.ts';
import { moveHome } from '../../../lib/own-home.ts';

const region = 'eu-central-1';

/** An account with the foundation of staging in it, made by hand: what the run time needs of it, and nothing more. */
export interface Account extends Setting {
  gateway: Gateway;
  folder: string;
  certificates: string;
  databasesPart: DatabasesPart;
  outputs: StackOutputs;
  /** Makes a colour's database, as its stack does, and waits for nothing. */
  addColour(colour: Colour): Promise<void>;
  close(): Promise<void>;
}

export const quick = { pollMs: 50, readyMs: 60_000, settleMs: 30_000 };

export async function openAccount(spec: Partial<EnvironmentSpec> = {}): Promise<Account> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'greenlight-aws-'));
  const moveBack = moveHome(join(folder, 'home'));
  const certificates = join(folder, 'certificates');
  await createCertificates(certificates);
  const moto = await startMoto();
  const gateway = await startGateway({ moto: moto.endpoint });
  const credentials = { accessKeyId: 'AKIAEMULATED', secretAccessKey: 'emulated' };
  const clients = createClients({ region, endpoint: gateway.endpoint, credentials });
  const part = databasesPart({ directory: join(folder, 'databases'), certificates, endpoint: gateway.endpoint });
  gateway.use(part.hooks);
  const [cert, key] = (await Promise.all(
    ['server.crt', 'server.key'].map((name) => readFile(join(certificates, name), 'utf8')),
  )) as [string, string];
  const balancer = new Balancer({
    moto: moto.endpoint,
    region,
    env: {},
    certificate: { cert, key },
    healthIntervalMs: 50,
    drainMs: 500,
    portOf: (listener) => listener.port,
  });
  gateway.use(balancer.hooks);
  const foundation = await makeFoundation(clients, { ...defaultSpec, ...spec }, port);
  const settings = {
    ...plain,
    authorities: {
      ...plain.authorities,
      databases: join(certificates, 'ca.pem'),
      databasePeers: join(certificates, 'ca.pem'),
    },
  };
  const outputs: Partial<Record<string, Record<string, unknown>>> = { foundation: { foundation } };
  return {
    clients,
    environment: 'staging',
    foundation,
    settings,
    gateway,
    folder,
    certificates,
    databasesPart: part,
    outputs: (kind) => Promise.resolve(outputs[kind] ?? {}),
    addColour: async (colour) => {
      outputs[colour] = { ...(await makeColour(clients, foundation, colour)) };
    },
    close: async () => {
      await balancer.close();
      await part.close();
      await gateway.close();
      await moto.close();
      for (const client of Object.values(clients) as { destroy(): void }[]) client.destroy();
      await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
      moveBack();
    },
  };
}

const defaultSpec: EnvironmentSpec = {
  application: 'sample',
  environment: 'staging',
  services: [],
  integrations: [],
  writes: { reads: ['GET', 'HEAD', 'OPTIONS', 'TRACE'], paths: [] },
  database: { maxConnections: 50 },
  slo: { errorRate: 0.01, p95Ms: 500 },
  alertReceivers: [],
};

async function makeFoundation(clients: Clients, spec: EnvironmentSpec, port: number): Promise<FoundationOutputs> {
  const { Vpc } = await clients.network.send(new CreateVpcCommand({ CidrBlock: '10.0.0.0/16' }));
  const VpcId = Vpc?.VpcId ?? '';
  const subnet = async (CidrBlock: string, zone: string) => {
    const args = { VpcId, CidrBlock, AvailabilityZone: `${region}${zone}` };
    return (await clients.network.send(new CreateSubnetCommand(args))).Subnet?.SubnetId ?? '';
  };
  const subnets = [await subnet('10.0.0.0/24', 'a'), await subnet('10.0.1.0/24', 'b')];
  const group = async (GroupName: string) =>
    (await clients.network.send(new CreateSecurityGroupCommand({ GroupName, Description: GroupName, VpcId })))
      .GroupId ?? '';
  const [entry, tasks, databases, endpoints] = await Promise.all(
    ['entry', 'tasks', 'databases', 'endpoints'].map(group),
  );
  const subnetGroup = { DBSubnetGroupName: 'scratch', DBSubnetGroupDescription: 'scratch', SubnetIds: subnets };
  await clients.databases.send(new CreateDBSubnetGroupCommand(subnetGroup));
  const DBParameterGroupName = 'scratch';
  const family = { DBParameterGroupFamily: 'postgres17', Description: 'scratch' };
  await clients.databases.send(new CreateDBParameterGroupCommand({ DBParameterGroupName, ...family }));
  const set = (ParameterName: string, ParameterValue: string) =>
    ({ ParameterName, ParameterValue, ApplyMethod: 'pending-reboot' }) as const;
  const Parameters = [set('rds.logical_replication', '1'), set('max_logical_replication_workers', '0')];
  await clients.databases.send(new ModifyDBParameterGroupCommand({ DBParameterGroupName, Parameters }));
  const { cluster } = await clients.containers.send(new CreateClusterCommand({ clusterName: 'services' }));
  const { repository } = await clients.images.send(new CreateRepositoryCommand({ repositoryName: 'sample/staging' }));
  await clients.logs.send(new CreateLogGroupCommand({ logGroupName: '/greenlight/staging/jobs' }));
  const location = { LocationConstraint: region } as const;
  await clients.objects.send(
    new CreateBucketCommand({ Bucket: plain.state.bucket, CreateBucketConfiguration: location }),
  );
  const balancer = await makeBalancer(clients, subnets, port);
  const role = (name: string) => `arn:aws:iam::123456789012:role/${name}`;
  return {
    spec,
    baseUrl: `http://127.0.0.1:${port}`,
    network: { vpcId: VpcId, publicSubnetIds: subnets, privateSubnetIds: subnets, isolatedSubnetIds: subnets },
    securityGroups: { entry, tasks, databases, endpoints } as FoundationOutputs['securityGroups'],
    ...balancer,
    cluster: { name: 'services', arn: cluster?.clusterArn ?? '' },
    repository: { url: repository?.repositoryUri ?? '', arn: repository?.repositoryArn ?? '' },
    keyArn: `arn:aws:kms:${region}:123456789012:key/1`,
    bucket: 'evidence',
    jobs: { executionRoleArn: role('start'), taskRoleArn: role('run'), logGroup: '/greenlight/staging/jobs' },
    scratch: { subnetGroup: 'scratch', parameterGroup: 'scratch' },
  } as unknown as FoundationOutputs;
}

async function makeBalancer(clients: Clients, Subnets: string[], Port: number) {
  const made = await clients.balancer.send(new CreateLoadBalancerCommand({ Name: 'entry', Subnets }));
  const { LoadBalancerArn } = made.LoadBalancers?.[0] as LoadBalancer;
  const DefaultActions = [{ Type: 'fixed-response', FixedResponseConfig: { StatusCode: '503' } } as const];
  const { Listeners } = await clients.balancer.send(
    new CreateListenerCommand({ LoadBalancerArn, Port, Protocol: 'HTTP', DefaultActions }),
  );
  return {
    listenerArn: Listeners?.[0]?.ListenerArn ?? '',
    balancerSuffix: 'app/entry/1',
    fenceTargetGroupArn: 'fence',
  };
}

async function makeColour(clients: Clients, foundation: FoundationOutputs, colour: Colour): Promise<ColourDatabase> {
  const identifier = `sample-staging-${colour}`;
  await clients.databases.send(
    new CreateDBInstanceCommand({
      DBInstanceIdentifier: identifier,
      DBName: 'app',
      Engine: 'postgres',
      EngineVersion: '17.6',
      DBInstanceClass: 'db.t4g.medium',
      AllocatedStorage: 20,
      StorageEncrypted: true,
      MasterUsername: administrator,
      ManageMasterUserPassword: true,
      DBParameterGroupName: foundation.scratch.parameterGroup,
      Tags: [{ Key: 'environment', Value: 'staging' }],
    }),
  );
  const found = await clients.databases.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: identifier }));
  const { Endpoint, MasterUserSecret } = found.DBInstances?.[0] ?? {};
  const address = { host: Endpoint?.Address ?? '', port: Endpoint?.Port ?? 0 };
  const secret = async (role: 'owner' | 'app') => {
    const login = { user: role, password: `${colour}-${role}-0123456789` };
    const nobody = { user: administrator, password: '' };
    const access = { ...address, database: 'app', caFile: authoritiesFile, admin: nobody, owner: login, app: login };
    const SecretString = databaseUrl(access, role);
    const made = await clients.secrets.send(new CreateSecretCommand({ Name: `${colour}-${role}`, SecretString }));
    return made.ARN ?? '';
  };
  return {
    database: { identifier, ...address },
    adminSecretArn: MasterUserSecret?.SecretArn ?? '',
    ownerSecretArn: await secret('owner'),
    appSecretArn: await secret('app'),
  };
}
