import type * as pulumi from '@pulumi/pulumi';
import { Alias } from '@pulumi/aws/kms/alias.js';
import { Key } from '@pulumi/aws/kms/key.js';
import { policyDocument } from '../../rights/iam.ts';
import { Component, type Place } from '../../lib/place.ts';

/** Services that publish to the topic, and so encrypt with its key; their requests say for which account. */
const publishers = ['cloudwatch.amazonaws.com', 'budgets.amazonaws.com'];

/** The environment's keys: what it stores is readable with them only, and a key can be withdrawn. */
export class Keys extends Component {
  /** For everything stored in the environment's region. */
  readonly data: Key;
  /** For the copies of the backups. Keys do not leave their region. */
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
        // Default: never.
        enableKeyRotation: true,
        // The longest: whatever a key encrypted is lost with it.
        deletionWindowInDays: 30,
        policy: this.#policy(region),
        tags: this.place.tags,
      },
      // Staging's data may go with it; production's is lost for ever.
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
      // IAM decides within the account. Without this statement nobody could ever change the key again.
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
      // From the topic to the queue; the condition that aws-cdk found to work (#20339).
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
