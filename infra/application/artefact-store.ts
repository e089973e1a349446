import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, cp, lstat, mkdir, readdir, readFile, readlink, realpath, rm } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize, relative, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { OperationError } from '../lib/errors.ts';
import { flush, move, replaceFile } from '../lib/atomic-file.ts';
import { artefactsDirectory } from '../lib/paths.ts';
import type { Artefacts } from '../platform/artefacts.ts';
import { isAlive } from '../lib/lifetimes.ts';

/**
 * Stores builds as content-addressed directories: `artefacts/<hex>/`, with the version in `<hex>.json` beside it. The
 * digest covers files and symbolic links. Empty directories are not stored.
 */

interface Entry {
  path: string;
  kind: 'file' | 'program' | 'link';
  size: number;
  /** SHA-256 of the content, or of the target path of a link. */
  sha256: string;
}

/**
 * Not allowed in a build: it contains the environment's secrets. A build that copies the whole project would include
 * it.
 */
const reservedName = '.greenlight';

export function createLocalArtefacts(directory = artefactsDirectory()): Artefacts {
  return {
    async publish(build, version) {
      const entries = await contents(build).catch((error: Error) => {
        if (error instanceof OperationError) throw error;
        throw refused(
          build,
          error.message,
          'make the build command write to $GREENLIGHT_OUT, readable by the user who runs the release',
          error,
        );
      });
      if (entries.length === 0) {
        throw refused(build, 'it is empty', 'make the build command write everything that runs into $GREENLIGHT_OUT');
      }
      const digest = digestOf(entries);
      const location = join(directory, hex(digest));
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await removeLeftovers(directory);
      if (!(await isIntact(location, digest))) await store(build, entries, digest, location);
      await replaceFile(`${location}.json`, `${JSON.stringify({ version })}\n`);
      return { version, digest, location };
    },

    async find(digest) {
      if (!/^sha256:[0-9a-f]{64}$/.test(digest)) return undefined;
      const location = join(directory, hex(digest));
      try {
        const { version } = JSON.parse(await readFile(`${location}.json`, 'utf8')) as { version: string };
        return (await lstat(location)).isDirectory() ? { version, digest, location } : undefined;
      } catch {
        return undefined;
      }
    },
  };
}

const hex = (digest: string): string => digest.slice('sha256:'.length);

const digestOf = (entries: Entry[]): string => {
  const hash = createHash('sha256');
  for (const { path, kind, size, sha256 } of entries) hash.update(`${JSON.stringify([path, kind, size, sha256])}\n`);
  return `sha256:${hash.digest('hex')}`;
};

const isIntact = async (location: string, digest: string): Promise<boolean> =>
  (await contents(location).then(digestOf, () => undefined)) === digest;

/** All files and links of a build, sorted by path so that the digest does not depend on the machine. */
async function contents(build: string): Promise<Entry[]> {
  const found = await readdir(build, { recursive: true, withFileTypes: true });
  const entries: Entry[] = [];
  for (const item of found) {
    if (item.isDirectory() && item.name !== reservedName) continue;
    const file = join(item.parentPath, item.name);
    entries.push(await describe(build, file));
  }
  return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function describe(build: string, file: string): Promise<Entry> {
  const path = relative(build, file).split(sep).join('/');
  const shown = JSON.stringify(path);
  if (path.split('/').includes(reservedName)) {
    throw refused(
      build,
      `it contains ${shown}, where Greenlight keeps secrets`,
      'make the build command copy only what runs',
    );
  }
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f\ufffd]/.test(path)) {
    throw refused(build, `the name ${shown} is not printable text`, 'rename the file');
  }
  const status = await lstat(file);
  if (status.isSymbolicLink()) {
    const target = await readlink(file);
    const inside = normalize(join(dirname(path), target));
    // The text of the link is not enough: a directory in its path may be a link too.
    const root = await realpath(build);
    const reached = await realpath(file).catch(() => root);
    const escapes = reached !== root && !reached.startsWith(root + sep);
    if (isAbsolute(target) || inside === '..' || inside.startsWith(`..${sep}`) || escapes) {
      throw refused(
        build,
        `the link ${shown} points out of the build, to ${target}`,
        'make the build command copy the target instead',
      );
    }
    return { path, kind: 'link', size: target.length, sha256: createHash('sha256').update(target).digest('hex') };
  }
  if (!status.isFile()) throw refused(build, `${shown} is neither file, directory nor link`, 'remove it');
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  const kind = (status.mode & 0o100) === 0 ? 'file' : 'program';
  return { path, kind, size: status.size, sha256: hash.digest('hex') };
}

/** Copies a build to a temporary directory, verifies the copy and renames it into place. Replaces a damaged copy. */
async function store(build: string, entries: Entry[], digest: string, location: string): Promise<void> {
  const temporary = (what: string): string => `${location}.${process.pid}-${randomBytes(4).toString('hex')}.${what}`;
  const [work, old] = [temporary('new'), temporary('old')];
  try {
    for (const { path, kind } of entries) {
      const to = join(work, path);
      await mkdir(dirname(to), { recursive: true });
      await cp(join(build, path), to, { verbatimSymlinks: true });
      if (kind === 'link') continue;
      await chmod(to, kind === 'program' ? 0o555 : 0o444);
      await flush(to);
    }
    if (!(await isIntact(work, digest))) throw new Error('it changed while it was copied');
    while (!(await placed(work, location))) {
      // Another publisher was faster. Its intact copy stays, because it may be in use already.
      if (await isIntact(location, digest)) return;
      await move(location, old).catch(unless('ENOENT'));
    }
  } catch (error) {
    throw refused(
      build,
      (error as Error).message,
      'check that the disk has space and that the build has finished, then repeat the command',
      error,
    );
  } finally {
    await Promise.all([work, old].map((path) => rm(path, { recursive: true, force: true })));
  }
}

/** Renames a directory into place. False if there is a file, or a directory that is not empty. */
const placed = (work: string, location: string): Promise<boolean> =>
  move(work, location).then(() => true, unless('ENOTEMPTY', 'EEXIST', 'ENOTDIR'));

const unless =
  (...codes: string[]) =>
  (error: NodeJS.ErrnoException): false => {
    if (codes.includes(error.code ?? '')) return false;
    throw error;
  };

/** Removes temporary directories of publishers whose process has ended. */
async function removeLeftovers(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const owner = /\.(\d+)-[0-9a-f]{8}\.(?:new|old)$/.exec(name)?.[1];
    if (owner !== undefined && !isAlive(Number(owner)))
      await rm(join(directory, name), { recursive: true, force: true });
  }
}

const refused = (build: string, found: string, todo: string, cause?: unknown): OperationError =>
  new OperationError(`publishing the build in ${build}`, found, todo, { cause });
