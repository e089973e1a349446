import * as pulumi from '@pulumi/pulumi';
import { DefaultSecurityGroup } from '@pulumi/aws/ec2/defaultSecurityGroup.js';
import { FlowLog } from '@pulumi/aws/ec2/flowLog.js';
import { VpcEndpoint } from '@pulumi/aws/ec2/vpcEndpoint.js';
import { Vpc } from '@pulumi/awsx/ec2/vpc.js';
import { serviceRole } from '../../rights/iam.ts';
import { logGroup } from '../storage/log-group.ts';
import { Component, type Place } from '../../lib/place.ts';
import type { NetworkOutputs } from '../../lib/foundation-reference.ts';

/** AWS services that tasks use, reached without the internet: images, logs, secrets. */
export const privateServices = ['ecr.api', 'ecr.dkr', 'logs', 'secretsmanager'];
/**
 * Three subnets in each zone: public (balancer), private (tasks) and isolated (databases; no route to the internet).
 */
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
        // Needed for the names of AWS's services to resolve to the endpoints in the network.
        enableDnsHostnames: true,
        enableDnsSupport: true,
        subnetStrategy: 'Auto',
        subnetSpecs: [
          { type: 'Public', cidrMask: 24 },
          { type: 'Private', cidrMask: 20 },
          { type: 'Isolated', cidrMask: 24 },
        ],
        // Tasks reach third parties through NAT gateways. Production has one per zone, so that a lost zone affects no
        // other.
        natGateways: { strategy: production ? 'OnePerAz' : 'Single' },
        tags,
      },
      this.child,
    );
    this.#closeDefaultGroup();
    this.#recordFlows(keyArn);
    this.registerOutputs({});
  }

  get outputs(): pulumi.Output<NetworkOutputs> {
    const { vpcId, publicSubnetIds, privateSubnetIds, isolatedSubnetIds } = this.vpc;
    return pulumi.output({ vpcId, publicSubnetIds, privateSubnetIds, isolatedSubnetIds });
  }

  /**
   * Adds VPC endpoints, so that traffic to AWS's services stays in the network. The one to S3 is a gateway endpoint,
   * and free.
   */
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

  /** The VPC's default security group lets its members reach each other. This removes its rules. */
  #closeDefaultGroup() {
    const args = { vpcId: this.vpc.vpcId, ingress: [], egress: [], tags: this.place.tags };
    new DefaultSecurityGroup(this.named('unused'), args, this.child);
  }

  #recordFlows(keyArn: pulumi.Input<string>) {
    const { place } = this;
    const { region, accountId } = place.settings;
    const name = `/greenlight/${place.environment}/flows`;
    const logs = logGroup(this.named('flows'), { name, place, keyArn }, this);
    // The minimum, from "IAM role for publishing flow logs to CloudWatch Logs" in the VPC guide.
    const write = ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents', 'logs:DescribeLogStreams'];
    const role = serviceRole(
      this.named('flows'),
      {
        place,
        service: 'vpc-flow-logs.amazonaws.com',
        statements: [
          { Effect: 'Allow', Action: write, Resource: [logs.arn, pulumi.interpolate`${logs.arn}:*`] },
          // DescribeLogGroups covers all groups; without this the error names the resource `log-group::log-stream:`.
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
