import type * as pulumi from '@pulumi/pulumi';
import { Alias } from '@pulumi/aws/kms/alias.js';
import { Key } from '@pulumi/aws/kms/key.js';
import { policyDocument } from '../rights/iam.ts';
import { PipelineComponent, type PipelinePlace } from './component.ts';

/** Encrypts the pipeline's logs and notifications. The state has its own key, made before any stack. */
export class PipelineKey extends PipelineComponent {
  readonly key: Key;

  constructor(place: PipelinePlace, options: pulumi.ComponentResourceOptions) {
    super('PipelineKey', 'pipeline-key', place, options);
    this.key = new Key(
      this.named('pipeline'),
      {
        description: `${place.settings.application}: logs and notifications of the pipeline`,
        enableKeyRotation: true,
        deletionWindowInDays: 30,
        policy: this.#policy(),
        tags: place.tags,
      },
      this.child,
    );
    new Alias(this.named('pipeline'), { targetKeyId: this.key.keyId }, { parent: this.key });
    this.registerOutputs({});
  }

  #policy() {
    const { accountId, region } = this.place.settings;
    const use = [
      'kms:Encrypt',
      'kms:Decrypt',
      'kms:ReEncryptFrom',
      'kms:ReEncryptTo',
      'kms:GenerateDataKey',
      'kms:DescribeKey',
    ];
    const logs = `arn:aws:logs:${region}:${accountId}:log-group:*`;
    return policyDocument([
      {
        Sid: 'Account',
        Effect: 'Allow',
        Principal: { AWS: `arn:aws:iam::${accountId}:root` },
        Action: 'kms:*',
        Resource: '*',
      },
      {
        Sid: 'Logs',
        Effect: 'Allow',
        Principal: { Service: `logs.${region}.amazonaws.com` },
        Action: use,
        Resource: '*',
        Condition: { ArnLike: { 'kms:EncryptionContext:aws:logs:arn': logs } },
      },
      // Notifications of the Developer Tools are published through SNS ("Notifications" in the guide of the Developer
      // Tools console).
      {
        Sid: 'Publish',
        Effect: 'Allow',
        Principal: { Service: 'codestar-notifications.amazonaws.com' },
        Action: ['kms:Decrypt', 'kms:GenerateDataKey'],
        Resource: '*',
        Condition: { StringEquals: { 'kms:ViaService': `sns.${region}.amazonaws.com` } },
      },
    ]);
  }
}
