import { join } from 'node:path';
import * as pulumi from '@pulumi/pulumi';
import { Function as Lambda } from '@pulumi/aws/lambda/function.js';
import { Permission } from '@pulumi/aws/lambda/permission.js';
import { TargetGroup } from '@pulumi/aws/lb/targetGroup.js';
import { TargetGroupAttachment } from '@pulumi/aws/lb/targetGroupAttachment.js';
import { projectRoot } from '../paths.ts';
import { serviceRole } from './iam.ts';
import { logGroup } from './log-group.ts';
import { Component, type Place } from './place.ts';

/** Where writes go while they are held: 503 with Retry-After. See `fence/index.mjs` for why it is a function. */
export class Fence extends Component {
  readonly targetGroup: TargetGroup;

  constructor(keyArn: pulumi.Input<string>, place: Place, options: pulumi.ComponentResourceOptions) {
    super('Fence', `${place.environment}-fence`, place, options);
    const answer = this.#function(keyArn);
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

  #function(keyArn: pulumi.Input<string>) {
    const { place } = this;
    const logs = logGroup(this.named('fence'), { name: `/greenlight/${place.environment}/fence`, place, keyArn }, this);
    const write = ['logs:CreateLogStream', 'logs:PutLogEvents'];
    const role = serviceRole(
      this.named('fence'),
      {
        place,
        service: 'lambda.amazonaws.com',
        statements: [{ Effect: 'Allow', Action: write, Resource: pulumi.interpolate`${logs.arn}:*` }],
      },
      this,
    );
    const source = new pulumi.asset.FileAsset(join(projectRoot, 'infra', 'aws', 'fence', 'index.mjs'));
    return new Lambda(
      this.named('fence'),
      {
        role: role.arn,
        runtime: 'nodejs22.x',
        architectures: ['arm64'],
        handler: 'index.handler',
        code: new pulumi.asset.AssetArchive({ 'index.mjs': source }),
        // Its answer is a constant; what takes longer is broken.
        timeout: 3,
        memorySize: 128,
        loggingConfig: { logFormat: 'JSON', logGroup: logs.name },
        tags: place.tags,
      },
      this.child,
    );
  }
}
