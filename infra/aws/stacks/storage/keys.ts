import type * as pulumi from '@pulumi/pulumi';
import { Alias } from '@pulumi/aws/kms/alias.js';
import { Key } from '@pulumi/aws/kms/key.js';
import { policyDocument } from '../../rights/iam.ts';
import { Component, type Place } from '../../lib/place.ts';

/** Services that publish to the topic, and so use its key. They send `aws:SourceAccount`. */
const publishers = ['cloudwatch.amazonaws.com', 'budgets.amazonaws.com'];

/** The KMS keys of one environment. They encrypt what it stores, except the load balancer's access logs. */
export class Keys extends Component {
  /** For everything stored in the environment's region. */
  readonly data: Key;
  /** For the copies of the backups: a key works only in its region. */
  readonly backup: Key;

  constructor(place: Place, options: pulumi.ComponentResourceOptions) {
    super('Keys', `${place.environment}-keys`, place, options);
    const { region, backupRegion } = place.settings;
    this.data = this.#key('data', region);
    this.backup = this.#key('backup-copies', backupRegion);
    this.registerOutputs({});
  }

  #key(name: string, region: string): Key {
    const key = new Key(
      this.named(name),
      {
        region,
        description: `${this.place.tags['application']} ${this.place.environment}: ${name}`,
        // Off by default.
        enableKeyRotation: true,
        // Days, the maximum: data encrypted with a deleted key is lost.
        deletionWindowInDays: 30,
        policy: this.#policy(region),
        tags: this.place.tags,
      },
      // Staging's data may be lost with its key; production's may not.
      { parent: this, protect: this.place.production },
    );
    new Alias(this.named(name), { region, targetKeyId: key.keyId }, { parent: key });
    return key;
  }

  #policy(region: string) {
    const { accountId } = this.place.settings;
    const use = [
      'kms:Encrypt',
      'kms:Decrypt',
      'kms:ReEncryptFrom',
      'kms:ReEncryptTo',
      'kms:GenerateDataKey',
      'kms:DescribeKey',
    ];
    const deliver = ['kms:Decrypt', 'kms:GenerateDataKey'];
    return policyDocument([
      // Lets IAM policies grant access to the key. Without it nobody could change the key again.
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
        Condition: {
          ArnLike: { 'kms:EncryptionContext:aws:logs:arn': `arn:aws:logs:${region}:${accountId}:log-group:*` },
        },
      },
      {
        Sid: 'Publish',
        Effect: 'Allow',
        Principal: { Service: publishers },
        Action: deliver,
        Resource: '*',
        Condition: { StringEquals: { 'aws:SourceAccount': accountId } },
      },
      // From the topic to the queue. The condition is the one that works according to aws-cdk #20339.
      {
        Sid: 'Deliver',
        Effect: 'Allow',
        Principal: { Service: 'sns.amazonaws.com' },
        Action: deliver,
        Resource: '*',
        Condition: { ArnLike: { 'aws:SourceArn': `arn:aws:sns:${region}:${accountId}:*` } },
      },
    ]);
  }
}
