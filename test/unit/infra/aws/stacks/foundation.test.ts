import { expect } from 'chai';
import { statementsOf } from '../../../../../infra/policies/rule.ts';
import type { FoundationOutputs } from '../../../../../infra/aws/lib/foundation-reference.ts';
import { managedGroups } from '../../../../../infra/aws/stacks/network/web-firewall.ts';
import { all, declare, only, settings, spec, type Declared, type Outputs } from '../../../../lib/declared.ts';

describe('foundation on AWS', () => {
  let production: Declared[];
  let staging: Declared[];
  const outputs: Outputs = new Map();

  before(async () => {
    production = await declare('production', { kind: 'foundation', spec: spec('production') }, outputs);
    staging = await declare('staging', { kind: 'foundation', spec: spec('staging') });
  });

  const policies = (type: string, name: string) => statementsOf(only(production, type, name)['policy']);

  it('works in the configured account alone', () => {
    expect(only(production, 'pulumi:providers:aws')).to.include({
      allowedAccountIds: JSON.stringify([settings.accountId]),
      region: settings.region,
    });
  });

  describe('network', () => {
    it('is spread over the configured zones, with public, private and isolated subnets', () => {
      const vpc = only(production, 'awsx:ec2:Vpc');
      expect(vpc['availabilityZoneNames']).to.deep.equal(settings.availabilityZones);
      expect((vpc['subnetSpecs'] as { type: string }[]).map(({ type }) => type)).to.deep.equal([
        'Public',
        'Private',
        'Isolated',
      ]);
    });

    it('has a way out per zone in production', () => {
      expect(only(production, 'awsx:ec2:Vpc')['natGateways']).to.deep.equal({ strategy: 'OnePerAz' });
      expect(only(staging, 'awsx:ec2:Vpc')['natGateways']).to.deep.equal({ strategy: 'Single' });
    });

    it('reaches images, S3, logs and secrets without the internet', () => {
      const services = all(production, 'ec2/vpcEndpoint:VpcEndpoint').map(({ inputs }) => inputs['serviceName']);
      expect(services).to.have.members(
        ['s3', 'ecr.api', 'ecr.dkr', 'logs', 'secretsmanager'].map((name) => `com.amazonaws.eu-central-1.${name}`),
      );
      const byRoute = only(production, 'ec2/vpcEndpoint:VpcEndpoint', 'to-s3');
      expect(byRoute).to.deep.include({ vpcEndpointType: 'Gateway', routeTableIds: ['routes-a', 'routes-b'] });
      const byAddress = only(production, 'ec2/vpcEndpoint:VpcEndpoint', 'to-ecr-api');
      expect(byAddress).to.deep.include({ privateDnsEnabled: true, securityGroupIds: ['production-endpoints-id'] });
    });

    it('lets the internet in at the load balancer only', () => {
      const open = all(production, 'vpc/securityGroupIngressRule:SecurityGroupIngressRule').filter(
        ({ inputs }) => inputs['cidrIpv4'] !== undefined,
      );
      expect(open.map(({ inputs }) => [inputs['securityGroupId'], inputs['fromPort']])).to.have.deep.members([
        ['production-entry-id', 443],
        ['production-entry-id', 80],
      ]);
    });

    it('lets tasks and databases reach the databases, and nobody else', () => {
      const sources = all(production, 'vpc/securityGroupIngressRule:SecurityGroupIngressRule')
        .filter(({ inputs }) => inputs['securityGroupId'] === 'production-databases-id')
        .map(({ inputs }) => [inputs['referencedSecurityGroupId'], inputs['fromPort'], inputs['toPort']]);
      expect(sources).to.have.deep.members([
        ['production-tasks-id', 5432, 5432],
        ['production-databases-id', 5432, 5432],
      ]);
    });

    it('lets requests flow from the balancer to tasks, from tasks to what they need, and no other way', () => {
      const ways = (direction: 'Ingress' | 'Egress') =>
        all(production, `vpc/securityGroup${direction}Rule:SecurityGroup${direction}Rule`).map(({ inputs }) => [
          inputs['securityGroupId'],
          inputs['referencedSecurityGroupId'] ?? inputs['cidrIpv4'],
          inputs['toPort'],
        ]);
      const [entry, tasks, databases, endpoints] = ['entry', 'tasks', 'databases', 'endpoints'].map(
        (name) => `production-${name}-id`,
      );
      expect(ways('Egress')).to.have.deep.members([
        [entry, tasks, 3000],
        [tasks, databases, 5432],
        [databases, databases, 5432],
        [tasks, endpoints, 443],
        [tasks, '0.0.0.0/0', 443],
      ]);
      expect(ways('Ingress')).to.have.deep.members([
        [entry, '0.0.0.0/0', 443],
        [entry, '0.0.0.0/0', 80],
        [tasks, entry, 3000],
        [databases, tasks, 5432],
        [databases, databases, 5432],
        [endpoints, tasks, 443],
      ]);
    });

    it('leaves the default group without rules, and records all flows', () => {
      expect(only(production, 'ec2/defaultSecurityGroup:DefaultSecurityGroup')).to.deep.include({
        ingress: [],
        egress: [],
      });
      expect(only(production, 'ec2/flowLog:FlowLog')['trafficType']).to.equal('ALL');
      // The least, says the guide of VPC.
      const allowed = policies('iam/rolePolicy:RolePolicy', 'flows').flatMap(({ Action }) => Action);
      expect(allowed).to.have.members(
        ['CreateLogGroup', 'CreateLogStream', 'PutLogEvents', 'DescribeLogStreams', 'DescribeLogGroups'].map(
          (right) => `logs:${right}`,
        ),
      );
    });
  });

  describe('entry point', () => {
    it('takes TLS 1.2 and later with the validated certificate', () => {
      const https = only(production, 'lb/listener:Listener', 'https');
      expect(https).to.include({ port: 443, protocol: 'HTTPS', sslPolicy: 'ELBSecurityPolicy-TLS13-1-2-Res-2021-06' });
      const validation = only(production, 'acm/certificateValidation:CertificateValidation');
      expect(https['certificateArn']).to.equal(validation['certificateArn']);
      expect(validation['validationRecordFqdns']).to.deep.equal(['record']);
    });

    it('answers 503 while nothing is live', () => {
      const [action] = only(production, 'lb/listener:Listener', 'https')['defaultActions'] as {
        fixedResponse: { statusCode: string };
      }[];
      expect(action?.fixedResponse.statusCode).to.equal('503');
    });

    it('answers on the port of the environment, where it has one', async () => {
      const given: Outputs = new Map();
      const own = await declare('staging', { kind: 'foundation', spec: { ...spec('staging'), port: 8443 } }, given);
      expect(only(own, 'lb/listener:Listener', 'https')['port']).to.equal(8443);
      expect(JSON.stringify(only(own, 'lb/listener:Listener', '-http:')['defaultActions'])).to.contain('"port":"8443"');
      const open = all(own, 'vpc/securityGroupIngressRule:SecurityGroupIngressRule').filter(
        ({ inputs }) => inputs['cidrIpv4'] !== undefined,
      );
      expect(open.map(({ inputs }) => inputs['fromPort'])).to.have.members([8443, 80]);
      const { baseUrl } = given.get('staging-foundation')?.['foundation'] as FoundationOutputs;
      expect(baseUrl).to.equal('https://app.example.org:8443');
    });

    it('sends HTTP on to HTTPS', () => {
      const [action] = only(production, 'lb/listener:Listener', '-http:')['defaultActions'] as object[];
      expect(action).to.deep.equal({
        type: 'redirect',
        redirect: { protocol: 'HTTPS', port: '443', statusCode: 'HTTP_301' },
      });
    });

    it('is public, in the public subnets, logged, strict about headers', () => {
      const balancer = only(production, 'lb/loadBalancer:LoadBalancer');
      expect(balancer).to.deep.include({
        internal: false,
        subnets: ['public-a', 'public-b'],
        dropInvalidHeaderFields: true,
      });
      expect(balancer['accessLogs']).to.deep.equal({ enabled: true, bucket: 'production-access-logs' });
    });

    it('passes on the name that the client asked for, and says nothing of itself', () => {
      expect(only(production, 'lb/loadBalancer:LoadBalancer')['preserveHostHeader']).to.equal(true);
      expect(only(production, 'lb/listener:Listener', 'https')['routingHttpResponseServerEnabled']).to.equal(false);
    });

    it('[J1] lets a connection be quiet for as long as the service with the longest time-out may be', async () => {
      expect(only(production, 'lb/loadBalancer:LoadBalancer')['idleTimeout']).to.equal(300);
      const of = spec('production');
      const [web, api] = of.services;
      const services = [web!, { ...api!, timeouts: { answerSeconds: 900, quietSeconds: 60 } }];
      const declared = await declare('production', { kind: 'foundation', spec: { ...of, services } });
      expect(only(declared, 'lb/loadBalancer:LoadBalancer')['idleTimeout']).to.equal(900);
    });

    it('leaves it to the application how long a body may be', () => {
      const rules = JSON.stringify(only(production, 'wafv2/webAcl:WebAcl')['rules']);
      expect(rules).to.contain('"ruleActionOverrides":[{"actionToUse":{"count":{}},"name":"SizeRestrictions_BODY"}]');
    });

    it('cannot be deleted in production', () => {
      expect(only(production, 'lb/loadBalancer:LoadBalancer')['enableDeletionProtection']).to.equal(true);
      expect(only(staging, 'lb/loadBalancer:LoadBalancer')['enableDeletionProtection']).to.equal(false);
    });

    it('has its name in the hosted zone', () => {
      const record = only(production, 'route53/record:Record', 'entry');
      expect(record).to.include({ zoneId: settings.hostedZoneId, name: settings.domain, type: 'A' });
      expect(record['aliases']).to.deep.equal([{ name: 'entry.aws', zoneId: 'ZALB', evaluateTargetHealth: true }]);
    });

    it("is behind AWS's managed rules", () => {
      const rules = only(production, 'wafv2/webAcl:WebAcl')['rules'] as { name: string; overrideAction: object }[];
      expect(rules.map(({ name }) => name)).to.deep.equal(managedGroups.map(({ name }) => name));
      // `count` here would switch a whole group off.
      for (const { overrideAction } of rules) expect(overrideAction).to.deep.equal({ none: {} });
      expect(only(production, 'wafv2/webAclAssociation:WebAclAssociation')['resourceArn']).to.contain(
        'production-entry',
      );
    });

    it('keeps secrets out of the log of the firewall', () => {
      const fields = only(production, 'wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration')['redactedFields'];
      expect(JSON.stringify(fields))
        .to.contain('x-greenlight-secret')
        .and.to.contain('cookie')
        .and.to.contain('authorization');
    });
  });

  describe('storage', () => {
    it('keeps images under tags that cannot change, scanned, for this environment alone', () => {
      expect(only(production, 'ecr/repository:Repository')).to.deep.include({
        name: 'coins/production',
        imageTagMutability: 'IMMUTABLE',
        imageScanningConfiguration: { scanOnPush: true },
        forceDelete: false,
      });
    });

    it('forgets images that are neither new nor tagged', () => {
      const { rules } = JSON.parse(only(production, 'ecr/lifecyclePolicy:LifecyclePolicy')['policy'] as string) as {
        rules: { selection: { tagStatus: string } }[];
      };
      expect(rules.map(({ selection }) => selection.tagStatus)).to.deep.equal(['untagged', 'any']);
    });

    it("encrypts evidence with the environment's key, and access logs as the load balancer can", () => {
      const algorithm = (name: string) =>
        JSON.stringify(
          only(production, 's3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration', name)[
            'rules'
          ],
        );
      expect(algorithm('evidence')).to.contain('aws:kms').and.to.contain('production-data');
      expect(algorithm('access-logs')).to.contain('AES256');
    });

    it('lets the load balancer of this account write access logs, and nothing else', () => {
      const statements = policies('s3/bucketPolicy:BucketPolicy', 'access-logs');
      const allowed = statements.filter(({ Effect }) => Effect === 'Allow');
      expect(allowed).to.have.lengthOf(1);
      expect(allowed[0]).to.deep.include({
        Principal: { Service: 'logdelivery.elasticloadbalancing.amazonaws.com' },
        Action: ['s3:PutObject'],
      });
      expect(JSON.stringify(allowed[0])).to.contain(`${settings.accountId}:loadbalancer/*`);
    });

    it('has keys that rotate, and can be managed by their account', () => {
      for (const { inputs } of all(production, 'kms/key:Key')) {
        expect(inputs['enableKeyRotation']).to.equal(true);
        expect(inputs['policy']).to.contain(`arn:aws:iam::${settings.accountId}:root`);
      }
    });

    it('lets publishers use the key for this account only, and the logs for its own groups only', () => {
      const statements = policies('kms/key:Key', 'production-data');
      const others = statements.filter(({ Principal }) => !JSON.stringify(Principal).includes(':root'));
      expect(
        others.map(({ Principal, Condition }) => [Principal, Object.keys(Object.values(Condition ?? {})[0] ?? {})]),
      ).to.deep.equal([
        [{ Service: 'logs.eu-central-1.amazonaws.com' }, ['kms:EncryptionContext:aws:logs:arn']],
        [{ Service: ['cloudwatch.amazonaws.com', 'budgets.amazonaws.com'] }, ['aws:SourceAccount']],
        [{ Service: 'sns.amazonaws.com' }, ['aws:SourceArn']],
      ]);
    });

    it('copies daily backups to the second region, with a key that is there', () => {
      const [rule] = only(production, 'backup/plan:Plan')['rules'] as {
        copyActions: { destinationVaultArn: string }[];
      }[];
      expect(rule?.copyActions[0]?.destinationVaultArn).to.contain(`:${settings.backupRegion}:`);
      const vault = only(production, 'backup/vault:Vault', 'copies');
      expect(vault['region']).to.equal(settings.backupRegion);
      expect(vault['kmsKeyArn']).to.contain(`:${settings.backupRegion}:`);
    });

    it('selects what carries the tag of the environment', () => {
      const tags = only(production, 'backup/selection:Selection')['selectionTags'];
      expect(tags).to.deep.equal([{ type: 'STRINGEQUALS', key: 'backup', value: 'production' }]);
    });
  });

  describe('people', () => {
    it('are told by every receiver, and by a queue that a release can read', () => {
      const ends = all(production, 'sns/topicSubscription:TopicSubscription').map(({ inputs }) => [
        inputs['protocol'],
        inputs['endpoint'],
      ]);
      expect(ends).to.deep.include(['https', 'https://alerts.example.org/token']);
      expect(ends.map(([protocol]) => protocol)).to.have.members(['https', 'sqs']);
    });

    it('are told on behalf of this account only: by alarms and budget; the queue by the topic', () => {
      const [topic] = policies('sns/topicPolicy:TopicPolicy', 'alarms');
      expect(topic?.Principal).to.deep.equal({
        Service: ['cloudwatch.amazonaws.com', 'budgets.amazonaws.com'],
      });
      expect(topic?.Condition).to.deep.equal({ StringEquals: { 'aws:SourceAccount': settings.accountId } });
      const [queue] = policies('sqs/queuePolicy:QueuePolicy', 'deliveries');
      expect(JSON.stringify(queue?.Condition)).to.contain('production-alarms');
    });

    it('are told before and when it costs too much', () => {
      const budget = only(production, 'budgets/budget:Budget');
      expect(budget).to.deep.include({ limitAmount: '900', limitUnit: 'USD', timeUnit: 'MONTHLY' });
      expect(budget['costFilters']).to.deep.equal([{ name: 'TagKeyValue', values: ['user:environment$production'] }]);
      const kinds = (budget['notifications'] as { notificationType: string }[]).map((found) => found.notificationType);
      expect(kinds).to.deep.equal(['FORECASTED', 'ACTUAL', 'ACTUAL']);
    });

    it('see the entry point and both databases on one page', () => {
      const body = only(production, 'cloudwatch/dashboard:Dashboard')['dashboardBody'] as string;
      expect(body)
        .to.contain('app/entry/1')
        .and.to.contain('coins-production-blue')
        .and.to.contain('coins-production-green');
    });

    it('are refused if the webhook of a receiver is no https URL', async () => {
      const plain = { ...spec('production'), alertReceivers: [{ name: 'old', webhook: 'http://alerts.example.org' }] };
      const error = await declare('production', { kind: 'foundation', spec: plain }).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(String(error)).to.contain('the webhook of the alert receiver old is no https URL');
    });
  });

  it('records no address of a receiver, as they may hold tokens', () => {
    expect(JSON.stringify(outputs.get('production-foundation'))).not.to.contain('alerts.example.org');
  });

  it('has a secret for the header route that cannot be a wildcard', () => {
    expect(only(production, 'random:index/randomPassword:RandomPassword')).to.deep.equal({
      length: 48,
      special: false,
    });
  });

  it('keeps that secret where a release reads it by its ARN', () => {
    const version = only(production, 'secretsmanager/secretVersion:SecretVersion', 'route');
    expect(version['secretString']).to.equal('secret-of-production-route');
    expect(only(production, 'secretsmanager/secret:Secret', 'route')['kmsKeyId']).to.contain('production-data');
    const { routeSecretArn } = outputs.get('production-foundation')?.['foundation'] as FoundationOutputs;
    expect(routeSecretArn).to.contain('production-route');
  });

  it('measures how much of its processor a task uses', () => {
    expect(only(production, 'ecs/cluster:Cluster')['settings']).to.deep.equal([
      { name: 'containerInsights', value: 'enhanced' },
    ]);
  });

  describe('one-off tasks', () => {
    const granted = (action: string) =>
      policies('iam/rolePolicy:RolePolicy', 'jobs-start').filter(({ Action }) => Action.includes(action));

    it('are started with images of this environment, its secrets for jobs, and their log', () => {
      expect(JSON.stringify(granted('ecr:BatchGetImage'))).to.contain('production-images');
      const secrets = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:greenlight/production/job-*';
      expect(granted('secretsmanager:GetSecretValue').map(({ Resource }) => [Resource].flat())).to.deep.equal([
        [secrets],
      ]);
      expect(JSON.stringify(granted('logs:PutLogEvents'))).to.contain('production-jobs');
    });

    it('may do nothing in AWS themselves', () => {
      expect(all(production, 'iam/role:Role').map(({ name }) => name)).to.include('production-jobs-run');
      expect(all(production, 'iam/rolePolicy:RolePolicy').map(({ name }) => name)).not.to.include(
        'production-jobs-run',
      );
    });

    it('log into a group that forgets', () => {
      const group = only(production, 'cloudwatch/logGroup:LogGroup', 'production-jobs');
      expect(group).to.include({ name: '/greenlight/production/jobs', retentionInDays: 90 });
    });
  });

  it('has what databases for rehearsals are made with', () => {
    expect(only(production, 'rds/subnetGroup:SubnetGroup', 'scratch')['subnetIds']).to.deep.equal([
      'isolated-a',
      'isolated-b',
    ]);
    const parameters = only(production, 'rds/parameterGroup:ParameterGroup', 'scratch')['parameters'];
    expect(parameters).to.deep.include({ name: 'rds.logical_replication', value: '1', applyMethod: 'pending-reboot' });
    // A restored copy must not go on with the replication of its original.
    expect(parameters).to.deep.include({
      name: 'max_logical_replication_workers',
      value: '0',
      applyMethod: 'pending-reboot',
    });
    const { jobs, scratch } = outputs.get('production-foundation')?.['foundation'] as FoundationOutputs;
    expect(jobs.logGroup).to.equal('/greenlight/production/jobs');
    expect(scratch).to.deep.equal({ subnetGroup: 'production-scratch', parameterGroup: 'production-scratch' });
  });
});
