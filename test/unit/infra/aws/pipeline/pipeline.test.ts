import { expect } from 'chai';
import * as pulumi from '@pulumi/pulumi';
import { pipelineProgram } from '../../../../../infra/aws/pipeline/pipeline.ts';
import { mockStack } from '../../../../../infra/aws/declared/mocks.ts';
import { scopeOf } from '../../../../../infra/policies/pack.ts';
import { statementsOf, type Resource } from '../../../../../infra/policies/rule.ts';
import { violations } from '../../../../../infra/policies/rules.ts';
import { all, declaration, only, settings as environmentSettings, type Declared } from '../../../../lib/declared.ts';

const settings = {
  application: 'coins',
  accountId: '123456789012',
  region: 'eu-central-1',
  owner: 'learning',
  repository: 'example/coins',
  branch: 'release',
  releasePolicyArns: [
    'arn:aws:iam::123456789012:policy/greenlight-read',
    'arn:aws:iam::123456789012:policy/greenlight-release',
  ],
  state: { bucket: 'coins-state', keyArn: 'arn:aws:kms:eu-central-1:123456789012:key/1' },
  network: {
    vpcId: 'vpc-1',
    cidrBlock: '10.1.0.0/16',
    privateSubnetIds: ['subnet-a', 'subnet-b'],
    securityGroupId: 'sg-tasks',
    peer: {
      vpcId: 'vpc-2',
      cidrBlock: '10.0.0.0/16',
      isolatedSubnetIds: ['subnet-c', 'subnet-d'],
      databasesSecurityGroupId: 'sg-databases',
    },
  },
  build: {
    image: '123456789012.dkr.ecr.eu-central-1.amazonaws.com/greenlight/build:1',
    architecture: 'ARM64',
    timeoutMinutes: 600,
  },
  connectionArn: 'arn:aws:codeconnections:eu-central-1:123456789012:connection/1',
  nightly: { cron: 'cron(30 1 * * ? *)', timeZone: 'Europe/Berlin' },
  notify: ['team@example.org'],
};

async function declarePipeline(change: object = {}): Promise<Declared[]> {
  const declared = await mockStack('pipeline', environmentSettings, new Map());
  pulumi.runtime.setAllConfig({ 'greenlight:pipeline': JSON.stringify({ ...settings, ...change }) });
  pipelineProgram();
  await pulumi.runtime.disconnect();
  return declared;
}

describe('pipeline on AWS', () => {
  let declared: Declared[];

  before(async () => {
    declared = await declarePipeline();
  });

  const project = (name: string) => only(declared, 'codebuild/project:Project', name);
  const rights = (name: string) => statementsOf(only(declared, 'iam/rolePolicy:RolePolicy', name)['policy']);

  it('works in the configured account alone', () => {
    expect(only(declared, 'pulumi:providers:aws')['allowedAccountIds']).to.equal('["123456789012"]');
  });

  it('releases what is pushed to the release branch, and nothing else', () => {
    const pipeline = only(declared, 'codepipeline/pipeline:Pipeline');
    expect(pipeline).to.include({ pipelineType: 'V2', executionMode: 'SUPERSEDED' });
    const pushes = [{ branches: { includes: ['release'] } }];
    expect(pipeline['triggers']).to.deep.equal([
      { providerType: 'CodeStarSourceConnection', gitConfiguration: { sourceActionName: 'Source', pushes } },
    ]);
    const [source, release] = (pipeline['stages'] as { actions: { name: string; configuration: object }[] }[]).map(
      ({ actions }) => actions[0],
    );
    expect(source?.configuration).to.include({
      FullRepositoryId: 'example/coins',
      BranchName: 'release',
      OutputArtifactFormat: 'CODEBUILD_CLONE_REF',
    });
    expect(release?.configuration).to.deep.equal({ ProjectName: 'coins-release' });
  });

  it('keeps what it hands over in the bucket of the state, under its key', () => {
    expect(only(declared, 'codepipeline/pipeline:Pipeline')['artifactStores']).to.deep.equal([
      { type: 'S3', location: 'coins-state', encryptionKey: { type: 'KMS', id: settings.state.keyArn } },
    ]);
  });

  it('runs the release with Docker, one at a time, for as long as it takes', () => {
    const release = project('coins-release');
    expect(release).to.include({ concurrentBuildLimit: 1, buildTimeout: 600, encryptionKey: settings.state.keyArn });
    const { image } = settings.build;
    expect(release['environment']).to.include({
      privilegedMode: true,
      type: 'ARM_CONTAINER',
      image,
      imagePullCredentialsType: 'SERVICE_ROLE',
    });
    const buildspec = JSON.parse((release['source'] as { buildspec: string }).buildspec) as {
      phases: { install: { commands: string[] }; build: { commands: string[] } };
    };
    expect(buildspec.phases.build.commands.at(-1)).to.equal('npm run release -- --yes');
    // An image of one's own has none to choose from, and CodeBuild refuses the question.
    expect(buildspec.phases.install).to.have.all.keys('commands');
    expect(buildspec.phases.install.commands[0]).to.match(/^nohup dockerd .*&$/);
    const pulled = rights('release-build').filter(({ Action }) => Action.includes('ecr:BatchGetImage'));
    expect(pulled.map(({ Resource }) => Resource)).to.deep.equal([
      ['arn:aws:ecr:eu-central-1:123456789012:repository/greenlight/build'],
    ]);
  });

  it('is made once it may use the connection to the repository, which CodeBuild asks at once', () => {
    const { dependsOn } = declaration(declared, 'codebuild/project:Project', 'coins-rehearse').options;
    expect(dependsOn.join('\n')).to.contain('RolePolicy coins-rehearse-build');
    const source = { auth: { type: 'CODECONNECTIONS', resource: settings.connectionArn } };
    expect(project('coins-rehearse')['source']).to.deep.include(source);
    expect(all(declared, 'codeconnections/connection:Connection')).to.deep.equal([]);
  });

  it("runs in the environment's private subnets, where the databases are", () => {
    const vpc = {
      vpcId: 'vpc-1',
      subnets: ['subnet-a', 'subnet-b'],
      securityGroupIds: ['sg-tasks', 'coins-builds-id'],
    };
    expect(project('coins-release')['vpcConfig']).to.deep.equal(vpc);
    expect(project('coins-rehearse')['vpcConfig']).to.deep.equal(vpc);
    const [permission] = rights('release-build').filter(
      ({ Action }) => Action[0] === 'ec2:CreateNetworkInterfacePermission',
    );
    expect(permission?.Condition?.['StringEquals']).to.deep.equal({
      'ec2:AuthorizedService': 'codebuild.amazonaws.com',
    });
  });

  it('may join the network with its groups, and with no others', () => {
    const [join] = rights('release-build').filter(({ Action }) => Action[0] === 'ec2:CreateNetworkInterface');
    const groups = join?.Resource.filter((arn) => arn.includes('security-group')).map((arn) => arn.split('/').at(-1));
    expect(groups).to.deep.equal(['sg-tasks', 'coins-builds-id']);
  });

  it("reaches the other environment's databases by peered networks, and nothing else there", () => {
    const connection = only(declared, 'ec2/vpcPeeringConnection:VpcPeeringConnection');
    expect(connection).to.include({ vpcId: 'vpc-1', peerVpcId: 'vpc-2', autoAccept: true });
    const routes = all(declared, 'ec2/route:Route').map(({ inputs }) => [
      inputs['routeTableId'],
      inputs['destinationCidrBlock'],
      inputs['vpcPeeringConnectionId'],
    ]);
    expect(routes).to.have.deep.members([
      ['routes-of-subnet-a', '10.0.0.0/16', 'coins-peering-id'],
      ['routes-of-subnet-b', '10.0.0.0/16', 'coins-peering-id'],
      ['routes-of-subnet-c', '10.1.0.0/16', 'coins-peering-id'],
      ['routes-of-subnet-d', '10.1.0.0/16', 'coins-peering-id'],
    ]);
    expect(only(declared, 'ec2/securityGroup:SecurityGroup')).to.include({ vpcId: 'vpc-1' });
    const port = { ipProtocol: 'tcp', fromPort: 5432, toPort: 5432 };
    for (const [way, group, other] of [
      ['Egress', 'coins-builds-id', 'sg-databases'],
      ['Ingress', 'sg-databases', 'coins-builds-id'],
    ] as const) {
      const type = `vpc/securityGroup${way}Rule:SecurityGroup${way}Rule`;
      expect(only(declared, type)).to.include({ ...port, securityGroupId: group, referencedSecurityGroupId: other });
      expect(all(declared, type)[0]?.options.dependsOn.join()).to.contain('coins-peering');
    }
  });

  it('peers nothing where no other network is given', async () => {
    const { peer: _other, ...network } = settings.network;
    const alone = await declarePipeline({ network });
    expect(all(alone, 'ec2/vpcPeeringConnection:VpcPeeringConnection')).to.deep.equal([]);
    expect(
      (only(alone, 'codebuild/project:Project', 'coins-release')['vpcConfig'] as { securityGroupIds: string[] })
        .securityGroupIds,
    ).to.deep.equal(['sg-tasks']);
  });

  it('refuses to peer networks that share addresses', async () => {
    const network = { ...settings.network, cidrBlock: '10.0.128.0/20' };
    const wrong = declarePipeline({ network }).then(() => '', String);
    expect(await wrong).to.contain('pipeline.network.peer.cidrBlock: must not overlap');
  });

  it('runs outside of any network where none is given', async () => {
    const open = await declarePipeline({ network: undefined });
    expect(only(open, 'codebuild/project:Project', 'coins-release')['vpcConfig']).to.equal(undefined);
    expect(JSON.stringify(only(open, 'iam/rolePolicy:RolePolicy', 'release-build'))).not.to.contain('ec2:');
  });

  it('keeps logs for a known time, under a key', () => {
    const logs = all(declared, 'cloudwatch/logGroup:LogGroup').map(({ inputs }) => inputs);
    expect(logs).to.have.lengthOf(2);
    for (const log of logs) expect(log).to.deep.include({ retentionInDays: 90 }).and.to.have.property('kmsKeyId');
  });

  it('rehearses on staging every night, in the configured time zone', () => {
    const schedule = only(declared, 'scheduler/schedule:Schedule');
    expect(schedule).to.include({
      scheduleExpression: 'cron(30 1 * * ? *)',
      scheduleExpressionTimezone: 'Europe/Berlin',
    });
    expect((schedule['target'] as { arn: string }).arn).to.contain('coins-rehearse');
    expect(project('coins-rehearse')['source']).to.deep.include({
      type: 'GITHUB',
      location: 'https://github.com/example/coins.git',
    });
    expect((project('coins-rehearse')['source'] as { buildspec: string }).buildspec).to.contain('npm run rehearse');
    expect(project('coins-rehearse')['sourceVersion']).to.equal('release');
  });

  it('lets the schedule start that project alone', () => {
    expect(rights('coins-nightly')).to.have.lengthOf(1);
    expect(rights('coins-nightly')[0]).to.deep.include({ Action: ['codebuild:StartBuild'] });
    expect(rights('coins-nightly')[0]?.Resource[0]).to.contain('coins-rehearse');
  });

  it('tells people of releases and rehearsals that failed', () => {
    const events = all(declared, 'codestarnotifications/notificationRule:NotificationRule').map(
      ({ inputs }) => inputs['eventTypeIds'],
    );
    expect(events).to.have.deep.members([
      ['codepipeline-pipeline-pipeline-execution-failed'],
      ['codebuild-project-build-state-failed', 'codebuild-project-build-state-stopped'],
    ]);
    expect(only(declared, 'sns/topicSubscription:TopicSubscription')).to.include({
      protocol: 'email',
      endpoint: 'team@example.org',
    });
  });

  it('trusts workflows of one repository, in the environment that has reviewers, for AWS alone', () => {
    const trust = statementsOf(only(declared, 'iam/role:Role', 'github-release')['assumeRolePolicy']);
    expect(trust).to.have.lengthOf(1);
    expect(trust[0]).to.deep.include({ Action: ['sts:AssumeRoleWithWebIdentity'] });
    expect(trust[0]?.Condition).to.deep.equal({
      StringEquals: {
        'token.actions.githubusercontent.com:aud': 'sts.amazonaws.com',
        'token.actions.githubusercontent.com:sub': 'repo:example/coins:environment:production',
      },
    });
    expect(only(declared, 'iam/openIdConnectProvider:OpenIdConnectProvider')['clientIdLists']).to.deep.equal([
      'sts.amazonaws.com',
    ]);
  });

  it('trusts it by its ids where GitHub names it so', async () => {
    const named = await declarePipeline({ githubIds: { owner: 12, repository: 34 } });
    const trust = only(named, 'iam/role:Role', 'github-release')['assumeRolePolicy'];
    expect(trust).to.contain('"repo:example@12/coins@34:environment:production"');
  });

  it("uses the account's provider of GitHub where there is one", async () => {
    const githubProviderArn = 'arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com';
    const existing = await declarePipeline({ githubProviderArn });
    expect(all(existing, 'iam/openIdConnectProvider:OpenIdConnectProvider')).to.deep.equal([]);
    expect(only(existing, 'iam/role:Role', 'github-release')['assumeRolePolicy']).to.contain(githubProviderArn);
  });

  it('gives the rights to release as the administrator made them, to what releases alone', () => {
    const attached = all(declared, 'iam/rolePolicyAttachment:RolePolicyAttachment').map(({ inputs }) => [
      inputs['role'],
      inputs['policyArn'],
    ]);
    const roles = ['coins-release-build', 'coins-rehearse-build', 'coins-github-release'];
    expect(attached).to.have.deep.members(
      roles.flatMap((role) => settings.releasePolicyArns.map((arn) => [role, arn])),
    );
  });

  it('refuses wrong settings with their paths', async () => {
    const build = { image: 'aws/codebuild/standard:7.0', timeoutMinutes: 5 };
    const wrong = await declarePipeline({ repository: 'coins', build }).then(() => '', String);
    for (const part of [
      'repository: a repository looks like',
      'build.timeoutMinutes',
      'build.image: an image in ECR looks like',
    ])
      expect(wrong).to.contain(`pipeline.${part}`);
  });

  describe('policies', () => {
    const scope = scopeOf('urn:pulumi:pipeline::greenlight::aws:sns/topic:Topic::coins');
    const judged = (change: (resource: Resource) => object = () => ({})) =>
      violations(
        declared
          .map(({ type, name, inputs }) => ({ type, name, props: inputs }))
          .map((resource) => ({ ...resource, props: { ...resource.props, ...change(resource) } })),
        scope,
      ).map(({ rule, found }) => `${rule}: ${found}`);
    const planted = (type: string, name: string, props: object) =>
      judged((resource) => (resource.type === `aws:${type}` && resource.name.includes(name) ? props : {})).join();

    it('are kept', () => expect(judged()).to.deep.equal([]));

    const trust = (subject: string, audience = 'sts.amazonaws.com') => ({
      assumeRolePolicy: JSON.stringify({
        Statement: {
          Effect: 'Allow',
          Principal: { Federated: 'arn' },
          Action: 'sts:AssumeRoleWithWebIdentity',
          Condition: {
            StringEquals: {
              'token.actions.githubusercontent.com:aud': audience,
              'token.actions.githubusercontent.com:sub': subject,
            },
          },
        },
      }),
    });
    for (const [what, props] of [
      ['every branch of the repository', trust('repo:example/coins:*')],
      ['a branch, past the reviewers', trust('repo:example/coins:ref:refs/heads/release')],
      ['every repository of the owner', trust('repo:example/*:environment:production')],
      ['another audience', trust('repo:example/coins:environment:production', 'anybody')],
    ] as const)
      it(`find a role that trusts ${what}`, () =>
        expect(planted('iam/role:Role', 'github', props)).to.contain('least-privilege: it may be assumed by others'));

    it('find logs for ever, a topic without a key, a wide right, a managed policy, and what nobody owns', () => {
      expect(planted('cloudwatch/logGroup:LogGroup', '', { retentionInDays: 0 })).to.contain('logs-with-retention');
      expect(planted('sns/topic:Topic', '', { kmsMasterKeyId: undefined })).to.contain('encrypted-at-rest');
      const wide = JSON.stringify({ Statement: { Effect: 'Allow', Action: 'codebuild:*', Resource: 'arn' } });
      expect(planted('iam/rolePolicy:RolePolicy', 'nightly', { policy: wide })).to.contain('it allows codebuild:*');
      const administrator = { policyArn: 'arn:aws:iam::aws:policy/AdministratorAccess' };
      expect(planted('iam/rolePolicyAttachment:RolePolicyAttachment', 'github', administrator)).to.contain('far more');
      expect(planted('codebuild/project:Project', 'release', { tags: {} })).to.contain('tagged: it has no tag owner');
    });
  });
});
