import type { S3Client } from '@aws-sdk/client-s3';
import type { Shared } from '../../shared.ts';
import { s3Leases } from './leases.ts';
import { s3Records } from './records.ts';

/** What machines that release to the same environments share: all of it is in the bucket of the state. */
export const awsShared = (objects: S3Client, bucket: string): Shared => ({
  ...s3Leases(objects, bucket),
  ...s3Records(objects, bucket),
});
