import {
  DeleteObjectCommand,
  GetObjectCommand,
  NoSuchKey,
  paginateListObjectsV2,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { StateFiles } from '../../../platform/engine.ts';
import { calling } from '../client/errors.ts';

/**
 * The files of Pulumi's S3 backend: one object each, below `.pulumi/` in the bucket, laid out as in a directory. S3
 * replaces an object completely or not at all, and every later read sees the new content.
 */
export function s3StateFiles(objects: S3Client, bucket: string): StateFiles {
  const where = (path: string): string => `s3://${bucket}/${path}`;
  return {
    read: (path) =>
      calling(`reading ${where(path)}`, async () => {
        try {
          const { Body } = await objects.send(new GetObjectCommand({ Bucket: bucket, Key: path }));
          return await Body?.transformToString('utf8');
        } catch (error) {
          if (error instanceof NoSuchKey) return undefined;
          throw error;
        }
      }),

    write: (path, text) =>
      calling(`writing ${where(path)}`, async () => {
        await objects.send(new PutObjectCommand({ Bucket: bucket, Key: path, Body: Buffer.from(text) }));
      }),

    list: (directory) =>
      calling(`listing ${where(directory)}`, async () => {
        const paths: string[] = [];
        const pages = paginateListObjectsV2({ client: objects }, { Bucket: bucket, Prefix: `${directory}/` });
        for await (const { Contents = [] } of pages) paths.push(...Contents.flatMap(({ Key }) => Key ?? []));
        return paths.sort();
      }),

    remove: (path) =>
      calling(`removing ${where(path)}`, async () => {
        await objects.send(new DeleteObjectCommand({ Bucket: bucket, Key: path }));
      }),
  };
}
