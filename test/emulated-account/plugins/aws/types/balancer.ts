import { randomBytes } from 'node:crypto';
import {
  AddTagsCommand,
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  DeleteLoadBalancerCommand,
  DeleteTargetGroupCommand,
  DeregisterTargetsCommand,
  DescribeLoadBalancersCommand,
  DescribeTagsCommand,
  DescribeTargetGroupAttributesCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  type IpAddressType,
  ModifyLoadBalancerAttributesCommand,
  ModifyTargetGroupAttributesCommand,
  ModifyTargetGroupCommand,
  type ProtocolEnum,
  RegisterTargetsCommand,
  RemoveTagsCommand,
  SetSecurityGroupsCommand,
  SetSubnetsCommand,
  type TargetTypeEnum,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { Unwrap } from '@pulumi/pulumi';
import type { LoadBalancerArgs } from '@pulumi/aws/lb/loadBalancer.js';
import type { TargetGroupArgs } from '@pulumi/aws/lb/targetGroup.js';
import type { TargetGroupAttachmentArgs } from '@pulumi/aws/lb/targetGroupAttachment.js';
import { codeOf } from '../../../../../infra/aws/runtime/client/errors.ts';
import { resource, type Context, type Table } from '../../handler.ts';
import { until } from '../wait.ts';
import { tagChange, tagList, tagMap } from './tags.ts';

/** Longest name of a load balancer or target group. */
const longestName = 32;

/** `app/<name>/<id>` and `targetgroup/<name>/<id>`: their values in CloudWatch's dimensions. */
const suffixOf = (arn: string, from: string): string => arn.slice(arn.indexOf(from)).replace(/^loadbalancer\//, '');

export async function tagsOf(arn: string, { clients }: Context): Promise<Record<string, string>> {
  const { TagDescriptions } = await clients.balancer.send(new DescribeTagsCommand({ ResourceArns: [arn] }));
  return tagMap(TagDescriptions?.[0]?.Tags);
}

export async function retag(
  arn: string,
  old: unknown,
  wanted: Record<string, string> | undefined,
  { clients }: Context,
) {
  const { added, removed } = tagChange(old, wanted);
  const ResourceArns = [arn];
  if (removed.length > 0) await clients.balancer.send(new RemoveTagsCommand({ ResourceArns, TagKeys: removed }));
  if (Object.keys(added).length > 0)
    await clients.balancer.send(new AddTagsCommand({ ResourceArns, Tags: tagList(added) }));
}

const attributes = (pairs: Record<string, string | number | boolean | undefined>) =>
  Object.entries(pairs)
    .filter(([, value]) => value !== undefined)
    .map(([Key, value]) => ({ Key, Value: String(value) }));

const balancer = resource<LoadBalancerArgs>({
  autoName: { property: 'name', maxLength: longestName },
  replaces: ['name', 'internal', 'loadBalancerType'],
  async create(inputs, context) {
    const { LoadBalancers } = await context.clients.balancer.send(
      new CreateLoadBalancerCommand({
        Name: inputs.name,
        Type: 'application',
        Scheme: inputs.internal === true ? 'internal' : 'internet-facing',
        Subnets: inputs.subnets,
        SecurityGroups: inputs.securityGroups,
        IpAddressType: inputs.ipAddressType as IpAddressType | undefined,
        Tags: tagList(inputs.tags),
      }),
    );
    const made = LoadBalancers?.[0];
    const arn = made?.LoadBalancerArn as string;
    await setBalancerAttributes(arn, inputs, context);
    return {
      id: arn,
      outputs: {
        arn,
        arnSuffix: suffixOf(arn, 'loadbalancer/'),
        dnsName: made?.DNSName,
        zoneId: made?.CanonicalHostedZoneId,
        vpcId: made?.VpcId,
      },
    };
  },
  async read(id, _state, context) {
    const { LoadBalancers } = await context.clients.balancer.send(
      new DescribeLoadBalancersCommand({ LoadBalancerArns: [id] }),
    );
    const found = LoadBalancers?.[0];
    if (found === undefined) return undefined;
    return {
      dnsName: found.DNSName,
      securityGroups: found.SecurityGroups,
      subnets: found.AvailabilityZones?.map(({ SubnetId }) => SubnetId),
      tags: await tagsOf(id, context),
    };
  },
  async update({ id, inputs, state, changed }, context) {
    const { balancer: client } = context.clients;
    if (changed('tags')) await retag(id, state.tags, inputs.tags, context);
    if (changed('securityGroups'))
      await client.send(new SetSecurityGroupsCommand({ LoadBalancerArn: id, SecurityGroups: inputs.securityGroups }));
    if (changed('subnets')) await client.send(new SetSubnetsCommand({ LoadBalancerArn: id, Subnets: inputs.subnets }));
    await setBalancerAttributes(id, inputs, context);
  },
  async delete(id, _state, { clients }) {
    await clients.balancer.send(new DeleteLoadBalancerCommand({ LoadBalancerArn: id }));
    await until('the load balancer to be gone', async () => {
      const { LoadBalancers } = await clients.balancer.send(new DescribeLoadBalancersCommand({}));
      return LoadBalancers?.some(({ LoadBalancerArn }) => LoadBalancerArn === id) ? undefined : true;
    });
  },
});

async function setBalancerAttributes(
  arn: string,
  inputs: Unwrap<LoadBalancerArgs>,
  { clients }: Context,
): Promise<void> {
  const { accessLogs } = inputs;
  const Attributes = attributes({
    'deletion_protection.enabled': inputs.enableDeletionProtection,
    'routing.http.drop_invalid_header_fields.enabled': inputs.dropInvalidHeaderFields,
    'routing.http.preserve_host_header.enabled': inputs.preserveHostHeader,
    'idle_timeout.timeout_seconds': inputs.idleTimeout,
    'access_logs.s3.enabled': accessLogs?.enabled,
    'access_logs.s3.bucket': accessLogs?.bucket,
    'access_logs.s3.prefix': accessLogs?.prefix,
  });
  if (Attributes.length > 0)
    await clients.balancer.send(new ModifyLoadBalancerAttributesCommand({ LoadBalancerArn: arn, Attributes }));
}

type TargetGroupInputs = Unwrap<TargetGroupArgs>;

const healthCheckOf = ({ healthCheck }: TargetGroupInputs) =>
  healthCheck === undefined
    ? {}
    : {
        HealthCheckEnabled: healthCheck.enabled,
        HealthCheckPath: healthCheck.path,
        HealthCheckPort: healthCheck.port,
        HealthCheckProtocol: healthCheck.protocol as ProtocolEnum | undefined,
        HealthCheckIntervalSeconds: healthCheck.interval,
        HealthCheckTimeoutSeconds: healthCheck.timeout,
        HealthyThresholdCount: healthCheck.healthyThreshold,
        UnhealthyThresholdCount: healthCheck.unhealthyThreshold,
        ...(healthCheck.matcher === undefined ? {} : { Matcher: { HttpCode: healthCheck.matcher } }),
      };

const targetGroup = resource<TargetGroupArgs>({
  autoName: { property: 'name', maxLength: longestName },
  replaces: ['name', 'namePrefix', 'port', 'protocol', 'targetType', 'vpcId'],
  async create(inputs, context) {
    const { TargetGroups } = await context.clients.balancer.send(
      new CreateTargetGroupCommand({
        Name: inputs.name ?? `${inputs.namePrefix ?? ''}${randomBytes(13).toString('hex')}`,
        Port: inputs.port,
        Protocol: inputs.protocol as ProtocolEnum | undefined,
        VpcId: inputs.vpcId,
        TargetType: inputs.targetType as TargetTypeEnum | undefined,
        ...healthCheckOf(inputs),
        Tags: tagList(inputs.tags),
      }),
    );
    const arn = TargetGroups?.[0]?.TargetGroupArn as string;
    await setTargetGroupAttributes(arn, inputs, context);
    return { id: arn, outputs: { arn, arnSuffix: suffixOf(arn, 'targetgroup/') } };
  },
  async read(id, _state, context) {
    const { balancer: client } = context.clients;
    const { TargetGroups } = await client.send(new DescribeTargetGroupsCommand({ TargetGroupArns: [id] }));
    const found = TargetGroups?.[0];
    if (found === undefined) return undefined;
    const { Attributes } = await client.send(new DescribeTargetGroupAttributesCommand({ TargetGroupArn: id }));
    const attribute = (name: string) => Attributes?.find(({ Key }) => Key === name)?.Value;
    return {
      port: found.Port,
      healthCheck: {
        enabled: found.HealthCheckEnabled,
        path: found.HealthCheckPath,
        port: found.HealthCheckPort,
        protocol: found.HealthCheckProtocol,
        interval: found.HealthCheckIntervalSeconds,
        timeout: found.HealthCheckTimeoutSeconds,
        healthyThreshold: found.HealthyThresholdCount,
        unhealthyThreshold: found.UnhealthyThresholdCount,
        matcher: found.Matcher?.HttpCode,
      },
      deregistrationDelay: attribute('deregistration_delay.timeout_seconds'),
      tags: await tagsOf(id, context),
    };
  },
  async update({ id, inputs, state, changed }, context) {
    if (changed('tags')) await retag(id, state.tags, inputs.tags, context);
    if (changed('healthCheck'))
      await context.clients.balancer.send(
        new ModifyTargetGroupCommand({ TargetGroupArn: id, ...healthCheckOf(inputs) }),
      );
    await setTargetGroupAttributes(id, inputs, context);
  },
  async delete(id, _state, { clients }) {
    // A rule or listener that was just deleted still uses it for a moment.
    await until(
      'the target group to be out of use',
      async () => {
        try {
          await clients.balancer.send(new DeleteTargetGroupCommand({ TargetGroupArn: id }));
          return true;
        } catch (error) {
          if (codeOf(error).startsWith('ResourceInUse')) return undefined;
          throw error;
        }
      },
      60_000,
    );
  },
});

async function setTargetGroupAttributes(arn: string, inputs: TargetGroupInputs, { clients }: Context): Promise<void> {
  const Attributes = attributes({
    'deregistration_delay.timeout_seconds': inputs.deregistrationDelay,
    'slow_start.duration_seconds': inputs.slowStart,
    'lambda.multi_value_headers.enabled': inputs.lambdaMultiValueHeadersEnabled,
    'load_balancing.algorithm.type': inputs.loadBalancingAlgorithmType,
    'stickiness.enabled': inputs.stickiness?.enabled,
    'stickiness.type': inputs.stickiness?.type,
    'stickiness.lb_cookie.duration_seconds': inputs.stickiness?.cookieDuration,
  });
  if (Attributes.length > 0)
    await clients.balancer.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn: arn, Attributes }));
}

const attachment = resource<TargetGroupAttachmentArgs>({
  replaces: 'all',
  async create({ targetGroupArn, targetId, port, availabilityZone }, { clients, logicalName }) {
    const target = { Id: targetId, Port: port, AvailabilityZone: availabilityZone };
    await clients.balancer.send(new RegisterTargetsCommand({ TargetGroupArn: targetGroupArn, Targets: [target] }));
    return { id: `${targetGroupArn}-${logicalName}` };
  },
  async read(_id, { targetGroupArn, targetId }, { clients }) {
    const { TargetHealthDescriptions } = await clients.balancer.send(
      new DescribeTargetHealthCommand({ TargetGroupArn: targetGroupArn }),
    );
    return TargetHealthDescriptions?.some(({ Target }) => Target?.Id === targetId) ? {} : undefined;
  },
  async delete(_id, { targetGroupArn, targetId, port }, { clients }) {
    const Targets = [{ Id: targetId, Port: port }];
    await clients.balancer.send(new DeregisterTargetsCommand({ TargetGroupArn: targetGroupArn, Targets }));
  },
});

export const balancers: Table = {
  'aws:lb/loadBalancer:LoadBalancer': balancer,
  'aws:lb/targetGroup:TargetGroup': targetGroup,
  'aws:lb/targetGroupAttachment:TargetGroupAttachment': attachment,
};
