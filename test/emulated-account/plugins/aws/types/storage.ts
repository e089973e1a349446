import {
  type BucketVersioningStatus,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteBucketEncryptionCommand,
  GetBucketEncryptionCommand,
  DeleteBucketLifecycleCommand,
  GetBucketLifecycleConfigurationCommand,
  DeleteBucketOwnershipControlsCommand,
  GetBucketOwnershipControlsCommand,
  DeleteBucketPolicyCommand,
  GetBucketVersioningCommand,
  GetBucketPolicyCommand,
  DeleteObjectCommand,
  DeletePublicAccessBlockCommand,
  GetPublicAccessBlockCommand,
  HeadBucketCommand,
  type LifecycleRule,
  ListObjectVersionsCommand,
  type ObjectOwnership,
  PutBucketEncryptionCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketOwnershipControlsCommand,
  PutBucketPolicyCommand,
  PutBucketTaggingCommand,
  PutBucketVersioningCommand,
  PutPublicAccessBlockCommand,
  type S3Client,
  type ServerSideEncryption,
} from '@aws-sdk/client-s3';
import type { BucketArgs } from '@pulumi/aws/s3/bucket.js';
import type { BucketLifecycleConfigurationArgs } from '@pulumi/aws/s3/bucketLifecycleConfiguration.js';
import type { BucketOwnershipControlsArgs } from '@pulumi/aws/s3/bucketOwnershipControls.js';
import type { BucketPolicyArgs } from '@pulumi/aws/s3/bucketPolicy.js';
import type { BucketPublicAccessBlockArgs } from '@pulumi/aws/s3/bucketPublicAccessBlock.js';
import type { BucketServerSideEncryptionConfigurationArgs } from '@pulumi/aws/s3/bucketServerSideEncryptionConfiguration.js';
import type { BucketVersioningArgs } from '@pulumi/aws/s3/bucketVersioning.js';
import type { Unwrap } from '@pulumi/pulumi';
import { resource, type Handler, type Table } from '../../handler.ts';
import { tagList } from './tags.ts';

/** S3 has no LocationConstraint for this region. */
const home = 'us-east-1';

const computed = (name: string, region: string) => ({
  arn: `arn:aws:s3:::${name}`,
  bucketDomainName: `${name}.s3.amazonaws.com`,
  bucketRegionalDomainName: `${name}.s3.${region}.amazonaws.com`,
});

const bucket = resource<BucketArgs>({
  autoName: { property: 'bucket' },
  replaces: ['bucket'],
  async create({ bucket: name, tags }, { clients, region }) {
    const Bucket = name as string;
    await clients.objects.send(
      new CreateBucketCommand({
        Bucket,
        ...(region === home ? {} : { CreateBucketConfiguration: { LocationConstraint: region as 'eu-central-1' } }),
      }),
    );
    if (tags !== undefined)
      await clients.objects.send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet: tagList(tags) } }));
    return { id: Bucket, outputs: computed(Bucket, region) };
  },
  async read(id, _state, { clients, region }) {
    await clients.objects.send(new HeadBucketCommand({ Bucket: id }));
    return computed(id, region);
  },
  async update({ id, inputs, changed }, { clients }) {
    if (changed('tags'))
      await clients.objects.send(
        new PutBucketTaggingCommand({ Bucket: id, Tagging: { TagSet: tagList(inputs.tags) } }),
      );
  },
  async delete(id, { forceDestroy }, { clients }) {
    if (forceDestroy === true) await empty(id, clients.objects);
    await clients.objects.send(new DeleteBucketCommand({ Bucket: id }));
  },
});

async function empty(Bucket: string, client: S3Client): Promise<void> {
  for (;;) {
    const { Versions = [], DeleteMarkers = [] } = await client.send(new ListObjectVersionsCommand({ Bucket }));
    const all = [...Versions, ...DeleteMarkers];
    if (all.length === 0) return;
    for (const { Key, VersionId } of all) await client.send(new DeleteObjectCommand({ Bucket, Key, VersionId }));
  }
}

/** A setting of a bucket: always written as a whole. */
function setting<Args extends { bucket: unknown }>(
  put: (inputs: Unwrap<Args>, client: S3Client) => Promise<unknown>,
  /** Rejects if it is not set. */
  get: (Bucket: string, client: S3Client) => Promise<unknown>,
  remove?: (Bucket: string, client: S3Client) => Promise<unknown>,
): Handler {
  const nameOf = (inputs: unknown) => (inputs as { bucket: string }).bucket;
  return resource<Args>({
    replaces: ['bucket'] as never,
    async create(inputs, { clients }) {
      await put(inputs, clients.objects);
      return { id: nameOf(inputs) };
    },
    async read(_id, state, { clients }) {
      await get(nameOf(state), clients.objects);
      return {};
    },
    async update({ inputs }, { clients }) {
      await put(inputs, clients.objects);
    },
    async delete(_id, state, { clients }) {
      await remove?.(nameOf(state), clients.objects);
    },
  });
}

export const storage: Table = {
  'aws:s3/bucket:Bucket': bucket,
  'aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock': setting<BucketPublicAccessBlockArgs>(
    (inputs, client) =>
      client.send(
        new PutPublicAccessBlockCommand({
          Bucket: inputs.bucket,
          PublicAccessBlockConfiguration: {
            BlockPublicAcls: inputs.blockPublicAcls,
            BlockPublicPolicy: inputs.blockPublicPolicy,
            IgnorePublicAcls: inputs.ignorePublicAcls,
            RestrictPublicBuckets: inputs.restrictPublicBuckets,
          },
        }),
      ),
    (Bucket, client) => client.send(new GetPublicAccessBlockCommand({ Bucket })),
    (Bucket, client) => client.send(new DeletePublicAccessBlockCommand({ Bucket })),
  ),
  'aws:s3/bucketOwnershipControls:BucketOwnershipControls': setting<BucketOwnershipControlsArgs>(
    (inputs, client) =>
      client.send(
        new PutBucketOwnershipControlsCommand({
          Bucket: inputs.bucket,
          OwnershipControls: { Rules: [{ ObjectOwnership: inputs.rule.objectOwnership as ObjectOwnership }] },
        }),
      ),
    (Bucket, client) => client.send(new GetBucketOwnershipControlsCommand({ Bucket })),
    (Bucket, client) => client.send(new DeleteBucketOwnershipControlsCommand({ Bucket })),
  ),
  'aws:s3/bucketPolicy:BucketPolicy': setting<BucketPolicyArgs>(
    (inputs, client) =>
      client.send(new PutBucketPolicyCommand({ Bucket: inputs.bucket, Policy: inputs.policy as string })),
    (Bucket, client) => client.send(new GetBucketPolicyCommand({ Bucket })),
    (Bucket, client) => client.send(new DeleteBucketPolicyCommand({ Bucket })),
  ),
  'aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration':
    setting<BucketServerSideEncryptionConfigurationArgs>(
      (inputs, client) =>
        client.send(
          new PutBucketEncryptionCommand({
            Bucket: inputs.bucket,
            ServerSideEncryptionConfiguration: {
              Rules: inputs.rules.map(({ applyServerSideEncryptionByDefault: byDefault, bucketKeyEnabled }) => ({
                BucketKeyEnabled: bucketKeyEnabled,
                ...(byDefault && {
                  ApplyServerSideEncryptionByDefault: {
                    SSEAlgorithm: byDefault.sseAlgorithm as ServerSideEncryption,
                    KMSMasterKeyID: byDefault.kmsMasterKeyId,
                  },
                }),
              })),
            },
          }),
        ),
      (Bucket, client) => client.send(new GetBucketEncryptionCommand({ Bucket })),
      (Bucket, client) => client.send(new DeleteBucketEncryptionCommand({ Bucket })),
    ),
  'aws:s3/bucketVersioning:BucketVersioning': setting<BucketVersioningArgs>(
    (inputs, client) =>
      client.send(
        new PutBucketVersioningCommand({
          Bucket: inputs.bucket,
          VersioningConfiguration: { Status: inputs.versioningConfiguration.status as BucketVersioningStatus },
        }),
      ),
    (Bucket, client) => client.send(new GetBucketVersioningCommand({ Bucket })),
    (Bucket, client) =>
      client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Suspended' } })),
  ),
  'aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration': setting<BucketLifecycleConfigurationArgs>(
    (inputs, client) =>
      client.send(
        new PutBucketLifecycleConfigurationCommand({
          Bucket: inputs.bucket,
          LifecycleConfiguration: { Rules: (inputs.rules ?? []).map(lifecycleRule) },
        }),
      ),
    (Bucket, client) => client.send(new GetBucketLifecycleConfigurationCommand({ Bucket })),
    (Bucket, client) => client.send(new DeleteBucketLifecycleCommand({ Bucket })),
  ),
};

type DeclaredRule = NonNullable<Unwrap<BucketLifecycleConfigurationArgs>['rules']>[number];

const lifecycleRule = (rule: DeclaredRule): LifecycleRule => ({
  ID: rule.id,
  Status: rule.status as LifecycleRule['Status'],
  Filter: { Prefix: rule.filter?.prefix ?? '' },
  ...(rule.expiration && { Expiration: { Days: rule.expiration.days } }),
  ...(rule.noncurrentVersionExpiration && {
    NoncurrentVersionExpiration: { NoncurrentDays: rule.noncurrentVersionExpiration.noncurrentDays },
  }),
  ...(rule.abortIncompleteMultipartUpload && {
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: rule.abortIncompleteMultipartUpload.daysAfterInitiation },
  }),
});
