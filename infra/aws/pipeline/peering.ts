import type * as pulumi from '@pulumi/pulumi';
import { getRouteTableOutput } from '@pulumi/aws/ec2/getRouteTable.js';
import { Route } from '@pulumi/aws/ec2/route.js';
import { SecurityGroup } from '@pulumi/aws/ec2/securityGroup.js';
import { VpcPeeringConnection } from '@pulumi/aws/ec2/vpcPeeringConnection.js';
import { SecurityGroupEgressRule } from '@pulumi/aws/vpc/securityGroupEgressRule.js';
import { SecurityGroupIngressRule } from '@pulumi/aws/vpc/securityGroupIngressRule.js';
import { databasePort } from '../lib/names.ts';
import { PipelineComponent, type PipelinePlace } from './component.ts';
import type { PipelineNetwork } from './settings.ts';

/** The builds' network and that of the other environment. */
export type PeeredNetwork = PipelineNetwork & { peer: NonNullable<PipelineNetwork['peer']> };

/**
 * Peers the builds' network with the other environment's, so that builds reach its databases. Nothing else does: only
 * builds have the security group that those databases admit. Builds reach their own environment's databases, AWS's
 * services and both entry points with the security group of tasks.
 */
export class Peering extends PipelineComponent {
  /** Security group of builds, in addition to that of tasks. */
  readonly securityGroupId: pulumi.Output<string>;
  readonly #network: PeeredNetwork;

  constructor(network: PeeredNetwork, place: PipelinePlace, options: pulumi.ComponentResourceOptions) {
    super('Peering', 'peering', place, options);
    this.#network = network;
    this.securityGroupId = this.#group(this.#connect());
    this.registerOutputs({});
  }

  #connect(): VpcPeeringConnection {
    const { vpcId, cidrBlock, privateSubnetIds, peer } = this.#network;
    const connection = new VpcPeeringConnection(
      this.named('peering'),
      // `autoAccept` works because both networks are in this account and region.
      { vpcId, peerVpcId: peer.vpcId, autoAccept: true, tags: this.place.tags },
      this.child,
    );
    this.#route('to-peer', privateSubnetIds, peer.cidrBlock, connection.id);
    this.#route('from-peer', peer.isolatedSubnetIds, cidrBlock, connection.id);
    return connection;
  }

  /** awsx gives each subnet its own route table. */
  #route(
    name: string,
    subnetIds: string[],
    destinationCidrBlock: string,
    vpcPeeringConnectionId: pulumi.Input<string>,
  ) {
    subnetIds.forEach((subnetId, i) => {
      const { routeTableId } = getRouteTableOutput({ subnetId }, { parent: this });
      const args = { routeTableId, destinationCidrBlock, vpcPeeringConnectionId };
      new Route(this.named(`${name}-${i + 1}`), args, this.child);
    });
  }

  /** A rule can refer to a group of another network only while the two are peered. */
  #group(connection: VpcPeeringConnection): pulumi.Output<string> {
    const { place } = this;
    const { vpcId, peer } = this.#network;
    const description = "Builds, which reach the other environment's databases";
    const builds = new SecurityGroup(this.named('builds'), { vpcId, description, tags: place.tags }, this.child).id;
    const rule = { ipProtocol: 'tcp', fromPort: databasePort, toPort: databasePort, tags: place.tags };
    const peered = { ...this.child, dependsOn: connection };
    const [name, databases] = [this.named('builds-to-databases'), peer.databasesSecurityGroupId];
    new SecurityGroupEgressRule(
      name,
      { ...rule, securityGroupId: builds, referencedSecurityGroupId: databases },
      peered,
    );
    new SecurityGroupIngressRule(
      name,
      { ...rule, securityGroupId: databases, referencedSecurityGroupId: builds },
      peered,
    );
    return builds;
  }
}
