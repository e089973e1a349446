import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, lstat, mkdir, readdir, readlink, symlink, utimes } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { OperationError } from '../../lib/errors.ts';
import type { EnvironmentSpec, FilesSpec } from '../../model.ts';
import type { Layout } from './layout.ts';

/** The directories of `application.files`: made, measured and copied. */

/** Makes those that are missing. What is in them is the application's. */
export async function makeFiles(layout: Layout, spec: Pick<EnvironmentSpec, 'files' | 'services'>): Promise<void> {
  for (const { name } of spec.files ?? []) {
    const directory = layout.files(name);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    // The directory above lets nobody else in. The user of an image is somebody else, and gets in by the mount.
    await chmod(dirname(directory), 0o700);
    if (hasImages(spec)) await chmod(directory, 0o777);
  }
}

export const hasImages = ({ services }: Pick<EnvironmentSpec, 'services'>): boolean =>
  services.some(({ image }) => image !== undefined);

/** What every container of an application gets: the authority of its database, and the directories. `at`: where those are. */
export const mountsOf = (
  layout: Layout,
  { files = [] }: Pick<EnvironmentSpec, 'files'>,
  at = (name: string): string => layout.files(name),
): { source: string; writable?: boolean }[] => [
  { source: layout.caFile() },
  ...files.map(({ name }) => ({ source: at(name), writable: true })),
];

/** Lets the user of an image change a copy, below a directory that lets nobody else in. */
export async function openToAll(directory: string): Promise<void> {
  await chmod(directory, 0o777);
  for (const path of await entriesOf(directory)) {
    const entry = await lstat(path);
    if (!entry.isSymbolicLink()) await chmod(path, entry.isDirectory() ? 0o777 : (entry.mode & 0o777) | 0o666);
  }
}

/** A directory for a copy that its maker removes. After a crash it goes with the scratch clusters of that program. */
export async function scratchDirectory(layout: Layout, purpose: 'preview' | 'restore'): Promise<string> {
  const path = join(layout.scratch(), `files-${purpose}-${process.pid}-${randomBytes(4).toString('hex')}`);
  await mkdir(path, { recursive: true, mode: 0o700 });
  return path;
}

/** What a copy holds. */
export interface CopiedFiles {
  count: number;
  bytes: number;
  /** SHA-256 of what was read of each file, by its path in the copy; of a symbolic link its target. */
  sha256: Record<string, string>;
}

/** How often a file that changes while it is copied is copied again. */
const tries = 5;

/**
 * Copies the files of an environment below `to`, a directory each. A file that is changed meanwhile is copied again; one that vanishes is
 * left out. Rejects with an OperationError where a directory holds more than it may, or a file does not stop to change. Sockets and
 * pipes are left out.
 */
export async function copyFiles(layout: Layout, files: readonly FilesSpec[], to: string): Promise<CopiedFiles> {
  const all: CopiedFiles = { count: 0, bytes: 0, sha256: {} };
  for (const { name, maxMegabytes } of files) {
    await requireSize(layout.files(name), { name, maxMegabytes });
    const { count, bytes, sha256 } = await copyDirectory(layout.files(name), join(to, name));
    all.count += count;
    all.bytes += bytes;
    for (const [path, hash] of Object.entries(sha256)) all.sha256[join(name, path)] = hash;
  }
  return all;
}

/** Bytes of all that `copyFiles` would copy. */
export async function sizeOfFiles(layout: Layout, files: readonly FilesSpec[]): Promise<number> {
  const sizes = await Promise.all(files.map(({ name }) => sizeOf(layout.files(name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function requireSize(directory: string, { name, maxMegabytes }: Pick<FilesSpec, 'name' | 'maxMegabytes'>) {
  const megabytes = (await sizeOf(directory)) / 1_000_000;
  if (megabytes <= maxMegabytes) return;
  throw new OperationError(
    `copying the files ${name}`,
    `${directory} holds ${Math.ceil(megabytes)} MB, and application.files allows ${maxMegabytes} MB`,
    'remove what is not needed, or raise maxMegabytes; a backup takes as much space again',
  );
}

async function sizeOf(directory: string): Promise<number> {
  let bytes = 0;
  for (const path of await entriesOf(directory)) bytes += (await lstat(path).catch(gone))?.size ?? 0;
  return bytes;
}

/** Copies a directory, of which nobody is asked to leave it alone. */
export async function copyDirectory(from: string, to: string): Promise<CopiedFiles> {
  const copied: CopiedFiles = { count: 0, bytes: 0, sha256: {} };
  await mkdir(to, { recursive: true, mode: 0o700 });
  for (const path of await entriesOf(from)) {
    const target = join(to, relative(from, path));
    const found = await copyEntry(path, target).catch(gone);
    if (found === undefined) continue;
    copied.count += 1;
    copied.bytes += found.bytes;
    copied.sha256[relative(from, path)] = found.sha256;
  }
  return copied;
}

async function copyEntry(path: string, target: string): Promise<{ bytes: number; sha256: string } | undefined> {
  for (let left = tries; left > 0; left -= 1) {
    const before = await lstat(path);
    if (before.isDirectory()) {
      await mkdir(target, { recursive: true, mode: 0o700 });
      return undefined;
    }
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    if (before.isSymbolicLink()) {
      const link = await readlink(path);
      await symlink(link, target);
      return { bytes: 0, sha256: sha256Of(`link ${link}`) };
    }
    if (!before.isFile()) return undefined;
    const hash = createHash('sha256');
    const seen = new Transform({
      transform(chunk: Buffer, _, done) {
        hash.update(chunk);
        done(null, chunk);
      },
    });
    await pipeline(createReadStream(path), seen, createWriteStream(target, { mode: before.mode & 0o777, flush: true }));
    const after = await lstat(path);
    if (after.mtimeMs !== before.mtimeMs || after.size !== before.size || after.ino !== before.ino) continue;
    await utimes(target, before.atime, before.mtime);
    return { bytes: before.size, sha256: hash.digest('hex') };
  }
  throw new OperationError(
    'copying the files of the environment',
    `${path} changes all the time, so a copy of it would be torn`,
    'let the application write to another file and rename it, or keep such files outside of application.files',
  );
}

/** SHA-256 of everything below a directory, as `copyDirectory` gives it. */
export async function hashDirectory(directory: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const path of await entriesOf(directory)) {
    const entry = await lstat(path);
    if (entry.isSymbolicLink()) found[relative(directory, path)] = sha256Of(`link ${await readlink(path)}`);
    if (!entry.isFile()) continue;
    const hash = createHash('sha256');
    await pipeline(createReadStream(path), hash);
    found[relative(directory, path)] = hash.digest('hex');
  }
  return found;
}

const sha256Of = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Paths of everything below a directory; of one that is missing, or vanishes meanwhile, none. */
async function entriesOf(directory: string): Promise<string[]> {
  const entries = (await readdir(directory, { withFileTypes: true }).catch(gone)) ?? [];
  const found: string[] = [];
  for (const entry of entries) {
    const path = join(directory, entry.name);
    found.push(path);
    if (entry.isDirectory()) found.push(...(await entriesOf(path)));
  }
  return found;
}

function gone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
