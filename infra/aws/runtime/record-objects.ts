import {
  GetObjectCommand,
  HeadObjectCommand,
  NoSuchKey,
  paginateListObjectsV2,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { transferMs } from './clients.ts';
import { calling, codeOf, isMissing } from './errors.ts';

/** Files of releases as objects. Each says its SHA-256: an ETag is no checksum where a key of ours encrypts. */
export class RecordObjects {
  readonly #objects: S3Client;
  readonly #bucket: string;

  constructor(objects: S3Client, bucket: string) {
    this.#objects = objects;
    this.#bucket = bucket;
  }

  where = (key: string): string => `s3://${this.#bucket}/${key}`;

  /** Undefined where it is not there. */
  read(key: string): Promise<{ bytes: Buffer; etag: string } | undefined> {
    return calling(`reading ${this.where(key)}`, async () => {
      try {
        const { Body, ETag = '' } = await this.#objects.send(new GetObjectCommand({ Bucket: this.#bucket, Key: key }));
        return { bytes: Buffer.from((await Body?.transformToByteArray()) ?? []), etag: ETag };
      } catch (error) {
        if (error instanceof NoSuchKey) return undefined;
        throw error;
      }
    });
  }

  /** SHA-256 of an object, as `put` said it; undefined where there is none. */
  sum(key: string): Promise<string | undefined> {
    return calling(`reading ${this.where(key)}`, async () => {
      try {
        const { Metadata } = await this.#objects.send(new HeadObjectCommand({ Bucket: this.#bucket, Key: key }));
        return Metadata?.['sha256'];
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    });
  }

  async put(key: string, bytes: Buffer, sum: string): Promise<void> {
    await this.#put(key, bytes, sum, {});
  }

  /** Only over the one that has `etag`, or where there is none; else false. */
  async putOver(key: string, bytes: Buffer, sum: string, etag: string | undefined): Promise<boolean> {
    return this.#put(key, bytes, sum, etag === undefined ? { IfNoneMatch: '*' } : { IfMatch: etag });
  }

  #put(key: string, Body: Buffer, sha256: string, condition: { IfMatch?: string; IfNoneMatch?: string }) {
    const command = new PutObjectCommand({ Bucket: this.#bucket, Key: key, Body, Metadata: { sha256 }, ...condition });
    return calling(`writing ${this.where(key)}`, async () => {
      try {
        await this.#objects.send(command, { requestTimeout: transferMs });
        return true;
      } catch (error) {
        if (/^(PreconditionFailed|ConditionalRequestConflict)$/.test(codeOf(error))) return false;
        if ('IfMatch' in condition && error instanceof NoSuchKey) return false;
        throw error;
      }
    });
  }

  /** Paths below a prefix. */
  list(prefix: string): Promise<string[]> {
    return calling(`listing ${this.where(prefix)}`, async () => {
      const paths: string[] = [];
      const pages = paginateListObjectsV2({ client: this.#objects }, { Bucket: this.#bucket, Prefix: prefix });
      for await (const { Contents = [] } of pages)
        paths.push(...Contents.flatMap(({ Key }) => Key?.slice(prefix.length) ?? []));
      return paths;
    });
  }
}
