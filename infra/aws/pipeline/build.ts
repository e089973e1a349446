import * as pulumi from '@pulumi/pulumi';
import { Project, type ProjectArgs } from '@pulumi/aws/codebuild/project.js';
import { RolePolicyAttachment } from '@pulumi/aws/iam/rolePolicyAttachment.js';
import type { LogGroup } from '@pulumi/aws/cloudwatch/logGroup.js';
import { serviceRole, type Statement } from '../rights/iam.ts';
import { logGroup } from '../stacks/storage/log-group.ts';
import { PipelineComponent, type PipelinePlace } from './component.ts';
import { ecrImage, type PipelineNetwork } from './settings.ts';

const types = { X86_64: 'LINUX_CONTAINER', ARM64: 'ARM_CONTAINER' } as const;

/** From "Docker in custom image sample" in the CodeBuild guide: CodeBuild does not run an image's entry point. */
const startDocker = [
  'nohup dockerd --host=unix:///var/run/docker.sock --storage-driver=overlay2 >/var/log/dockerd.log 2>&1 &',
  `timeout 60 sh -c 'until docker info >/dev/null 2>&1; do sleep 1; done' || { cat /var/log/dockerd.log; exit 1; }`,
];

export interface BuildArgs {
  /** `release`. */
  name: string;
  /** `npm run release -- --yes`. */
  command: string;
  /** `pipeline`: CodePipeline hands over the source. `repository`: CodeBuild clones it. */
  source: 'pipeline' | 'repository';
  keyArn: pulumi.Input<string>;
  /** In addition to the security group in the settings of the network. */
  securityGroupIds: pulumi.Input<string>[];
}

/** A CodeBuild project that runs one command of Greenlight, one build at a time. */
export class Build extends PipelineComponent {
  readonly project: Project;
  readonly #args: BuildArgs;

  constructor(args: BuildArgs, place: PipelinePlace, options: pulumi.ComponentResourceOptions) {
    super('Build', `${args.name}-build`, place, options);
    this.#args = args;
    const logs = logGroup(this.named(args.name), { name: this.#logName(), place, keyArn: args.keyArn }, this);
    this.project = this.#project(logs);
    this.registerOutputs({});
  }

  #logName = () => `/greenlight/pipeline/${this.place.settings.application}-${this.#args.name}`;

  #project(logs: LogGroup) {
    const { build, state } = this.place.settings;
    return new Project(
      this.named(this.#args.name),
      {
        ...this.#source(),
        ...this.#network(),
        name: this.named(this.#args.name),
        serviceRole: this.#role(logs).arn,
        environment: {
          type: types[build.architecture],
          image: build.image,
          // By default CodeBuild pulls with its own credentials, which cannot read an account's images.
          imagePullCredentialsType: 'SERVICE_ROLE',
          computeType: build.computeType,
          // The build runs Docker to build images.
          privilegedMode: true,
        },
        // Unlimited by default, but two releases of an environment exclude each other by its lock.
        concurrentBuildLimit: 1,
        // Minutes. A release with its bake time takes longer than the default of 60. `npm run resume` continues one
        // that was cut off.
        buildTimeout: build.timeoutMinutes,
        encryptionKey: state.keyArn,
        logsConfig: { cloudwatchLogs: { groupName: logs.name, status: 'ENABLED' } },
        tags: this.place.tags,
      },
      this.child,
    );
  }

  #source(): Pick<ProjectArgs, 'source' | 'sourceVersion' | 'artifacts'> {
    const { repository, branch, connectionArn } = this.place.settings;
    const buildspec = this.#buildspec();
    if (this.#args.source === 'pipeline')
      return { source: { type: 'CODEPIPELINE', buildspec }, artifacts: { type: 'CODEPIPELINE' } };
    const location = `https://github.com/${repository}.git`;
    const auth = { type: 'CODECONNECTIONS', resource: connectionArn };
    const source = { type: 'GITHUB', location, auth, buildspec };
    return { source, sourceVersion: branch, artifacts: { type: 'NO_ARTIFACTS' } };
  }

  /** JSON is valid YAML. No `runtime-versions`: only CodeBuild's own images offer them. */
  #buildspec = () =>
    JSON.stringify({
      version: 0.2,
      phases: {
        install: { commands: startDocker },
        build: { commands: ['npm ci', this.#args.command] },
      },
    });

  #network(): Pick<ProjectArgs, 'vpcConfig'> {
    const { network } = this.place.settings;
    if (network === undefined) return {};
    const { vpcId, privateSubnetIds: subnets } = network;
    return { vpcConfig: { vpcId, subnets, securityGroupIds: this.#securityGroupIds(network) } };
  }

  #securityGroupIds = (network: PipelineNetwork) => [network.securityGroupId, ...this.#args.securityGroupIds];

  /** The rights of the build itself, and the administrator's policies with the rights to release. */
  #role(logs: LogGroup) {
    const { place } = this;
    const statements = [...this.#toRun(logs), ...this.#toJoinTheNetwork()];
    const name = `${this.#args.name}-build`;
    const role = serviceRole(this.named(name), { place, service: 'codebuild.amazonaws.com', statements }, this);
    place.settings.releasePolicyArns.forEach((policyArn, i) => {
      new RolePolicyAttachment(this.named(`${name}-${i + 1}`), { role: role.name, policyArn }, this.child);
    });
    return role;
  }

  #toRun(logs: LogGroup): Statement[] {
    const { state, connectionArn, build } = this.place.settings;
    const [, account = '', region = '', repository = ''] = ecrImage.exec(build.image) ?? [];
    const pull = ['ecr:BatchCheckLayerAvailability', 'ecr:GetDownloadUrlForLayer', 'ecr:BatchGetImage'];
    return [
      { Effect: 'Allow', Action: pull, Resource: `arn:aws:ecr:${region}:${account}:repository/${repository}` },
      { Effect: 'Allow', Action: 'ecr:GetAuthorizationToken', Resource: '*' },
      {
        Effect: 'Allow',
        Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        Resource: pulumi.interpolate`${logs.arn}:*`,
      },
      // The source that CodePipeline hands over, and the engine's state.
      {
        Effect: 'Allow',
        Action: ['s3:GetObject', 's3:GetObjectVersion', 's3:PutObject'],
        Resource: `arn:aws:s3:::${state.bucket}/*`,
      },
      { Effect: 'Allow', Action: ['kms:Decrypt', 'kms:GenerateDataKey'], Resource: state.keyArn },
      // To clone with the history: a release records commit and branch.
      {
        Effect: 'Allow',
        Action: [
          'codeconnections:UseConnection',
          'codeconnections:GetConnection',
          'codeconnections:GetConnectionToken',
        ],
        Resource: connectionArn,
      },
    ];
  }

  /** "Allow CodeBuild access to AWS services required to create a VPC network interface" in the guide of CodeBuild. */
  #toJoinTheNetwork(): Statement[] {
    const { network, region, accountId } = this.place.settings;
    if (network === undefined) return [];
    const of = (kind: string, id: string) => `arn:aws:ec2:${region}:${accountId}:${kind}/${id}`;
    const groups = this.#securityGroupIds(network).map((id) =>
      pulumi.output(id).apply((known) => of('security-group', known)),
    );
    const subnets = network.privateSubnetIds.map((id) => of('subnet', id));
    const interfaces = of('network-interface', '*');
    const describe = ['DhcpOptions', 'NetworkInterfaces', 'SecurityGroups', 'Subnets', 'Vpcs'];
    return [
      { Effect: 'Allow', Action: describe.map((what) => `ec2:Describe${what}`), Resource: '*' },
      {
        Effect: 'Allow',
        Action: 'ec2:CreateNetworkInterface',
        Resource: [interfaces, ...subnets, ...groups],
      },
      { Effect: 'Allow', Action: 'ec2:DeleteNetworkInterface', Resource: interfaces },
      {
        Effect: 'Allow',
        Action: 'ec2:CreateNetworkInterfacePermission',
        Resource: interfaces,
        Condition: {
          StringEquals: { 'ec2:AuthorizedService': 'codebuild.amazonaws.com' },
          ArnEquals: { 'ec2:Subnet': subnets },
        },
      },
    ];
  }
}
