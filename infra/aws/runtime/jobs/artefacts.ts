import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { OperationError } from '../../../lib/errors.ts';
import { createLocalArtefacts } from '../../../application/artefact-store.ts';
import type { Artefact } from '../../../model.ts';
import { artefactsDirectory } from '../../../lib/paths.ts';
import type { Artefacts } from '../../../platform/artefacts.ts';
import { pack, unpack } from './archive.ts';
import { transferMs, type Clients } from '../client/clients.ts';
import { calling, codeOf, isMissing } from '../client/errors.ts';

export interface ArtefactsOptions {
  clients: Pick<Clients, 'objects'>;
  /** The state bucket: builds are the same in all environments. */
  bucket: string;
  /** KMS key that encrypts them. */
  key: string;
  directory?: string;
}

export const artefactKey = (digest: string): string => `greenlight/artefacts/${digest.slice('sha256:'.length)}.tar.gz`;

/** Keeps builds locally, and an archive of each in the state bucket for other machines. */
export function createAwsArtefacts(options: ArtefactsOptions): Artefacts {
  const directory = options.directory ?? artefactsDirectory();
  const local = createLocalArtefacts(directory);
  return {
    async publish(build, version) {
      const artefact = await local.publish(build, version);
      await calling(`storing the build of version ${version} in s3://${options.bucket}`, () =>
        upload(options, artefact, directory),
      );
      return artefact;
    },
    async find(digest) {
      const here = await local.find(digest);
      if (here !== undefined || !/^sha256:[0-9a-f]{64}$/.test(digest)) return here;
      return calling(`fetching the build ${digest} from s3://${options.bucket}`, () =>
        download(options, local, digest, directory),
      );
    },
  };
}

/**
 * Runs `work` in a temporary folder, which is always deleted. It is in the store's directory, because a large build
 * could fill /tmp.
 */
async function inWorkDirectory<T>(directory: string, work: (folder: string) => Promise<T>): Promise<T> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const folder = await mkdtemp(join(directory, '.transfer-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function upload(
  { clients, bucket, key }: ArtefactsOptions,
  artefact: Artefact,
  directory: string,
): Promise<void> {
  const where = { Bucket: bucket, Key: artefactKey(artefact.digest) };
  if (await exists(clients, where)) return;
  await inWorkDirectory(directory, async (folder) => {
    const archive = join(folder, 'archive.tar.gz');
    await pack(artefact.location, archive);
    const command = new PutObjectCommand({
      ...where,
      Body: createReadStream(archive),
      ContentLength: (await stat(archive)).size,
      ContentType: 'application/gzip',
      Metadata: { version: encodeURIComponent(artefact.version) },
      ServerSideEncryption: 'aws:kms',
      SSEKMSKeyId: key,
      // Another machine may have stored the same build meanwhile.
      IfNoneMatch: '*',
    });
    try {
      await clients.objects.send(command, { requestTimeout: transferMs });
    } catch (error) {
      if (!['PreconditionFailed', 'ConditionalRequestConflict'].includes(codeOf(error))) throw error;
    }
  });
}

async function exists({ objects }: Pick<Clients, 'objects'>, where: { Bucket: string; Key: string }): Promise<boolean> {
  try {
    await objects.send(new HeadObjectCommand(where));
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

async function download(
  { clients, bucket }: ArtefactsOptions,
  local: Artefacts,
  digest: string,
  directory: string,
): Promise<Artefact | undefined> {
  const where = { Bucket: bucket, Key: artefactKey(digest) };
  const found = await clients.objects
    .send(new GetObjectCommand(where), { requestTimeout: transferMs })
    .catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
  if (found?.Body === undefined) return undefined;
  const body = found.Body as unknown as AsyncIterable<Uint8Array>;
  const version = decodeURIComponent(found.Metadata?.['version'] ?? '');
  return inWorkDirectory(directory, async (folder) => {
    const damaged = (reason: string, cause?: unknown) =>
      new OperationError(
        `fetching the build of version ${version}`,
        `s3://${bucket}/${where.Key} is damaged: ${reason}`,
        'delete that object and build the version again',
        { cause },
      );
    const content = join(folder, 'content');
    await mkdir(content);
    await unpack(body, content).catch((error: Error) => {
      throw damaged(error.message, error);
    });
    // The digest of the unpacked files decides whether the archive is that build.
    const artefact = await local.publish(content, version);
    if (artefact.digest !== digest) throw damaged(`its content is ${artefact.digest}`);
    return artefact;
  });
}
