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

/** The network that builds run in, with the other environment's. */
export type PeeredNetwork = PipelineNetwork & { peer: NonNullable<PipelineNetwork['peer']> };

/**
 * A way from the builds to the other environment's databases, and from nothing else to anything: builds alone have the group
 * that those let in. Their own environment's databases, the services of AWS and both entry points they reach as tasks do.
 */
export class Peering extends PipelineComponent {
  /** Of builds, beside the one of tasks. */
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
      // Both networks are of this account and region, so nobody else has to accept.
      { vpcId, peerVpcId: peer.vpcId, autoAccept: true, tags: this.place.tags },
      this.child,
    );
    this.#route('to-peer', privateSubnetIds, peer.cidrBlock, connection.id);
    this.#route('from-peer', peer.isolatedSubnetIds, cidrBlock, connection.id);
    return connection;
  }

  /** Each subnet has a route table of its own: awsx makes them so. */
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

  /** Rules may name a group of another network only while the two are peered. */
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
