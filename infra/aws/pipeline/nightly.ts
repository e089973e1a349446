import type * as pulumi from '@pulumi/pulumi';
import type { Project } from '@pulumi/aws/codebuild/project.js';
import { Schedule } from '@pulumi/aws/scheduler/schedule.js';
import { serviceRole } from '../rights/iam.ts';
import { PipelineComponent, type PipelinePlace } from './component.ts';

/** Rehearses a release on staging every night, so that problems show there before they reach production. */
export class NightlyRehearsal extends PipelineComponent {
  constructor(rehearse: Project, place: PipelinePlace, options: pulumi.ComponentResourceOptions) {
    super('NightlyRehearsal', 'nightly', place, options);
    const { cron, timeZone } = place.settings.nightly;
    const statements = [{ Effect: 'Allow' as const, Action: 'codebuild:StartBuild', Resource: rehearse.arn }];
    const role = serviceRole(this.named('nightly'), { place, service: 'scheduler.amazonaws.com', statements }, this);
    new Schedule(
      this.named('nightly'),
      {
        scheduleExpression: cron,
        // Default: UTC.
        scheduleExpressionTimezone: timeZone,
        flexibleTimeWindow: { mode: 'OFF' },
        // By default 185 attempts within 24 hours. A rehearsal must not start in the morning.
        target: {
          arn: rehearse.arn,
          roleArn: role.arn,
          retryPolicy: { maximumRetryAttempts: 3, maximumEventAgeInSeconds: 3600 },
        },
      },
      this.child,
    );
    this.registerOutputs({});
  }
}
