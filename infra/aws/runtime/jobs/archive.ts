import { createWriteStream } from 'node:fs';
import { mkdir, readdir, realpath, symlink } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, Pack } from 'tar';

/** Builds as tar archives, compressed with gzip: the same files give the same bytes on every machine. */

/**
 * Writes the archive of all files and links below `directory`. The entries are sorted and have neither owner nor time.
 */
export async function pack(directory: string, archive: string): Promise<void> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = found
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)));
  const entries = new Pack({ cwd: directory, gzip: { level: 6 }, portable: true, mtime: new Date(0), strict: true });
  for (const path of paths.sort()) entries.add(path);
  await pipeline(Readable.from(entries.end()), createWriteStream(archive, { mode: 0o600 }));
}

/**
 * Unpacks an archive into an empty directory. Throws an Error if the archive is damaged, or if an entry would be
 * written outside the directory. The links are created after all files and directories, so no entry can be written
 * through a link. The tar package would create them in the archive's order, and refuse a link to another link, which
 * builds do contain.
 */
export async function unpack(archive: AsyncIterable<Uint8Array>, to: string): Promise<void> {
  const directory = await realpath(to);
  const links: { path: string; target: string }[] = [];
  const files = extract({
    cwd: directory,
    strict: true,
    preserveOwner: false,
    // Deflate reaches a ratio of 1032 on a file of zeros; the package's limit is 1000.
    maxDecompressionRatio: Infinity,
    filter: (path, entry) => {
      if (!('linkpath' in entry) || entry.type !== 'SymbolicLink') return true;
      links.push({ path, target: entry.linkpath ?? '' });
      return false;
    },
  });
  await pipeline(Readable.from(archive), files);
  const placed = links.map(({ path, target }) => ({ path: inside(directory, path), target }));
  for (const { path } of placed) await mkdir(dirname(path), { recursive: true });
  for (const { path, target } of placed) await symlink(target, path);
}

function inside(directory: string, path: string): string {
  const place = resolve(directory, path);
  if (!place.startsWith(directory + sep)) throw new Error(`it holds ${JSON.stringify(path)}, which leads out of it`);
  return place;
}
