import * as pulumi from '@pulumi/pulumi';
import { Bucket } from '@pulumi/aws/s3/bucket.js';
import { BucketLifecycleConfiguration } from '@pulumi/aws/s3/bucketLifecycleConfiguration.js';
import { BucketOwnershipControls } from '@pulumi/aws/s3/bucketOwnershipControls.js';
import { BucketPolicy } from '@pulumi/aws/s3/bucketPolicy.js';
import { BucketPublicAccessBlock } from '@pulumi/aws/s3/bucketPublicAccessBlock.js';
import { BucketServerSideEncryptionConfiguration } from '@pulumi/aws/s3/bucketServerSideEncryptionConfiguration.js';
import { BucketVersioning } from '@pulumi/aws/s3/bucketVersioning.js';
import { policyDocument, type Statement } from '../../rights/iam.ts';
import { Component, type Place } from '../../lib/place.ts';

export interface BucketArgs {
  /** Absent: S3's own key, where the writer cannot use ours (the load balancer's access logs). */
  keyArn?: pulumi.Input<string>;
  /** Days after which objects go; absent: they stay. */
  expireDays?: number;
  /** Who else may do what, beside the account itself. */
  allow?: (bucketArn: pulumi.Output<string>) => Statement[];
}

/** A bucket that nobody outside reads: versioned, encrypted, by TLS only. */
export class PrivateBucket extends Component {
  readonly bucket: Bucket;
  readonly #name: string;
  readonly #args: BucketArgs;

  constructor(name: string, args: BucketArgs, place: Place, options: pulumi.ComponentResourceOptions) {
    super('PrivateBucket', `${place.environment}-${name}`, place, options);
    this.#name = this.named(name);
    this.#args = args;
    // With anything in it, it is not deleted: what it holds is evidence.
    this.bucket = new Bucket(this.#name, { tags: place.tags }, { parent: this, protect: place.production });
    this.#isPrivate();
    this.#isEncrypted();
    this.#keepsVersions();
    this.registerOutputs({});
  }

  #isPrivate() {
    const { id, arn } = this.bucket;
    const block = new BucketPublicAccessBlock(
      this.#name,
      {
        bucket: id,
        blockPublicAcls: true,
        blockPublicPolicy: true,
        ignorePublicAcls: true,
        restrictPublicBuckets: true,
      },
      this.child,
    );
    new BucketOwnershipControls(
      this.#name,
      { bucket: id, rule: { objectOwnership: 'BucketOwnerEnforced' } },
      this.child,
    );
    const plainIsDenied: Statement = {
      Sid: 'TlsOnly',
      Effect: 'Deny',
      Principal: '*',
      Action: 's3:*',
      Resource: [arn, pulumi.interpolate`${arn}/*`],
      Condition: { Bool: { 'aws:SecureTransport': 'false' } },
    };
    const policy = policyDocument([plainIsDenied, ...(this.#args.allow?.(arn) ?? [])]);
    // Both change what is public: one after the other, or S3 answers with a conflict.
    new BucketPolicy(this.#name, { bucket: id, policy }, { parent: this, dependsOn: block });
  }

  #isEncrypted() {
    const { keyArn } = this.#args;
    const byDefault =
      keyArn === undefined ? { sseAlgorithm: 'AES256' } : { sseAlgorithm: 'aws:kms', kmsMasterKeyId: keyArn };
    // The bucket key saves a call of KMS, and its price, per object.
    const rules = [{ applyServerSideEncryptionByDefault: byDefault, bucketKeyEnabled: keyArn !== undefined }];
    new BucketServerSideEncryptionConfiguration(this.#name, { bucket: this.bucket.id, rules }, this.child);
  }

  #keepsVersions() {
    const { expireDays } = this.#args;
    const bucket = this.bucket.id;
    const versioning = new BucketVersioning(
      this.#name,
      { bucket, versioningConfiguration: { status: 'Enabled' } },
      this.child,
    );
    const forget = {
      id: 'forget',
      status: 'Enabled',
      filter: {},
      ...(expireDays === undefined ? {} : { expiration: { days: expireDays } }),
      noncurrentVersionExpiration: { noncurrentDays: 90 },
      abortIncompleteMultipartUpload: { daysAfterInitiation: 7 },
    };
    const args = { bucket, rules: [forget] };
    new BucketLifecycleConfiguration(this.#name, args, { parent: this, dependsOn: versioning });
  }
}
