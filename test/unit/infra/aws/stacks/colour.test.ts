import { expect } from 'chai';
import { parseAlarmName } from '../../../../../infra/aws/lib/alarm-names.ts';
import { statementsOf } from '../../../../../infra/policies/rule.ts';
import {
  all,
  colourSpec,
  declare,
  declareEnvironment,
  only,
  settings,
  spec,
  type Declared,
  type Environment,
  type Outputs,
} from '../../../../lib/declared.ts';

interface Container {
  image: string;
  command?: string[];
  readonlyRootFilesystem: boolean;
  stopTimeout: number;
  environment: { name: string; value: string }[];
  secrets: { name: string; valueFrom: string }[];
}

describe('colour on AWS', () => {
  let production: Environment;
  let blue: Declared[];
  let staging: Declared[];

  before(async () => {
    production = await declareEnvironment('production', { live: 'blue', percent: 0 });
    blue = production.blue;
    staging = (await declareEnvironment('staging', { live: 'blue', percent: 0 })).blue;
  });

  const container = (name: string): Container =>
    (
      JSON.parse(only(blue, 'ecs/taskDefinition:TaskDefinition', name)['containerDefinitions'] as string) as Container[]
    )[0]!;
  const variable = (name: string, key: string) =>
    container(name).environment.find((found) => found.name === key)?.value;
  const granted = (role: string) => statementsOf(only(blue, 'iam/rolePolicy:RolePolicy', role)['policy']);

  describe('database', () => {
    const instance = (declared = blue) => only(declared, 'rds/instance:Instance');
    const parameters = () =>
      only(blue, 'rds/parameterGroup:ParameterGroup')['parameters'] as {
        name: string;
        value: string;
        applyMethod: string;
      }[];
    const parameter = (name: string) => parameters().find((found) => found.name === name)?.value;

    it('is encrypted, in subnets without a way out, for tasks and databases alone', () => {
      expect(instance()).to.deep.include({
        storageEncrypted: true,
        publiclyAccessible: false,
        vpcSecurityGroupIds: ['production-databases-id'],
      });
      expect(instance()['kmsKeyId']).to.contain('production-data');
      expect(only(blue, 'rds/subnetGroup:SubnetGroup')['subnetIds']).to.deep.equal(['isolated-a', 'isolated-b']);
    });

    it('replicates logically', () => expect(parameter('rds.logical_replication')).to.equal('1'));
    it('takes TLS connections only', () => expect(parameter('rds.force_ssl')).to.equal('1'));
    it('takes the configured connections', () => expect(parameter('max_connections')).to.equal('200'));
    it('does not fill its disk for a subscriber that is gone', () =>
      expect(parameter('max_slot_wal_keep_size')).to.equal('4096'));
    it('logs no statement', () =>
      expect([parameter('log_statement'), parameter('log_min_error_statement')]).to.deep.equal(['none', 'panic']));

    it('has what is the default of RDS from its start: RDS never says `immediate` of that', () => {
      const atOnce = parameters()
        .filter(({ applyMethod }) => applyMethod === 'immediate')
        .map(({ name }) => name);
      expect(atOnce).to.deep.equal(['max_slot_wal_keep_size', 'log_min_error_statement']);
    });

    it('has the parameters of its own major version', () => {
      expect(only(blue, 'rds/parameterGroup:ParameterGroup')['family']).to.equal('postgres17');
      expect(instance()).to.include({ engineVersion: '17.6', autoMinorVersionUpgrade: false });
    });

    it('is changed by a release at once, and by nothing at another time', () => {
      expect(instance()).to.include({ applyImmediately: true, autoMinorVersionUpgrade: false });
    });

    it('stays as it was made where its stack is only made again', async () => {
      const { settings: made } = production.outputs.get('production-blue') as { settings: object };
      expect(made).to.deep.equal(settings);
      const wanted = { ...settings, database: { ...settings.database, instanceClass: 'db.m7g.xlarge' } };
      const declared = async (colour: object) => {
        const config = { kind: 'blue', colour: { ...colourSpec('blue'), ...colour } } as const;
        return instance(await declare('production', config, new Map(production.outputs), wanted))['instanceClass'];
      };
      expect(await declared({ settings: made })).to.equal('db.m7g.large');
      expect(await declared({})).to.equal('db.m7g.xlarge');
    });

    it('has its master password from RDS, in no configuration', () => {
      expect(instance()).to.include({ manageMasterUserPassword: true, username: 'greenlight_admin' });
      expect(instance()).not.to.have.property('password');
    });

    it('is protected in production: standby, backups, no deletion', () => {
      expect(instance()).to.include({
        multiAz: true,
        deletionProtection: true,
        skipFinalSnapshot: false,
        deleteAutomatedBackups: false,
        backupRetentionPeriod: 14,
        copyTagsToSnapshot: true,
      });
      expect(instance(staging)).to.include({ multiAz: false, deletionProtection: false, skipFinalSnapshot: true });
    });

    it('is in the backup plan', () => expect(instance()['tags']).to.include({ backup: 'production' }));
    it('says where its time goes', () => expect(instance()['performanceInsightsEnabled']).to.equal(true));

    it('logs into groups that forget, made before it', () => {
      const names = all(blue, 'cloudwatch/logGroup:LogGroup').map(({ inputs }) => inputs['name']);
      expect(names).to.include.members(
        ['postgresql', 'upgrade'].map((log) => `/aws/rds/instance/coins-production-blue/${log}`),
      );
    });

    it('has a login per role, as a URL that verifies the server, in Secrets Manager', () => {
      const url = new URL(only(blue, 'secretsmanager/secretVersion:SecretVersion', 'app')['secretString'] as string);
      expect([url.username, url.hostname, url.pathname]).to.deep.equal(['app', 'production-blue-database.rds', '/app']);
      expect(url.searchParams.get('sslmode')).to.equal('verify-full');
      expect(only(blue, 'secretsmanager/secret:Secret', 'app')['kmsKeyId']).to.contain('production-data');
    });

    it('gets new passwords with a new instance, and no others', () => {
      expect(only(blue, 'random:index/randomPassword:RandomPassword', 'app')['keepers']).to.deep.equal({
        instance: 'db-1',
      });
    });
  });

  describe('service', () => {
    it('has two tasks at least, else as many as configured', () => {
      expect(only(blue, 'ecs/service:Service', 'web')['desiredCount']).to.equal(2);
      expect(only(blue, 'ecs/service:Service', 'api')['desiredCount']).to.equal(3);
    });

    it('takes a bad version back, keeps all tasks meanwhile, and is up when they are healthy', () => {
      expect(only(blue, 'ecs/service:Service', 'api')).to.deep.include({
        deploymentCircuitBreaker: { enable: true, rollback: true },
        deploymentMinimumHealthyPercent: 100,
        availabilityZoneRebalancing: 'ENABLED',
        waitForSteadyState: true,
      });
    });

    it('runs in private subnets, without public addresses', () => {
      expect(only(blue, 'ecs/service:Service', 'api')['networkConfiguration']).to.deep.equal({
        subnets: ['private-a', 'private-b'],
        securityGroups: ['production-tasks-id'],
        assignPublicIp: false,
      });
    });

    it('has a health check of its own', () => {
      const group = only(blue, 'lb/targetGroup:TargetGroup', 'api');
      expect(group['healthCheck']).to.include({ path: '/api/health', matcher: '200' });
      expect(group).to.include({ targetType: 'ip', deregistrationDelay: 30 });
      expect(group['tags']).to.include({ colour: 'blue', service: 'api' });
    });

    it('scales by load within bounds, and ahead of known load', () => {
      expect(only(blue, 'appautoscaling/target:Target', 'api')).to.include({
        minCapacity: 3,
        maxCapacity: 8,
        resourceId: 'service/production-services/production-blue-api',
      });
      const policy = only(blue, 'appautoscaling/policy:Policy', 'api');
      expect(policy['targetTrackingScalingPolicyConfiguration']).to.include({ targetValue: 50 });
      const evening = only(blue, 'appautoscaling/scheduledAction:ScheduledAction', 'api-evening');
      expect(evening['scalableTargetAction']).to.deep.equal({ minCapacity: 4, maxCapacity: 8 });
    });

    it('is never scheduled below what it needs', async () => {
      const night = { name: 'night', cron: 'cron(0 1 * * ? *)', timeZone: 'UTC', minTasks: 2 };
      const tasks = { ...settings.tasks, schedules: [night] };
      const args = [{ kind: 'blue', colour: colourSpec('blue') }, new Map(production.outputs)] as const;
      const declared = await declare('production', ...args, { ...settings, tasks });
      const { scalableTargetAction } = only(declared, 'appautoscaling/scheduledAction:ScheduledAction', 'api-night');
      expect(scalableTargetAction).to.deep.equal({ minCapacity: 3, maxCapacity: 8 });
    });

    it('[J1] lets a request go on for as long as it may take, where its task is to stop; keeps a client with a task where it is sticky', async () => {
      const of = spec('production');
      const [web, api] = of.services;
      const slow = { ...api!, sticky: true, timeouts: { answerSeconds: 120, quietSeconds: 300 } };
      const { blue: declared } = await declareEnvironment(
        'production',
        { live: 'blue', percent: 0 },
        { ...of, services: [web!, slow] },
      );
      const group = (name: string) => only(declared, 'lb/targetGroup:TargetGroup', name);
      expect(group('api')).to.deep.include({
        deregistrationDelay: 120,
        stickiness: { type: 'lb_cookie', enabled: true, cookieDuration: 86_400 },
      });
      expect(group('web')).to.include({ deregistrationDelay: 30 }).and.not.to.have.property('stickiness');
    });

    it('is reached by header before it has users', () => {
      const rule = only(blue, 'lb/listenerRule:ListenerRule', 'header-0');
      expect(rule['conditions']).to.deep.equal([
        { pathPattern: { values: ['/api*'] } },
        { httpHeader: { httpHeaderName: 'x-greenlight-colour', values: ['blue'] } },
        { httpHeader: { httpHeaderName: 'x-greenlight-secret', values: ['secret-of-production-route'] } },
      ]);
      expect(JSON.stringify(rule['actions'])).to.contain('production-blue-api');
    });
  });

  describe('task', () => {
    it("runs the build's image, by the digest of its content, from the environment's own registry", () => {
      expect(container('api').image).to.equal(`registry/coins/production:sha256-${'ab'.repeat(32)}`);
      expect(container('api').command).to.deep.equal(['node', 'api.mjs']);
    });

    it('has no capability of the host, and answers on when its log cannot be written', () => {
      const text = only(blue, 'ecs/taskDefinition:TaskDefinition', 'api')['containerDefinitions'];
      expect(text).to.contain('"capabilities":{"drop":["ALL"]}').and.to.contain('"mode":"non-blocking"');
    });

    it('writes to no disk, and has time to finish', () => {
      expect(container('api')).to.include({ readonlyRootFilesystem: true, stopTimeout: 15 });
    });

    it('knows what it is, as it does locally', () => {
      expect(variable('api', 'GREENLIGHT_COLOUR')).to.equal('blue');
      expect(variable('api', 'GREENLIGHT_VERSION')).to.equal('2.0.0');
      expect(variable('api', 'PUBLIC_URL')).to.equal('https://app.example.org');
      expect(variable('api', 'FEED_URL')).to.equal('https://feed.example.org');
      expect(variable('api', 'LEVEL')).to.equal('info');
    });

    it('has the database only where it needs it, as the role that it needs', () => {
      expect(container('api').secrets.map(({ name }) => name)).to.deep.equal(['DATABASE_URL']);
      expect(container('api').secrets[0]?.valueFrom).to.contain('blue-app');
      expect(container('web').secrets).to.deep.equal([]);
    });

    it('has roles that ECS assumes for this account only', () => {
      for (const { inputs } of all(blue, 'iam/role:Role')) {
        const [trust] = statementsOf(inputs['assumeRolePolicy']);
        expect(trust?.Principal).to.deep.equal({ Service: 'ecs-tasks.amazonaws.com' });
        expect(trust?.Condition).to.deep.equal({ StringEquals: { 'aws:SourceAccount': '123456789012' } });
      }
    });

    it('may do nothing in AWS, and be started with its own image, log and secret only', () => {
      const roles = all(blue, 'iam/rolePolicy:RolePolicy').map(({ name }) => name);
      expect(roles).to.have.members(['production-blue-web-start', 'production-blue-api-start']);
      const secrets = granted('api-start').filter(({ Action }) => Action.includes('secretsmanager:GetSecretValue'));
      expect(JSON.stringify(secrets)).to.contain('blue-app').and.not.to.contain('owner');
      expect(JSON.stringify(granted('web-start'))).not.to.contain('secretsmanager');
    });
  });

  describe('alarms', () => {
    it('follow the objectives, and tell the topic', () => {
      expect(only(blue, 'cloudwatch/metricAlarm:MetricAlarm', 'api-latency')).to.deep.include({
        extendedStatistic: 'p95',
        threshold: 0.3,
      });
      expect(only(blue, 'cloudwatch/metricAlarm:MetricAlarm', 'api-errors')['threshold']).to.equal(0.01);
      for (const { inputs } of all(blue, 'cloudwatch/metricAlarm:MetricAlarm'))
        expect(JSON.stringify(inputs['alarmActions'])).to.contain('production-alarms');
    });

    it('say in their names whose they are', () => {
      const names = all(blue, 'cloudwatch/metricAlarm:MetricAlarm').map(({ inputs }) => inputs['name'] as string);
      const place = { application: 'coins', environment: 'production' } as const;
      expect(names).to.include('coins/production/blue/api/tasks');
      expect(parseAlarmName(place, 'coins/production/blue/api/tasks')).to.deep.equal({
        colour: 'blue',
        part: 'api',
        kind: 'tasks',
      });
      expect(names.filter((name) => parseAlarmName(place, name) === undefined)).to.deep.equal([]);
      for (const name of [
        'coins/staging/blue/api/tasks',
        'coins/production/red/api/tasks',
        'coins/production/blue/api/lag',
        'coins/production/blue/a/b/tasks',
      ])
        expect(parseAlarmName(place, name), name).to.equal(undefined);
    });

    it('take silence for what it means', () => {
      const missing = (name: string) => only(blue, 'cloudwatch/metricAlarm:MetricAlarm', name)['treatMissingData'];
      expect(missing('api-errors')).to.equal('notBreaching');
      expect(missing('api-tasks')).to.equal('breaching');
      expect(missing('database-storage')).to.equal('breaching');
    });

    it('wait for two bad minutes of three, and tell the end too', () => {
      const alarm = only(blue, 'cloudwatch/metricAlarm:MetricAlarm', 'api-latency');
      expect(alarm).to.include({ evaluationPeriods: 3, datapointsToAlarm: 2, period: 60 });
      expect(alarm['okActions']).to.deep.equal(alarm['alarmActions']);
    });

    it('take a handful of errors for chance', () => {
      const queries = only(blue, 'cloudwatch/metricAlarm:MetricAlarm', 'api-errors')['metricQueries'] as {
        expression?: string;
      }[];
      expect(queries.map(({ expression }) => expression)).to.include('IF(errors >= 5, errors / requests, 0)');
    });

    it('count the tasks that are wanted', () => {
      expect(only(blue, 'cloudwatch/metricAlarm:MetricAlarm', 'api-tasks')['threshold']).to.equal(3);
    });
  });

  it('without a version is a database alone, that nothing is sent to', async () => {
    const declared = await declare('production', { kind: 'green', colour: { colour: 'green' } }, production.outputs);
    expect(all(declared, 'rds/instance:Instance')).to.have.lengthOf(1);
    expect(all(declared, 'ecs/service:Service')).to.have.lengthOf(0);
    expect(all(declared, 'lb/listenerRule:ListenerRule')).to.have.lengthOf(0);
    expect(only(declared, 'rds/instance:Instance')['tags']).to.include({ colour: 'green', release: 'none' });
  });

  it('is refused where an integration has a stand-in only', async () => {
    const outputs: Outputs = new Map();
    const lonely = {
      ...spec('staging'),
      integrations: [{ name: 'feed', env: 'FEED_URL', standIn: ['node'], health: '/' }],
    };
    await declare('staging', { kind: 'foundation', spec: lonely }, outputs);
    const error = await declare('staging', { kind: 'blue', colour: colourSpec('blue') }, outputs).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(String(error)).to.contain('the integration feed has no url');
  });
});
