import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import {
  type S3Client,
  GetObjectCommand,
  HeadObjectCommand,
  NoSuchKey,
  paginateListObjectsV2,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { replaceFile } from '../../../lib/atomic-file.ts';
import { greenlight } from '../../../lib/command.ts';
import { OperationError } from '../../../lib/errors.ts';
import type { EnvironmentName } from '../../../model.ts';
import type { Shared } from '../../../platform/lease.ts';
import { transferMs } from '../client/clients.ts';
import { calling, codeOf, isMissing } from '../client/errors.ts';

/**
 * Releases that several machines share: one object per file under `greenlight/releases/<environment>/<id>/`. The
 * journal decides which side is ahead, never a clock: it only grows, and each line holds the hash of the line before.
 */
export type Records = Pick<Shared, 'pushRelease' | 'pullReleases'>;

const journal = 'journal.jsonl';

/** Messages between commands of one machine, and files that are being written. */
const isTransient = (path: string): boolean => /(\.requested|\.draft|\.next|\.new|\.tmp)$/.test(path);

export function s3Records(objects: S3Client, bucket: string): Records {
  const store = new RecordObjects(objects, bucket);
  /** SHA-256 by key, of objects that this process has stored or checked. So a push asks for each file only once. */
  const stored = new Map<string, string>();

  async function pushFile(key: string, bytes: Buffer): Promise<void> {
    const sum = createHash('sha256').update(bytes).digest('hex');
    if ((stored.get(key) ?? (await store.sum(key))) !== sum) await store.put(key, bytes, sum);
    stored.set(key, sum);
  }

  /** Replaces only a prefix of the same journal, even if another machine writes at the same moment. */
  async function pushJournal(key: string, directory: string): Promise<void> {
    const ours = wholeLines(await readIfThere(join(directory, journal)));
    if (ours.length === 0) return;
    for (;;) {
      const theirs = await store.read(key);
      if (theirs !== undefined) {
        const found = compare(ours, theirs.bytes);
        if (found === 'same') return;
        // Behind: the stored journal continues this one, so another machine went on with it. A pull brings it to this
        // machine.
        if (found !== 'ahead') throw forked(directory, store.where(key));
      }
      const sum = createHash('sha256').update(ours).digest('hex');
      if (await store.putOver(key, ours, sum, theirs?.etag)) return;
    }
  }

  return {
    async pushRelease(environment, id, directory) {
      const prefix = prefixOf(environment, id);
      await pushJournal(prefix + journal, directory);
      for (const path of await filesBelow(directory)) {
        if (path === journal || isTransient(path)) continue;
        const bytes = await readIfThere(join(directory, path));
        if (bytes !== undefined) await pushFile(prefix + path, bytes);
      }
    },

    async pullReleases(environment, directory) {
      for (const [id, paths] of byRelease(await store.list(prefixOf(environment)))) {
        const prefix = prefixOf(environment, id);
        const here = join(directory, id);
        const theirs = paths.includes(journal) ? await store.read(prefix + journal) : undefined;
        // Without a journal it is not a release: the machine crashed before its first push ended.
        if (theirs === undefined) continue;
        const found = compare(wholeLines(await readIfThere(join(here, journal))), theirs.bytes);
        if (found === 'forked') throw forked(here, store.where(prefix));
        for (const path of paths) {
          if (path === journal) continue;
          const behind = found === 'behind' || (await readIfThere(join(here, path))) === undefined;
          const bytes = behind ? (await store.read(prefix + path))?.bytes : undefined;
          if (bytes !== undefined) await save(join(here, path), bytes);
        }
        // The journal comes last, so that an interrupted pull is repeated.
        if (found === 'behind') await save(join(here, journal), theirs.bytes);
      }
    },
  };
}

const prefixOf = (environment: EnvironmentName, id?: string): string =>
  `greenlight/releases/${environment}/${id === undefined ? '' : `${id}/`}`;

/** Files by release. Names that could lead out of the release's folder are ignored. */
function byRelease(paths: string[]): Map<string, string[]> {
  const releases = new Map<string, string[]>();
  for (const whole of paths) {
    const [id = '', ...parts] = whole.split('/');
    if (parts.length === 0 || [id, ...parts].some((part) => !/^[\w][\w.+@ -]*$/.test(part))) continue;
    const path = parts.join('/');
    if (!isTransient(path)) releases.set(id, [...(releases.get(id) ?? []), path]);
  }
  return releases;
}

/** How the local journal relates to the stored one: longer, shorter, equal, or diverged. */
export function compare(ours: Buffer, theirs: Buffer): 'same' | 'ahead' | 'behind' | 'forked' {
  const common = Math.min(ours.length, theirs.length);
  if (!ours.subarray(0, common).equals(theirs.subarray(0, common))) return 'forked';
  if (ours.length === theirs.length) return 'same';
  return ours.length > theirs.length ? 'ahead' : 'behind';
}

/** Without an incomplete last line: one that is being written, or that a crash cut off. */
const wholeLines = (bytes: Buffer = Buffer.alloc(0)): Buffer => bytes.subarray(0, bytes.lastIndexOf('\n') + 1);

const forked = (here: string, there: string): OperationError =>
  new OperationError(
    `comparing the release in ${here} with ${there}`,
    'two machines wrote the same release, each without the other',
    `find out which one is right (${greenlight('status')} shows what is live), move the other one away, then repeat the command`,
  );

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.map((file) => relative(directory, file).split(sep).join('/')).sort();
}

/** Undefined if the file does not exist. */
const readIfThere = (file: string): Promise<Buffer | undefined> =>
  readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });

async function save(file: string, bytes: Buffer): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await replaceFile(file, bytes);
}

/**
 * Files of releases as objects. Each has its SHA-256 as metadata, because the ETag is no checksum if a customer's key
 * encrypts.
 */
export class RecordObjects {
  readonly #objects: S3Client;
  readonly #bucket: string;

  constructor(objects: S3Client, bucket: string) {
    this.#objects = objects;
    this.#bucket = bucket;
  }

  where = (key: string): string => `s3://${this.#bucket}/${key}`;

  /** Undefined if the object does not exist. */
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

  /** SHA-256 of an object, as `put` stored it. Undefined if the object does not exist. */
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

  /**
   * Replaces only the version with `etag`, or creates the object if `etag` is undefined. False if the condition does
   * not hold.
   */
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

  /** Keys below a prefix, without the prefix. */
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
