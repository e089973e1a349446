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
  /** Absent: a key managed by S3, for a writer that cannot use ours (the load balancer's access logs). */
  keyArn?: pulumi.Input<string>;
  /** Days after which objects expire. Absent: never. */
  expireDays?: number;
  /** Further statements of the bucket policy. */
  allow?: (bucketArn: pulumi.Output<string>) => Statement[];
}

/** A bucket without public access: versioned, encrypted, TLS only. */
export class PrivateBucket extends Component {
  readonly bucket: Bucket;
  readonly #name: string;
  readonly #args: BucketArgs;

  constructor(name: string, args: BucketArgs, place: Place, options: pulumi.ComponentResourceOptions) {
    super('PrivateBucket', `${place.environment}-${name}`, place, options);
    this.#name = this.named(name);
    this.#args = args;
    // No `forceDestroy`: objects are evidence, so a bucket that has any is not deleted.
    this.bucket = new Bucket(this.#name, { tags: place.tags }, { parent: this, protect: place.production });
    this.#blockPublicAccess();
    this.#encrypt();
    this.#keepVersions();
    this.registerOutputs({});
  }

  #blockPublicAccess() {
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
    // After the access block: S3 answers with a conflict when both change at once.
    new BucketPolicy(this.#name, { bucket: id, policy }, { parent: this, dependsOn: block });
  }

  #encrypt() {
    const { keyArn } = this.#args;
    const byDefault =
      keyArn === undefined ? { sseAlgorithm: 'AES256' } : { sseAlgorithm: 'aws:kms', kmsMasterKeyId: keyArn };
    // A bucket key saves a paid KMS call per object.
    const rules = [{ applyServerSideEncryptionByDefault: byDefault, bucketKeyEnabled: keyArn !== undefined }];
    new BucketServerSideEncryptionConfiguration(this.#name, { bucket: this.bucket.id, rules }, this.child);
  }

  #keepVersions() {
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
