import type { PolicyArgs } from '@pulumi/aws/appautoscaling/policy.js';
import type { ScheduledActionArgs } from '@pulumi/aws/appautoscaling/scheduledAction.js';
import type { TargetArgs } from '@pulumi/aws/appautoscaling/target.js';
import type { Unwrap } from '@pulumi/pulumi';
import { resource, type Context, type Table } from '../../handler.ts';

const call = ({ clients }: Context, action: string, input: Record<string, unknown>) =>
  clients.json('application-autoscaling', `AnyScaleFrontendService.${action}`, input);

interface Scalable {
  serviceNamespace: string;
  scalableDimension: string;
  resourceId: string;
}

const of = ({ serviceNamespace, scalableDimension, resourceId }: Scalable) => ({
  ServiceNamespace: serviceNamespace,
  ScalableDimension: scalableDimension,
  ResourceId: resourceId,
});

const register = (inputs: Unwrap<TargetArgs>, context: Context) =>
  call(context, 'RegisterScalableTarget', {
    ...of(inputs),
    MinCapacity: inputs.minCapacity,
    MaxCapacity: inputs.maxCapacity,
  });

const target = resource<TargetArgs>({
  replaces: ['serviceNamespace', 'scalableDimension', 'resourceId'],
  async create(inputs, context) {
    await register(inputs, context);
    return { id: inputs.resourceId };
  },
  async read(_id, state, context) {
    const { ServiceNamespace, ResourceId } = of(state);
    const { ScalableTargets } = await call(context, 'DescribeScalableTargets', {
      ServiceNamespace,
      ResourceIds: [ResourceId],
    });
    const [found] = ScalableTargets as { MinCapacity: number; MaxCapacity: number }[];
    return found && { minCapacity: found.MinCapacity, maxCapacity: found.MaxCapacity };
  },
  async update({ inputs }, context) {
    await register(inputs, context);
  },
  async delete(_id, state, context) {
    await call(context, 'DeregisterScalableTarget', of(state));
  },
});

const put = (inputs: Unwrap<PolicyArgs>, context: Context) => {
  const tracking = inputs.targetTrackingScalingPolicyConfiguration;
  return call(context, 'PutScalingPolicy', {
    ...of(inputs),
    PolicyName: inputs.name,
    PolicyType: inputs.policyType,
    TargetTrackingScalingPolicyConfiguration: tracking && {
      TargetValue: tracking.targetValue,
      PredefinedMetricSpecification: {
        PredefinedMetricType: tracking.predefinedMetricSpecification?.predefinedMetricType,
      },
      ScaleOutCooldown: tracking.scaleOutCooldown,
      ScaleInCooldown: tracking.scaleInCooldown,
    },
  });
};

const policy = resource<PolicyArgs>({
  autoName: { property: 'name' },
  replaces: ['name', 'serviceNamespace', 'scalableDimension', 'resourceId'],
  async create(inputs, context) {
    const { PolicyARN } = await put(inputs, context);
    return { id: inputs.name as string, outputs: { arn: PolicyARN } };
  },
  async update({ inputs }, context) {
    await put(inputs, context);
  },
  async delete(id, state, context) {
    await call(context, 'DeleteScalingPolicy', { ...of(state), PolicyName: id });
  },
});

const schedule = (inputs: Unwrap<ScheduledActionArgs>, context: Context) =>
  call(context, 'PutScheduledAction', {
    ...of(inputs),
    ScheduledActionName: inputs.name,
    Schedule: inputs.schedule,
    Timezone: inputs.timezone,
    ScalableTargetAction: {
      MinCapacity: inputs.scalableTargetAction.minCapacity,
      MaxCapacity: inputs.scalableTargetAction.maxCapacity,
    },
  });

const scheduledAction = resource<ScheduledActionArgs>({
  autoName: { property: 'name' },
  replaces: ['name', 'serviceNamespace', 'scalableDimension', 'resourceId'],
  async create(inputs, context) {
    await schedule(inputs, context);
    return { id: inputs.name as string };
  },
  async update({ inputs }, context) {
    await schedule(inputs, context);
  },
  async delete(id, state, context) {
    await call(context, 'DeleteScheduledAction', { ...of(state), ScheduledActionName: id });
  },
});

export const scaling: Table = {
  'aws:appautoscaling/target:Target': target,
  'aws:appautoscaling/policy:Policy': policy,
  'aws:appautoscaling/scheduledAction:ScheduledAction': scheduledAction,
};
