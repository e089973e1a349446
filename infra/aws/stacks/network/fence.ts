import { join } from 'node:path';
import * as pulumi from '@pulumi/pulumi';
import { Function as Lambda } from '@pulumi/aws/lambda/function.js';
import { Permission } from '@pulumi/aws/lambda/permission.js';
import { TargetGroup } from '@pulumi/aws/lb/targetGroup.js';
import { TargetGroupAttachment } from '@pulumi/aws/lb/targetGroupAttachment.js';
import { packageRoot } from '../../../lib/paths.ts';
import { serviceRole, type Statement } from '../../rights/iam.ts';
import { logGroup } from '../storage/log-group.ts';
import { Component, type Place } from '../../lib/place.ts';
import { fenceName, fenceVariables } from '../../lib/routing-plan.ts';

export interface FenceArgs {
  keyArn: pulumi.Input<string>;
  /** The listener whose hold rules the function switches off once the lease has expired. */
  listenerArn: pulumi.Output<string>;
}

/**
 * Target of writes during a write hold: answers 503 with Retry-After. `fence/index.mjs` says why this is a function.
 */
export class Fence extends Component {
  readonly targetGroup: TargetGroup;

  constructor(args: FenceArgs, place: Place, options: pulumi.ComponentResourceOptions) {
    super('Fence', `${place.environment}-fence`, place, options);
    const answer = this.#function(args);
    this.targetGroup = new TargetGroup(this.named('fence'), { targetType: 'lambda', tags: place.tags }, this.child);
    const permission = new Permission(
      this.named('fence'),
      {
        action: 'lambda:InvokeFunction',
        function: answer.name,
        principal: 'elasticloadbalancing.amazonaws.com',
        sourceArn: this.targetGroup.arn,
      },
      this.child,
    );
    const attachment = { targetGroupArn: this.targetGroup.arn, targetId: answer.arn };
    new TargetGroupAttachment(this.named('fence'), attachment, { parent: this, dependsOn: permission });
    this.registerOutputs({});
  }

  #function({ keyArn, listenerArn }: FenceArgs) {
    const { place } = this;
    const logs = logGroup(this.named('fence'), { name: `/greenlight/${place.environment}/fence`, place, keyArn }, this);
    const role = serviceRole(
      this.named('fence'),
      { place, service: 'lambda.amazonaws.com', statements: [toLog(logs.arn), ...toSwitchOff(listenerArn)] },
      this,
    );
    const source = new pulumi.asset.FileAsset(
      join(packageRoot, 'infra', 'aws', 'stacks', 'network', 'fence', 'index.mjs'),
    );
    return new Lambda(
      this.named('fence'),
      {
        role: role.arn,
        runtime: 'nodejs22.x',
        architectures: ['arm64'],
        handler: 'index.handler',
        code: new pulumi.asset.AssetArchive({ 'index.mjs': source }),
        environment: { variables: fenceVariables(listenerArn) },
        // Seconds. Most answers are constant; now and then the function reads the listener's rules.
        timeout: 10,
        // MiB. CPU grows with memory: with the minimum of 128, loading the SDK takes seconds.
        memorySize: 256,
        loggingConfig: { logFormat: 'JSON', logGroup: logs.name },
        tags: place.tags,
      },
      this.child,
    );
  }
}

const toLog = (logArn: pulumi.Output<string>): Statement => ({
  Effect: 'Allow',
  Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
  Resource: pulumi.interpolate`${logArn}:*`,
});

/**
 * The describe actions take no resource. SetRulePriorities is limited to this listener's hold rules, by their tag
 * `Name`.
 */
const toSwitchOff = (listenerArn: pulumi.Output<string>): Statement[] => [
  {
    Effect: 'Allow',
    Action: ['elasticloadbalancing:DescribeRules', 'elasticloadbalancing:DescribeTags'],
    Resource: '*',
  },
  {
    Effect: 'Allow',
    Action: 'elasticloadbalancing:SetRulePriorities',
    Resource: listenerArn.apply((arn) => `${arn.replace(':listener/', ':listener-rule/')}/*`),
    Condition: { StringLike: { 'aws:ResourceTag/Name': `${fenceName}-*` } },
  },
];
