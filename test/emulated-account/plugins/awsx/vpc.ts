import * as pulumi from '@pulumi/pulumi';
import { Eip } from '@pulumi/aws/ec2/eip.js';
import { InternetGateway } from '@pulumi/aws/ec2/internetGateway.js';
import { NatGateway } from '@pulumi/aws/ec2/natGateway.js';
import { Route } from '@pulumi/aws/ec2/route.js';
import { RouteTable } from '@pulumi/aws/ec2/routeTable.js';
import { RouteTableAssociation } from '@pulumi/aws/ec2/routeTableAssociation.js';
import { Subnet } from '@pulumi/aws/ec2/subnet.js';
import { Vpc as AwsVpc } from '@pulumi/aws/ec2/vpc.js';
import { planSubnets, type PlannedSubnet, type SubnetSpec } from './subnets.ts';

export interface VpcInputs {
  cidrBlock?: string;
  availabilityZoneNames?: string[];
  subnetSpecs?: SubnetSpec[];
  natGateways?: { strategy?: 'None' | 'Single' | 'OnePerAz' };
  enableDnsHostnames?: boolean;
  enableDnsSupport?: boolean;
  tags?: Record<string, string>;
}

const everywhere = '0.0.0.0/0';

interface Made {
  planned: PlannedSubnet;
  subnet: Subnet;
  table: RouteTable;
}

/**
 * The part of awsx's component that the programs use. Like the real one, it consists of resources of the plug-in `aws`.
 */
export class Vpc extends pulumi.ComponentResource {
  readonly outputs: Record<string, pulumi.Input<unknown>>;
  readonly #name: string;
  readonly #inputs: VpcInputs;
  readonly #vpc: AwsVpc;
  readonly #gateway: InternetGateway;

  constructor(name: string, inputs: VpcInputs, options: pulumi.ComponentResourceOptions) {
    super('awsx:ec2:Vpc', name, {}, options);
    this.#name = name;
    this.#inputs = inputs;
    const { cidrBlock = '10.0.0.0/16', enableDnsHostnames, enableDnsSupport } = inputs;
    this.#vpc = new AwsVpc(
      name,
      { cidrBlock, enableDnsHostnames, enableDnsSupport, tags: this.#tags(name) },
      this.#child,
    );
    this.#gateway = new InternetGateway(name, { vpcId: this.#vpc.id, tags: this.#tags(name) }, { parent: this.#vpc });
    const made = planSubnets(cidrBlock, inputs.availabilityZoneNames ?? [], inputs.subnetSpecs ?? []).map((planned) =>
      this.#subnet(planned),
    );
    this.#routes(made);
    const ids = (type: SubnetSpec['type']) =>
      made.filter(({ planned }) => planned.type === type).map(({ subnet }) => subnet.id);
    this.outputs = {
      vpc: this.#vpc,
      vpcId: this.#vpc.id,
      internetGateway: this.#gateway,
      subnets: made.map(({ subnet }) => subnet),
      routeTables: made.map(({ table }) => table),
      publicSubnetIds: ids('Public'),
      privateSubnetIds: ids('Private'),
      isolatedSubnetIds: ids('Isolated'),
    };
    this.registerOutputs(this.outputs);
  }

  get #child(): pulumi.CustomResourceOptions {
    return { parent: this };
  }

  #tags = (name: string) => ({ ...this.#inputs.tags, Name: name });

  #subnet(planned: PlannedSubnet): Made {
    const name = `${this.#name}-${planned.type.toLowerCase()}-${planned.zoneIndex + 1}`;
    const tags = { ...this.#tags(name), SubnetType: planned.type };
    const vpcId = this.#vpc.id;
    const { cidrBlock, zone: availabilityZone } = planned;
    const mapPublicIpOnLaunch = planned.type === 'Public';
    const of = { parent: this.#vpc };
    const subnet = new Subnet(name, { vpcId, cidrBlock, availabilityZone, mapPublicIpOnLaunch, tags }, of);
    const table = new RouteTable(name, { vpcId, tags }, { parent: subnet });
    new RouteTableAssociation(name, { routeTableId: table.id, subnetId: subnet.id }, { parent: table });
    return { planned, subnet, table };
  }

  /** Public subnets reach the internet, private ones through a NAT gateway, isolated ones not at all. */
  #routes(made: Made[]) {
    const publicOnes = made.filter(({ planned }) => planned.type === 'Public');
    const route = (table: RouteTable, index: number, to: object) => {
      const args = { routeTableId: table.id, destinationCidrBlock: everywhere, ...to };
      new Route(`${this.#name}-${index}`, args, { parent: table });
    };
    for (const [index, { table }] of publicOnes.entries()) route(table, index + 1, { gatewayId: this.#gateway.id });
    const strategy = this.#inputs.natGateways?.strategy ?? 'OnePerAz';
    if (strategy === 'None') return;
    const through = (strategy === 'Single' ? publicOnes.slice(0, 1) : publicOnes).map((made) => this.#nat(made));
    for (const { planned, table } of made.filter(({ planned }) => planned.type === 'Private')) {
      const nat = through[planned.zoneIndex] ?? through[0];
      if (nat !== undefined) route(table, publicOnes.length + planned.zoneIndex + 1, { natGatewayId: nat.id });
    }
  }

  #nat({ planned, subnet }: Made): NatGateway {
    const name = `${this.#name}-${planned.zoneIndex + 1}`;
    const address = new Eip(name, { tags: this.#tags(name) }, { parent: subnet });
    const args = { subnetId: subnet.id, allocationId: address.allocationId, tags: this.#tags(name) };
    return new NatGateway(name, args, { parent: subnet, dependsOn: this.#gateway });
  }
}
