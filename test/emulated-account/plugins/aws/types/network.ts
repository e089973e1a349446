import {
  AllocateAddressCommand,
  AssociateRouteTableCommand,
  AttachInternetGatewayCommand,
  CreateInternetGatewayCommand,
  CreateNatGatewayCommand,
  CreateRouteCommand,
  CreateRouteTableCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DeleteInternetGatewayCommand,
  DeleteNatGatewayCommand,
  DeleteRouteCommand,
  DeleteRouteTableCommand,
  DeleteSubnetCommand,
  DeleteVpcCommand,
  DescribeNatGatewaysCommand,
  DescribeRouteTablesCommand,
  DescribeSubnetsCommand,
  DescribeVpcsCommand,
  DetachInternetGatewayCommand,
  DisassociateRouteTableCommand,
  ModifySubnetAttributeCommand,
  ModifyVpcAttributeCommand,
  ReleaseAddressCommand,
} from '@aws-sdk/client-ec2';
import type { EipArgs } from '@pulumi/aws/ec2/eip.js';
import type { InternetGatewayArgs } from '@pulumi/aws/ec2/internetGateway.js';
import type { NatGatewayArgs } from '@pulumi/aws/ec2/natGateway.js';
import type { RouteArgs } from '@pulumi/aws/ec2/route.js';
import type { RouteTableArgs } from '@pulumi/aws/ec2/routeTable.js';
import type { RouteTableAssociationArgs } from '@pulumi/aws/ec2/routeTableAssociation.js';
import type { SubnetArgs } from '@pulumi/aws/ec2/subnet.js';
import type { VpcArgs } from '@pulumi/aws/ec2/vpc.js';
import { resource, type Table } from '../../handler.ts';
import { until } from '../wait.ts';
import { retagEc2, tagSpecifications } from './ec2-tags.ts';

const vpc = resource<VpcArgs>({
  replaces: ['cidrBlock'],
  async create(inputs, { clients }) {
    const asked = { CidrBlock: inputs.cidrBlock, TagSpecifications: tagSpecifications('vpc', inputs.tags) };
    const { Vpc } = await clients.network.send(new CreateVpcCommand(asked));
    const VpcId = Vpc?.VpcId as string;
    for (const [attribute, value] of [
      ['EnableDnsSupport', inputs.enableDnsSupport],
      ['EnableDnsHostnames', inputs.enableDnsHostnames],
    ] as const)
      if (value !== undefined)
        await clients.network.send(new ModifyVpcAttributeCommand({ VpcId, [attribute]: { Value: value } }));
    return { id: VpcId };
  },
  async read(id, _state, { clients }) {
    const { Vpcs } = await clients.network.send(new DescribeVpcsCommand({ VpcIds: [id] }));
    return Vpcs?.[0] && { cidrBlock: Vpcs[0].CidrBlock };
  },
  update: retagEc2,
  async delete(id, _state, { clients }) {
    await clients.network.send(new DeleteVpcCommand({ VpcId: id }));
  },
});

const subnet = resource<SubnetArgs>({
  replaces: ['vpcId', 'cidrBlock', 'availabilityZone'],
  async create(inputs, { clients }) {
    const { Subnet } = await clients.network.send(
      new CreateSubnetCommand({
        VpcId: inputs.vpcId,
        CidrBlock: inputs.cidrBlock,
        AvailabilityZone: inputs.availabilityZone,
        TagSpecifications: tagSpecifications('subnet', inputs.tags),
      }),
    );
    const SubnetId = Subnet?.SubnetId as string;
    if (inputs.mapPublicIpOnLaunch === true)
      await clients.network.send(new ModifySubnetAttributeCommand({ SubnetId, MapPublicIpOnLaunch: { Value: true } }));
    return { id: SubnetId, outputs: { arn: Subnet?.SubnetArn } };
  },
  async read(id, _state, { clients }) {
    const { Subnets } = await clients.network.send(new DescribeSubnetsCommand({ SubnetIds: [id] }));
    return Subnets?.[0] && { cidrBlock: Subnets[0].CidrBlock };
  },
  update: retagEc2,
  async delete(id, _state, { clients }) {
    await clients.network.send(new DeleteSubnetCommand({ SubnetId: id }));
  },
});

const internetGateway = resource<InternetGatewayArgs>({
  replaces: ['vpcId'],
  async create({ vpcId, tags }, { clients }) {
    const { InternetGateway } = await clients.network.send(
      new CreateInternetGatewayCommand({ TagSpecifications: tagSpecifications('internet-gateway', tags) }),
    );
    const InternetGatewayId = InternetGateway?.InternetGatewayId as string;
    await clients.network.send(new AttachInternetGatewayCommand({ InternetGatewayId, VpcId: vpcId }));
    return { id: InternetGatewayId };
  },
  update: retagEc2,
  async delete(id, { vpcId }, { clients }) {
    await clients.network.send(new DetachInternetGatewayCommand({ InternetGatewayId: id, VpcId: vpcId }));
    await clients.network.send(new DeleteInternetGatewayCommand({ InternetGatewayId: id }));
  },
});

const address = resource<EipArgs>({
  replaces: [],
  async create({ tags }, { clients }) {
    const made = await clients.network.send(
      new AllocateAddressCommand({ Domain: 'vpc', TagSpecifications: tagSpecifications('elastic-ip', tags) }),
    );
    return { id: made.AllocationId as string, outputs: { allocationId: made.AllocationId, publicIp: made.PublicIp } };
  },
  update: retagEc2,
  async delete(id, _state, { clients }) {
    await clients.network.send(new ReleaseAddressCommand({ AllocationId: id }));
  },
});

const natGateway = resource<NatGatewayArgs>({
  replaces: ['subnetId', 'allocationId'],
  async create({ subnetId, allocationId, tags }, { clients }) {
    const { NatGateway } = await clients.network.send(
      new CreateNatGatewayCommand({
        SubnetId: subnetId,
        AllocationId: allocationId,
        TagSpecifications: tagSpecifications('natgateway', tags),
      }),
    );
    return { id: NatGateway?.NatGatewayId as string };
  },
  update: retagEc2,
  async delete(id, _state, { clients }) {
    await clients.network.send(new DeleteNatGatewayCommand({ NatGatewayId: id }));
    await until('the NAT gateway to be gone', async () => {
      const { NatGateways } = await clients.network.send(new DescribeNatGatewaysCommand({ NatGatewayIds: [id] }));
      return NatGateways?.some(({ State }) => State !== 'deleted') ? undefined : true;
    });
  },
});

const routeTable = resource<RouteTableArgs>({
  replaces: ['vpcId'],
  async create({ vpcId, tags }, { clients }) {
    const { RouteTable } = await clients.network.send(
      new CreateRouteTableCommand({ VpcId: vpcId, TagSpecifications: tagSpecifications('route-table', tags) }),
    );
    return { id: RouteTable?.RouteTableId as string };
  },
  async read(id, _state, { clients }) {
    const { RouteTables } = await clients.network.send(new DescribeRouteTablesCommand({ RouteTableIds: [id] }));
    return RouteTables?.[0] && {};
  },
  update: retagEc2,
  async delete(id, _state, { clients }) {
    await clients.network.send(new DeleteRouteTableCommand({ RouteTableId: id }));
  },
});

const route = resource<RouteArgs>({
  replaces: 'all',
  async create({ routeTableId, destinationCidrBlock, gatewayId, natGatewayId }, { clients }) {
    await clients.network.send(
      new CreateRouteCommand({
        RouteTableId: routeTableId,
        DestinationCidrBlock: destinationCidrBlock,
        GatewayId: gatewayId,
        NatGatewayId: natGatewayId,
      }),
    );
    return { id: `r-${routeTableId}-${destinationCidrBlock}` };
  },
  async delete(_id, { routeTableId, destinationCidrBlock }, { clients }) {
    const asked = { RouteTableId: routeTableId, DestinationCidrBlock: destinationCidrBlock };
    await clients.network.send(new DeleteRouteCommand(asked));
  },
});

const routeTableAssociation = resource<RouteTableAssociationArgs>({
  replaces: 'all',
  async create({ routeTableId, subnetId }, { clients }) {
    const asked = new AssociateRouteTableCommand({ RouteTableId: routeTableId, SubnetId: subnetId });
    return { id: (await clients.network.send(asked)).AssociationId as string };
  },
  async delete(id, _state, { clients }) {
    await clients.network.send(new DisassociateRouteTableCommand({ AssociationId: id }));
  },
});

export const network: Table = {
  'aws:ec2/vpc:Vpc': vpc,
  'aws:ec2/subnet:Subnet': subnet,
  'aws:ec2/internetGateway:InternetGateway': internetGateway,
  'aws:ec2/eip:Eip': address,
  'aws:ec2/natGateway:NatGateway': natGateway,
  'aws:ec2/routeTable:RouteTable': routeTable,
  'aws:ec2/route:Route': route,
  'aws:ec2/routeTableAssociation:RouteTableAssociation': routeTableAssociation,
};
