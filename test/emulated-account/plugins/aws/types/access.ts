import {
  AuthorizeSecurityGroupEgressCommand,
  AuthorizeSecurityGroupIngressCommand,
  CreateFlowLogsCommand,
  CreateSecurityGroupCommand,
  CreateVpcEndpointCommand,
  DeleteFlowLogsCommand,
  DeleteSecurityGroupCommand,
  DeleteVpcEndpointsCommand,
  DescribeSecurityGroupsCommand,
  DescribeVpcEndpointsCommand,
  RevokeSecurityGroupEgressCommand,
  RevokeSecurityGroupIngressCommand,
  type TrafficType,
  type VpcEndpointType,
} from '@aws-sdk/client-ec2';
import type { Unwrap } from '@pulumi/pulumi';
import type { FlowLogArgs } from '@pulumi/aws/ec2/flowLog.js';
import type { SecurityGroupArgs } from '@pulumi/aws/ec2/securityGroup.js';
import type { VpcEndpointArgs } from '@pulumi/aws/ec2/vpcEndpoint.js';
import type { SecurityGroupEgressRuleArgs } from '@pulumi/aws/vpc/securityGroupEgressRule.js';
import type { SecurityGroupIngressRuleArgs } from '@pulumi/aws/vpc/securityGroupIngressRule.js';
import { codeOf } from '../../../../../infra/aws/runtime/client/errors.ts';
import { record, resource, type Table } from '../../handler.ts';
import { until } from '../wait.ts';
import { retagEc2, tagSpecifications } from './ec2-tags.ts';

const securityGroup = resource<SecurityGroupArgs>({
  autoName: { property: 'name' },
  replaces: ['name', 'vpcId', 'description'],
  async create({ name, description, vpcId, tags }, { clients, region, accountId }) {
    const { GroupId } = await clients.network.send(
      new CreateSecurityGroupCommand({
        GroupName: name,
        Description: description ?? 'Managed by Pulumi',
        VpcId: vpcId,
        TagSpecifications: tagSpecifications('security-group', tags),
      }),
    );
    // The real plug-in revokes AWS's default rule, which allows all outgoing traffic.
    const IpPermissions = [{ IpProtocol: '-1', IpRanges: [{ CidrIp: '0.0.0.0/0' }] }];
    await clients.network.send(new RevokeSecurityGroupEgressCommand({ GroupId, IpPermissions }));
    return { id: GroupId as string, outputs: { arn: `arn:aws:ec2:${region}:${accountId}:security-group/${GroupId}` } };
  },
  async read(id, _state, { clients }) {
    const { SecurityGroups } = await clients.network.send(new DescribeSecurityGroupsCommand({ GroupIds: [id] }));
    return SecurityGroups?.[0] && {};
  },
  update: retagEc2,
  async delete(id, _state, { clients }) {
    // A resource that was just deleted still uses it for a moment.
    await until(
      'the security group to be out of use',
      async () => {
        try {
          await clients.network.send(new DeleteSecurityGroupCommand({ GroupId: id }));
          return true;
        } catch (error) {
          if (/DependencyViolation|InUse/.test(codeOf(error))) return undefined;
          throw error;
        }
      },
      30_000,
    );
  },
});

type Rule = Unwrap<SecurityGroupIngressRuleArgs>;

const permission = (rule: Rule) => ({
  IpProtocol: rule.ipProtocol,
  FromPort: rule.fromPort,
  ToPort: rule.toPort,
  ...(rule.cidrIpv4 === undefined ? {} : { IpRanges: [{ CidrIp: rule.cidrIpv4 }] }),
  ...(rule.referencedSecurityGroupId === undefined
    ? {}
    : { UserIdGroupPairs: [{ GroupId: rule.referencedSecurityGroupId }] }),
});

const asked = (rule: Rule) => ({ GroupId: rule.securityGroupId, IpPermissions: [permission(rule)] });

const ingress = resource<SecurityGroupIngressRuleArgs>({
  replaces: ['securityGroupId', 'ipProtocol', 'fromPort', 'toPort', 'cidrIpv4', 'referencedSecurityGroupId'],
  async create(inputs, { clients }) {
    const made = await clients.network.send(new AuthorizeSecurityGroupIngressCommand(asked(inputs)));
    return { id: made.SecurityGroupRules?.[0]?.SecurityGroupRuleId ?? `${inputs.securityGroupId}-in` };
  },
  update: () => Promise.resolve(),
  async delete(_id, state, { clients }) {
    await clients.network.send(new RevokeSecurityGroupIngressCommand(asked(state)));
  },
});

const egress = resource<SecurityGroupEgressRuleArgs>({
  replaces: ['securityGroupId', 'ipProtocol', 'fromPort', 'toPort', 'cidrIpv4', 'referencedSecurityGroupId'],
  async create(inputs, { clients }) {
    const made = await clients.network.send(new AuthorizeSecurityGroupEgressCommand(asked(inputs)));
    return { id: made.SecurityGroupRules?.[0]?.SecurityGroupRuleId ?? `${inputs.securityGroupId}-out` };
  },
  update: () => Promise.resolve(),
  async delete(_id, state, { clients }) {
    await clients.network.send(new RevokeSecurityGroupEgressCommand(asked(state)));
  },
});

const endpoint = resource<VpcEndpointArgs>({
  replaces: 'all',
  async create(inputs, { clients }) {
    const { VpcEndpoint } = await clients.network.send(
      new CreateVpcEndpointCommand({
        VpcId: inputs.vpcId,
        ServiceName: inputs.serviceName,
        VpcEndpointType: inputs.vpcEndpointType as VpcEndpointType | undefined,
        RouteTableIds: inputs.routeTableIds,
        SubnetIds: inputs.subnetIds,
        SecurityGroupIds: inputs.securityGroupIds,
        PrivateDnsEnabled: inputs.privateDnsEnabled,
        TagSpecifications: tagSpecifications('vpc-endpoint', inputs.tags),
      }),
    );
    return { id: VpcEndpoint?.VpcEndpointId as string };
  },
  async read(id, _state, { clients }) {
    const { VpcEndpoints } = await clients.network.send(new DescribeVpcEndpointsCommand({ VpcEndpointIds: [id] }));
    return VpcEndpoints?.[0]?.State?.toLowerCase() === 'deleted' ? undefined : {};
  },
  async delete(id, _state, { clients }) {
    await clients.network.send(new DeleteVpcEndpointsCommand({ VpcEndpointIds: [id] }));
  },
});

const flowLog = resource<FlowLogArgs>({
  replaces: 'all',
  async create(inputs, { clients }) {
    const { FlowLogIds, Unsuccessful } = await clients.network.send(
      new CreateFlowLogsCommand({
        ResourceIds: [inputs.vpcId as string],
        ResourceType: 'VPC',
        TrafficType: inputs.trafficType as TrafficType,
        LogDestination: inputs.logDestination,
        DeliverLogsPermissionArn: inputs.iamRoleArn,
        TagSpecifications: tagSpecifications('vpc-flow-log', inputs.tags),
      }),
    );
    const [refused] = Unsuccessful ?? [];
    if (refused !== undefined) throw new Error(`${refused.Error?.Code}: ${refused.Error?.Message}`);
    return { id: FlowLogIds?.[0] as string };
  },
  async delete(id, _state, { clients }) {
    await clients.network.send(new DeleteFlowLogsCommand({ FlowLogIds: [id] }));
  },
});

export const access: Table = {
  'aws:ec2/securityGroup:SecurityGroup': securityGroup,
  'aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule': ingress,
  'aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule': egress,
  'aws:ec2/vpcEndpoint:VpcEndpoint': endpoint,
  'aws:ec2/flowLog:FlowLog': flowLog,
  // The real plug-in adopts this group and never creates one.
  'aws:ec2/defaultSecurityGroup:DefaultSecurityGroup': record(),
};
