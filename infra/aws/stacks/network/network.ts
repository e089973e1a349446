import * as pulumi from '@pulumi/pulumi';
import { DefaultSecurityGroup } from '@pulumi/aws/ec2/defaultSecurityGroup.js';
import { FlowLog } from '@pulumi/aws/ec2/flowLog.js';
import { VpcEndpoint } from '@pulumi/aws/ec2/vpcEndpoint.js';
import { Vpc } from '@pulumi/awsx/ec2/vpc.js';
import { serviceRole } from '../../rights/iam.ts';
import { logGroup } from '../storage/log-group.ts';
import { Component, type Place } from '../../lib/place.ts';
import type { NetworkOutputs } from '../../lib/foundation-reference.ts';

/** What tasks need of AWS, without a way through the internet: images, logs, secrets. */
export const privateServices = ['ecr.api', 'ecr.dkr', 'logs', 'secretsmanager'];
/** Three kinds of subnets in each zone: the balancer's (public), the tasks' (private), the databases' (no way out). */
export class Network extends Component {
  readonly vpc: Vpc;

  constructor(keyArn: pulumi.Input<string>, place: Place, options: pulumi.ComponentResourceOptions) {
    super('Network', `${place.environment}-network`, place, options);
    const { settings, production, tags } = place;
    this.vpc = new Vpc(
      this.named('vpc'),
      {
        cidrBlock: settings.cidrBlock,
        availabilityZoneNames: settings.availabilityZones,
        // Names of the endpoints resolve to addresses in the network.
        enableDnsHostnames: true,
        enableDnsSupport: true,
        subnetStrategy: 'Auto',
        subnetSpecs: [
          { type: 'Public', cidrMask: 24 },
          { type: 'Private', cidrMask: 20 },
          { type: 'Isolated', cidrMask: 24 },
        ],
        // Third parties are reached through them; one per zone in production, so that zones fail alone.
        natGateways: { strategy: production ? 'OnePerAz' : 'Single' },
        tags,
      },
      this.child,
    );
    this.#closesTheDefault();
    this.#recordsFlows(keyArn);
    this.registerOutputs({});
  }

  get outputs(): pulumi.Output<NetworkOutputs> {
    const { vpcId, publicSubnetIds, privateSubnetIds, isolatedSubnetIds } = this.vpc;
    return pulumi.output({ vpcId, publicSubnetIds, privateSubnetIds, isolatedSubnetIds });
  }

  /** Ways to AWS's services that stay in the network. The one to S3 is a route, and free. */
  connect(securityGroupId: pulumi.Input<string>): void {
    const { region } = this.place.settings;
    const { vpcId, privateSubnetIds, routeTables } = this.vpc;
    const endpoint = (service: string, args: object) =>
      new VpcEndpoint(
        this.named(`to-${service.replace('.', '-')}`),
        { vpcId, serviceName: `com.amazonaws.${region}.${service}`, tags: this.place.tags, ...args },
        this.child,
      );
    const routeTableIds = routeTables.apply((tables) => pulumi.all(tables.map(({ id }) => id)));
    endpoint('s3', { vpcEndpointType: 'Gateway', routeTableIds });
    const inSubnets = { subnetIds: privateSubnetIds, securityGroupIds: [securityGroupId], privateDnsEnabled: true };
    for (const service of privateServices) endpoint(service, { vpcEndpointType: 'Interface', ...inSubnets });
  }

  /** AWS's default group lets its members talk to each other: without rules, it is of no use to anyone. */
  #closesTheDefault() {
    const args = { vpcId: this.vpc.vpcId, ingress: [], egress: [], tags: this.place.tags };
    new DefaultSecurityGroup(this.named('unused'), args, this.child);
  }

  #recordsFlows(keyArn: pulumi.Input<string>) {
    const { place } = this;
    const { region, accountId } = place.settings;
    const name = `/greenlight/${place.environment}/flows`;
    const logs = logGroup(this.named('flows'), { name, place, keyArn }, this);
    // "IAM role for publishing flow logs to CloudWatch Logs" in the guide of VPC: the least that it takes.
    const write = ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents', 'logs:DescribeLogStreams'];
    const role = serviceRole(
      this.named('flows'),
      {
        place,
        service: 'vpc-flow-logs.amazonaws.com',
        statements: [
          { Effect: 'Allow', Action: write, Resource: [logs.arn, pulumi.interpolate`${logs.arn}:*`] },
          // A list is of all groups; the error without it names `log-group::log-stream:`.
          {
            Effect: 'Allow',
            Action: 'logs:DescribeLogGroups',
            Resource: `arn:aws:logs:${region}:${accountId}:log-group:*`,
          },
        ],
      },
      this,
    );
    new FlowLog(
      this.named('flows'),
      { vpcId: this.vpc.vpcId, trafficType: 'ALL', logDestination: logs.arn, iamRoleArn: role.arn, tags: place.tags },
      this.child,
    );
  }
}
