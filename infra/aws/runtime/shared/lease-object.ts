import {
  DeleteObjectCommand,
  GetObjectCommand,
  NoSuchKey,
  PutObjectCommand,
  type GetObjectCommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { OperationError } from '../../../lib/errors.ts';
import type { LeaseHolder } from '../../../platform/lease.ts';
import { dateMs, dateOfAnswer } from '../client/answer-date.ts';
import { calling, codeOf } from '../client/errors.ts';

/** Content of the lease's object. */
export interface LeaseRecord extends LeaseHolder {
  /** Start time of the process, and where its pid is valid: see infra/lib/process-identity.ts. */
  processStart: string;
  place: string;
  leaseMs: number;
  /** Increases with each write: an ETag may be a hash of the content, so no two writes may have the same content. */
  renewal: number;
}

export interface StoredLease {
  record: LeaseRecord;
  /** ETag that a write names as its condition, to replace exactly this version. */
  etag: string;
  /** When it ends by S3's clock (ms since the epoch), and whether it certainly had ended when it was read. */
  endsAt: number;
  ended: boolean;
}

/** One object of S3. A write succeeds only if nobody has changed the object since it was read. */
export class LeaseObject {
  readonly #objects: S3Client;
  readonly #at: { Bucket: string; Key: string };
  readonly #doing: string;

  constructor(objects: S3Client, bucket: string, environment: string) {
    this.#objects = objects;
    this.#at = { Bucket: bucket, Key: `greenlight/locks/${environment}.json` };
    this.#doing = `locking ${environment} (s3://${bucket}/${this.#at.Key})`;
  }

  /** Undefined if nobody holds the lease. */
  read(signal?: AbortSignal): Promise<StoredLease | undefined> {
    return calling(this.#doing, async () => {
      const command = new GetObjectCommand(this.#at);
      const date = dateOfAnswer(command);
      try {
        const answer = await this.#objects.send(command, signal && { abortSignal: signal });
        return this.#stored(answer, (await answer.Body?.transformToString('utf8')) ?? '', date());
      } catch (error) {
        if (error instanceof NoSuchKey) return undefined;
        throw error;
      }
    });
  }

  #stored({ ETag, LastModified }: GetObjectCommandOutput, text: string, now: number): StoredLease {
    const record = parse(text);
    if (record === undefined || ETag === undefined || LastModified === undefined || Number.isNaN(now))
      throw new OperationError(
        this.#doing,
        'the content of that object is not a lock',
        'make sure that no release runs in this environment, then delete that object',
      );
    const endsAt = LastModified.getTime() + record.leaseMs + dateMs;
    return {
      record: { ...record, leaseUntil: new Date(endsAt).toISOString() },
      etag: ETag,
      endsAt,
      ended: now >= endsAt,
    };
  }

  /** Replaces the object whose ETag is `over`, or creates it. Undefined if another writer was faster. */
  async write(record: LeaseRecord, over: string | undefined, signal?: AbortSignal): Promise<string | undefined> {
    const condition = over === undefined ? { IfNoneMatch: '*' } : { IfMatch: over };
    const command = new PutObjectCommand({ ...this.#at, ...condition, Body: JSON.stringify(record) });
    const done = await this.#conditionally(
      async () => (await this.#objects.send(command, signal && { abortSignal: signal })).ETag,
    );
    if (done !== undefined) return done;
    // The SDK repeats a write whose answer was lost. S3 refuses the repetition, although the first attempt succeeded.
    const now = await this.read(signal);
    return now?.record.token === record.token && now.record.renewal === record.renewal ? now.etag : undefined;
  }

  /** Removes it if it is still the one that has `etag`. */
  async remove(etag: string): Promise<void> {
    await this.#conditionally(async () => {
      await this.#objects.send(new DeleteObjectCommand({ ...this.#at, IfMatch: etag }));
      return '';
    });
  }

  /** Undefined if the condition did not hold, or if another writer was active at the same moment (S3's 409). */
  #conditionally(send: () => Promise<string | undefined>): Promise<string | undefined> {
    return calling(this.#doing, async () => {
      try {
        return await send();
      } catch (error) {
        if (/^(PreconditionFailed|ConditionalRequestConflict|NoSuchKey)$/.test(codeOf(error))) return undefined;
        throw error;
      }
    });
  }
}

function parse(text: string): LeaseRecord | undefined {
  try {
    const record = JSON.parse(text) as Partial<LeaseRecord>;
    const { token, pid, leaseMs, renewal } = record;
    const whole = typeof token === 'string' && [pid, leaseMs, renewal].every((number) => Number.isSafeInteger(number));
    return whole ? (record as LeaseRecord) : undefined;
  } catch {
    return undefined;
  }
}
