import * as pulumi from '@pulumi/pulumi';
import { Policy } from '@pulumi/aws/appautoscaling/policy.js';
import { ScheduledAction } from '@pulumi/aws/appautoscaling/scheduledAction.js';
import { Target } from '@pulumi/aws/appautoscaling/target.js';
import { Component, type Place } from '../../lib/place.ts';

/** Target CPU use in percent: leaves room for the load of a lost zone. */
export const wantedCpu = 50;

export interface ScalingArgs {
  cluster: string;
  service: pulumi.Input<string>;
  least: number;
}

/** Scales tasks by CPU use, and by schedule ahead of load that is known to come. */
export class Scaling extends Component {
  readonly #args: ScalingArgs;

  constructor(name: string, args: ScalingArgs, place: Place, options: pulumi.ComponentResourceOptions) {
    super('Scaling', `${place.environment}-${name}-scaling`, place, options);
    this.#args = args;
    const { max, schedules } = place.settings.tasks;
    const { resourceId, scalableDimension, serviceNamespace } = this.#target(name, max, schedules.length > 0);
    const target = { resourceId, scalableDimension, serviceNamespace };
    new Policy(
      this.named(name),
      {
        ...target,
        policyType: 'TargetTrackingScaling',
        targetTrackingScalingPolicyConfiguration: {
          targetValue: wantedCpu,
          predefinedMetricSpecification: { predefinedMetricType: 'ECSServiceAverageCPUUtilization' },
          // Seconds. Scale out quickly and in slowly: load often comes back.
          scaleOutCooldown: 30,
          scaleInCooldown: 300,
        },
      },
      this.child,
    );
    for (const { name: at, cron, timeZone, minTasks } of schedules) {
      const scalableTargetAction = { minCapacity: Math.max(minTasks, args.least), maxCapacity: this.#most(max) };
      const action = { ...target, schedule: cron, timezone: timeZone, scalableTargetAction };
      new ScheduledAction(this.named(`${name}-${at}`), action, this.child);
    }
    this.registerOutputs({});
  }

  #most = (max: number) => Math.max(max, this.#args.least);

  #target(name: string, max: number, scheduled: boolean) {
    return new Target(
      this.named(name),
      {
        serviceNamespace: 'ecs',
        scalableDimension: 'ecs:service:DesiredCount',
        resourceId: pulumi.interpolate`service/${this.#args.cluster}/${this.#args.service}`,
        minCapacity: this.#args.least,
        maxCapacity: this.#most(max),
        tags: this.place.tags,
      },
      // A schedule that fires changes both bounds of the target. That is no drift and must stay (terraform-aws-ecs
      // #422).
      { parent: this, ignoreChanges: scheduled ? ['minCapacity', 'maxCapacity'] : [] },
    );
  }
}
