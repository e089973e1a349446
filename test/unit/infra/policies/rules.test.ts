import { expect } from 'chai';
import type { Resource, Scope } from '../../../../infra/policies/rule.ts';
import { rules, violations } from '../../../../infra/policies/rules.ts';
import { declareEnvironment, type Declared, type Environment } from '../../../lib/declared.ts';

/** What a stack declared, as the engine shows it to policies. */
const seen = (declared: Declared[]): Resource[] =>
  declared.map(({ type, name, inputs }) => ({ type, name, props: inputs }));

const scopes = { foundation: {}, blue: { colour: 'blue' }, green: { colour: 'green' }, traffic: {} } as const;
type Stack = keyof typeof scopes;

describe('policies', () => {
  let production: Environment;
  let staging: Environment;

  before(async () => {
    production = await declareEnvironment('production', { live: 'blue', percent: 10 });
    staging = await declareEnvironment('staging', { live: 'blue', percent: 10 });
  });

  const scope = (stack: Stack, environment: Scope['environment'] = 'production'): Scope => ({
    environment,
    ...scopes[stack],
  });

  for (const environment of ['production', 'staging'] as const)
    for (const stack of Object.keys(scopes) as Stack[])
      it(`are kept by the declared stack ${environment}-${stack}`, () => {
        const { [stack]: declared } = environment === 'production' ? production : staging;
        expect(declared.length).to.be.above(1);
        expect(violations(seen(declared), scope(stack, environment))).to.deep.equal([]);
      });

  /** Plants a violation: properties of one declared resource, a resource that goes, or one that comes. */
  type Plant = { stack: Stack; rule: string; found: string } & (
    { type: string; name: string; props: Record<string, unknown> } | { without: string } | { extra: Resource }
  );

  const allow = (statement: object) => JSON.stringify({ Statement: { Effect: 'Allow', ...statement } });
  const container = (change: object) =>
    JSON.stringify([
      { name: 'api', image: 'registry/coins@sha256:1', readonlyRootFilesystem: true, logConfiguration: {}, ...change },
    ]);
  const role = {
    stack: 'blue',
    rule: 'least-privilege',
    type: 'iam/rolePolicy:RolePolicy',
    name: 'api-start',
  } as const;
  const task = {
    stack: 'blue',
    rule: 'containers',
    type: 'ecs/taskDefinition:TaskDefinition',
    name: 'blue-api',
  } as const;
  const database = { stack: 'blue', type: 'rds/instance:Instance', name: 'database' } as const;
  const protectedDatabase = { ...database, rule: 'protected-in-production' } as const;

  const plants: Plant[] = [
    {
      stack: 'foundation',
      rule: 'encrypted-in-transit',
      type: 'lb/listener:Listener',
      name: 'https',
      props: { sslPolicy: 'ELBSecurityPolicy-2016-08' },
      found: 'allows TLS versions before 1.2',
    },
    {
      stack: 'foundation',
      rule: 'encrypted-in-transit',
      type: 'lb/listener:Listener',
      name: '-http:',
      props: { defaultActions: [{ type: 'forward' }] },
      found: 'serves HTTP instead of redirecting',
    },
    {
      stack: 'foundation',
      rule: 'encrypted-in-transit',
      type: 'sns/topicSubscription:TopicSubscription',
      name: 'on-call',
      props: { protocol: 'http' },
      found: 'without TLS',
    },
    {
      stack: 'blue',
      rule: 'encrypted-in-transit',
      type: 'rds/parameterGroup:ParameterGroup',
      name: 'database',
      props: { parameters: [{ name: 'rds.force_ssl', value: '0' }] },
      found: 'rds.force_ssl is not 1',
    },
    {
      stack: 'foundation',
      rule: 'buckets-by-tls-only',
      without: 's3/bucketPolicy:BucketPolicy',
      found: 'accepts requests without TLS',
    },
    {
      ...database,
      rule: 'encrypted-at-rest',
      props: { storageEncrypted: false },
      found: 'its storage is not encrypted',
    },
    {
      ...database,
      rule: 'encrypted-at-rest',
      props: { performanceInsightsKmsKeyId: undefined },
      found: 'Performance Insights data is not encrypted',
    },
    {
      stack: 'blue',
      rule: 'encrypted-at-rest',
      type: 'secretsmanager/secret:Secret',
      name: 'app',
      props: { kmsKeyId: undefined },
      found: 'kmsKeyId is not set',
    },
    {
      stack: 'blue',
      rule: 'encrypted-at-rest',
      type: 'cloudwatch/logGroup:LogGroup',
      name: 'api',
      props: { kmsKeyId: undefined },
      found: 'kmsKeyId is not set',
    },
    {
      stack: 'foundation',
      rule: 'encrypted-at-rest',
      type: 'sns/topic:Topic',
      name: 'alarms',
      props: { kmsMasterKeyId: undefined },
      found: 'kmsMasterKeyId is not set',
    },
    {
      stack: 'foundation',
      rule: 'encrypted-at-rest',
      type: 'sqs/queue:Queue',
      name: 'deliveries',
      props: { kmsMasterKeyId: '' },
      found: 'kmsMasterKeyId is not set',
    },
    {
      stack: 'foundation',
      rule: 'encrypted-at-rest',
      type: 'backup/vault:Vault',
      name: 'copies',
      props: { kmsKeyArn: undefined },
      found: 'kmsKeyArn is not set',
    },
    {
      stack: 'foundation',
      rule: 'encrypted-at-rest',
      type: 'ecr/repository:Repository',
      name: 'images',
      props: { encryptionConfigurations: [{ encryptionType: 'AES256' }] },
      found: 'not encrypted with a KMS key',
    },
    {
      stack: 'foundation',
      rule: 'encrypted-at-rest',
      type: 'kms/key:Key',
      name: 'data',
      props: { enableKeyRotation: false },
      found: 'automatic rotation is off',
    },
    {
      stack: 'foundation',
      rule: 'buckets-encrypted-and-versioned',
      without: 's3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration',
      found: 'is not encrypted',
    },
    {
      stack: 'foundation',
      rule: 'buckets-encrypted-and-versioned',
      type: 's3/bucketVersioning:BucketVersioning',
      name: 'evidence',
      props: { versioningConfiguration: { status: 'Suspended' } },
      found: 'is not versioned',
    },
    {
      stack: 'foundation',
      rule: 'not-public',
      type: 'vpc/securityGroupIngressRule:SecurityGroupIngressRule',
      name: 'tasks-to-databases',
      props: { cidrIpv4: '0.0.0.0/0' },
      found: 'port 5432 is open to the whole internet',
    },
    {
      stack: 'foundation',
      rule: 'not-public',
      type: 'vpc/securityGroupIngressRule:SecurityGroupIngressRule',
      name: 'tasks-to-databases',
      props: { cidrIpv6: '::/0' },
      found: 'port 5432 is open to the whole internet',
    },
    {
      stack: 'foundation',
      rule: 'not-public',
      type: 'vpc/securityGroupIngressRule:SecurityGroupIngressRule',
      name: 'entry-443',
      props: { fromPort: 0 },
      found: 'port 0 is open to the whole internet',
    },
    {
      stack: 'foundation',
      rule: 'not-public',
      type: 'ec2/securityGroup:SecurityGroup',
      name: 'databases',
      props: { ingress: [{ cidrBlocks: ['0.0.0.0/0'] }] },
      found: 'inline rules',
    },
    { ...database, rule: 'not-public', props: { publiclyAccessible: true }, found: 'public address' },
    {
      stack: 'blue',
      rule: 'not-public',
      type: 'ecs/service:Service',
      name: 'api',
      props: { networkConfiguration: { assignPublicIp: true } },
      found: 'public addresses',
    },
    {
      stack: 'foundation',
      rule: 'not-public',
      extra: { type: 'aws:lb/loadBalancer:LoadBalancer', name: 'second', props: { internal: false } },
      found: 'second public load balancer',
    },
    {
      stack: 'foundation',
      rule: 'not-public',
      extra: { type: 'aws:lambda/functionUrl:FunctionUrl', name: 'open', props: {} },
      found: 'a function URL is reachable',
    },
    {
      stack: 'foundation',
      rule: 'not-public',
      type: 'sqs/queuePolicy:QueuePolicy',
      name: 'deliveries',
      props: { policy: allow({ Principal: { AWS: '*' }, Action: 'sqs:SendMessage' }) },
      found: 'allows everybody',
    },
    {
      stack: 'foundation',
      rule: 'buckets-not-public',
      type: 's3/bucketPublicAccessBlock:BucketPublicAccessBlock',
      name: 'evidence',
      props: { blockPublicPolicy: false },
      found: 'does not set blockPublicPolicy',
    },
    {
      stack: 'foundation',
      rule: 'buckets-not-public',
      without: 's3/bucketPublicAccessBlock:BucketPublicAccessBlock',
      found: 'does not set blockPublicAcls',
    },
    { ...role, props: { policy: allow({ Action: 's3:*', Resource: 'arn:aws:s3:::one' }) }, found: 'it allows s3:*' },
    { ...role, props: { policy: allow({ Action: 'logs:PutLogEvents', Resource: '*' }) }, found: 'on all resources' },
    {
      ...role,
      props: { policy: allow({ Action: ['ecr:GetAuthorizationToken', 'ecr:PutImage'], Resource: ['*'] }) },
      found: 'on all resources',
    },
    {
      stack: 'foundation',
      rule: 'least-privilege',
      type: 'kms/key:Key',
      name: 'data',
      props: { policy: allow({ Principal: { Service: 'sns.amazonaws.com' }, Action: 'kms:*', Resource: '*' }) },
      found: 'it allows kms:*',
    },
    {
      stack: 'foundation',
      rule: 'least-privilege',
      type: 'iam/rolePolicyAttachment:RolePolicyAttachment',
      name: 'backup',
      props: { policyArn: 'arn:aws:iam::aws:policy/AdministratorAccess' },
      found: 'AdministratorAccess allows far more',
    },
    {
      stack: 'blue',
      rule: 'least-privilege',
      type: 'iam/role:Role',
      name: 'api-run',
      props: { assumeRolePolicy: allow({ Principal: { AWS: '*' }, Action: 'sts:AssumeRole' }) },
      found: 'by others than AWS services',
    },
    {
      stack: 'blue',
      rule: 'least-privilege',
      type: 'iam/role:Role',
      name: 'api-run',
      props: { permissionsBoundary: undefined },
      found: 'no permissions boundary',
    },
    { ...protectedDatabase, props: { backupRetentionPeriod: 1 }, found: 'backups for less than 7 days' },
    { ...protectedDatabase, props: { deletionProtection: false }, found: 'it can be deleted' },
    { ...protectedDatabase, props: { skipFinalSnapshot: true }, found: 'without a final snapshot' },
    { ...protectedDatabase, props: { deleteAutomatedBackups: true }, found: 'its backups are deleted' },
    { ...protectedDatabase, props: { multiAz: false }, found: 'no standby' },
    {
      stack: 'foundation',
      rule: 'protected-in-production',
      type: 'lb/loadBalancer:LoadBalancer',
      name: 'entry',
      props: { enableDeletionProtection: false },
      found: 'it can be deleted',
    },
    {
      stack: 'foundation',
      rule: 'protected-in-production',
      type: 'ecr/repository:Repository',
      name: 'images',
      props: { forceDelete: true },
      found: 'with the images in it',
    },
    {
      ...database,
      rule: 'backups-in-a-second-region',
      props: { tags: { owner: 'x', environment: 'production', colour: 'blue', release: '1' } },
      found: 'no backup plan covers it',
    },
    {
      stack: 'foundation',
      rule: 'backups-in-a-second-region',
      type: 'backup/plan:Plan',
      name: 'daily',
      props: { rules: [{}] },
      found: 'no backup plan copies',
    },
    {
      stack: 'foundation',
      rule: 'backups-in-a-second-region',
      type: 'backup/vault:Vault',
      name: 'copies',
      props: { region: 'eu-central-1' },
      found: 'in one region',
    },
    {
      stack: 'blue',
      rule: 'survives-a-zone',
      type: 'ecs/service:Service',
      name: 'web',
      props: { desiredCount: 1 },
      found: 'fewer than two tasks',
    },
    {
      stack: 'blue',
      rule: 'survives-a-zone',
      type: 'ecs/service:Service',
      name: 'web',
      props: { deploymentCircuitBreaker: { enable: true, rollback: false } },
      found: 'does not roll back',
    },
    {
      stack: 'foundation',
      rule: 'tagged',
      type: 'lb/loadBalancer:LoadBalancer',
      name: 'entry',
      props: { tags: { environment: 'production' } },
      found: 'no tag owner',
    },
    {
      stack: 'blue',
      rule: 'tagged',
      type: 'ecs/service:Service',
      name: 'web',
      props: { tags: { owner: 'x', environment: 'production', colour: 'blue' } },
      found: 'no tag release',
    },
    {
      stack: 'blue',
      rule: 'tagged',
      type: 'ecs/service:Service',
      name: 'web',
      props: { tags: { owner: 'x', environment: 'staging', colour: 'blue', release: '1' } },
      found: 'its tag environment is staging',
    },
    {
      stack: 'foundation',
      rule: 'tagged',
      extra: { type: 'aws:dynamodb/table:Table', name: 'new', props: {} },
      found: 'no tag owner',
    },
    {
      stack: 'blue',
      rule: 'logs-with-retention',
      type: 'cloudwatch/logGroup:LogGroup',
      name: 'api',
      props: { retentionInDays: undefined },
      found: 'no retention time',
    },
    {
      stack: 'blue',
      rule: 'logs-with-retention',
      type: 'cloudwatch/logGroup:LogGroup',
      name: 'api',
      props: { retentionInDays: 7 },
      found: 'for 7 days',
    },
    {
      stack: 'foundation',
      rule: 'logs-with-retention',
      type: 'lb/loadBalancer:LoadBalancer',
      name: 'entry',
      props: { accessLogs: { enabled: false } },
      found: 'no access log',
    },
    {
      ...database,
      rule: 'logs-with-retention',
      props: { enabledCloudwatchLogsExports: [] },
      found: 'not exported to CloudWatch',
    },
    { ...task, props: { containerDefinitions: container({ readonlyRootFilesystem: false }) }, found: 'can write' },
    { ...task, props: { containerDefinitions: container({ privileged: true }) }, found: 'is privileged' },
    {
      ...task,
      props: { containerDefinitions: container({ logConfiguration: undefined }) },
      found: 'has no log configuration',
    },
    {
      ...task,
      props: { containerDefinitions: container({ image: 'coins:latest' }) },
      found: 'without a fixed tag or digest',
    },
    {
      ...task,
      props: { containerDefinitions: container({ environment: [{ name: 'DATABASE_URL', value: 'x' }] }) },
      found: 'plain variable DATABASE_URL',
    },
    {
      ...task,
      props: { containerDefinitions: container({ environment: [{ name: 'FEED', value: 'https://me:pw@feed' }] }) },
      found: 'plain variable FEED',
    },
    {
      stack: 'foundation',
      rule: 'images',
      type: 'ecr/repository:Repository',
      name: 'images',
      props: { imageTagMutability: 'MUTABLE' },
      found: 'tags can be moved',
    },
    {
      stack: 'foundation',
      rule: 'images',
      type: 'ecr/repository:Repository',
      name: 'images',
      props: { imageScanningConfiguration: { scanOnPush: false } },
      found: 'not scanned',
    },
  ];

  function planted(plant: Plant): Resource[] {
    const resources = seen(production[plant.stack]);
    if ('extra' in plant) return [...resources, plant.extra];
    if ('without' in plant) return resources.filter(({ type }) => type !== `aws:${plant.without}`);
    const target = resources.find(({ type, name }) => type === `aws:${plant.type}` && `${name}:`.includes(plant.name));
    if (target === undefined) throw new Error(`nothing to plant in: ${plant.type} ${plant.name}`);
    return resources.map((found) =>
      found === target ? { ...found, props: { ...found.props, ...plant.props } } : found,
    );
  }

  for (const plant of plants)
    it(`${plant.rule} finds: ${plant.found} (${'type' in plant ? plant.type : 'without' in plant ? plant.without : plant.extra.type})`, () => {
      const found = violations(planted(plant), scope(plant.stack)).filter(({ rule }) => rule === plant.rule);
      expect(found.map((violation) => violation.found).join('\n')).to.contain(plant.found);
    });

  it('have each rule planted against', () => {
    const planted = new Set(plants.map(({ rule }) => rule));
    expect([...planted]).to.have.members(rules.map(({ name }) => name));
  });

  it('ask for protection in production only', () => {
    const resources = planted({
      ...protectedDatabase,
      props: {
        deletionProtection: false,
        tags: { owner: 'x', environment: 'staging', colour: 'blue', release: '1', backup: 'staging' },
      },
      found: '',
    });
    expect(
      violations(resources, scope('blue', 'staging')).filter(({ rule }) => rule === 'protected-in-production'),
    ).to.deep.equal([]);
  });
});
