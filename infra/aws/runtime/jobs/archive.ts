import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, lstat, mkdir, readdir, readlink, realpath, symlink } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';

/**
 * Builds as tar archives (ustar, packed by gzip), readable by any tar. The same content gives the same bytes: entries in the
 * order of their names, without owners and times.
 */

const block = 512;
const padding = (size: number): number => (block - (size % block)) % block;

interface Header {
  path: string;
  type: '0' | '2' | 'x';
  mode: number;
  size: number;
  target?: string;
}

/** One header block. Text fields that are too long stand in an extended header before it. */
function header({ path, type, mode, size, target = '' }: Header): Buffer {
  const bytes = Buffer.alloc(block);
  const octal = (value: number, at: number, length: number) =>
    bytes.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
  bytes.write(path.slice(0, 100), 0, 100, 'utf8');
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  bytes.write('        ', 148, 'latin1');
  bytes.write(type, 156, 'latin1');
  bytes.write(target.slice(0, 100), 157, 100, 'utf8');
  bytes.write('ustar\x0000', 257, 'latin1');
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return bytes;
}

/** `<length> <key>=<value>\n`, where the length counts itself. */
function extended(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

function* headers(entry: Header): Generator<Buffer> {
  const long = (text: string) => Buffer.byteLength(text) > 100 || /[^ -~]/.test(text);
  const fields = [
    ...(long(entry.path) ? [extended('path', entry.path)] : []),
    ...(long(entry.target ?? '') ? [extended('linkpath', entry.target ?? '')] : []),
  ].join('');
  if (fields !== '') {
    const body = Buffer.from(fields);
    yield header({ path: 'extended', type: 'x', mode: 0o644, size: body.length });
    yield Buffer.concat([body, Buffer.alloc(padding(body.length))]);
  }
  yield header(entry);
}

async function* tar(directory: string): AsyncGenerator<Buffer> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = found
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)).split(sep).join('/'));
  for (const path of paths.sort()) {
    const file = join(directory, path);
    const status = await lstat(file);
    if (status.isSymbolicLink()) {
      yield* headers({ path, type: '2', mode: 0o777, size: 0, target: await readlink(file) });
      continue;
    }
    const mode = (status.mode & 0o100) === 0 ? 0o644 : 0o755;
    yield* headers({ path, type: '0', mode, size: status.size });
    yield* createReadStream(file) as AsyncIterable<Buffer>;
    yield Buffer.alloc(padding(status.size));
  }
  yield Buffer.alloc(2 * block);
}

/** Writes the archive of all files and links below `directory`. */
export const pack = (directory: string, archive: string): Promise<void> =>
  pipeline(Readable.from(tar(directory)), createGzip({ level: 6 }), createWriteStream(archive, { mode: 0o600 }));

/** Bytes of a stream, as many as are asked for. */
class Reader {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: AsyncIterable<Buffer>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** At most `most` of them, at least one; undefined at the end. */
  async some(most: number): Promise<Buffer | undefined> {
    while (this.#rest.length === 0) {
      const next = await this.#chunks.next();
      if (next.done === true) return undefined;
      this.#rest = next.value;
    }
    const part = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(part.length);
    return part;
  }

  async *exactly(size: number): AsyncGenerator<Buffer> {
    for (let left = size; left > 0;) {
      const part = await this.some(left);
      if (part === undefined) throw new Error('the archive ends in the middle');
      left -= part.length;
      yield part;
    }
  }

  async all(size: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.exactly(size)) parts.push(part);
    return Buffer.concat(parts);
  }
}

/** Unpacks an archive into an empty directory. Throws an Error where it holds anything but files and links inside it. */
export async function unpack(archive: AsyncIterable<Uint8Array>, to: string): Promise<void> {
  const directory = await realpath(to);
  const unzip = createGunzip();
  const feed = pipeline(Readable.from(archive), unzip);
  // Its error comes out of the reading, too.
  feed.catch(() => undefined);
  const reader = new Reader(unzip);
  let fields: Record<string, string> = {};
  for (;;) {
    const bytes = await reader.all(block);
    if (bytes.every((byte) => byte === 0)) break;
    const text = (at: number, length: number) => bytes.toString('utf8', at, at + length).replace(/\0.*$/s, '');
    const size = Number.parseInt(text(124, 12), 8);
    const type = text(156, 1);
    if (!Number.isInteger(size)) throw new Error('it is no tar archive');
    if (type === 'x') {
      fields = parseExtended((await reader.all(size)).toString('utf8'));
    } else {
      const path = inside(directory, fields['path'] ?? text(0, 100));
      await mkdir(dirname(path), { recursive: true });
      if ((await realpath(dirname(path))) !== dirname(path))
        throw new Error(`it holds ${JSON.stringify(path)}, below a link`);
      if (type === '2') await symlink(fields['linkpath'] ?? text(157, 100), path);
      else if (type === '0') {
        await pipeline(reader.exactly(size), createWriteStream(path, { flags: 'wx' }));
        await chmod(path, Number.parseInt(text(100, 8), 8) & 0o777);
      } else throw new Error(`it holds an entry of type ${JSON.stringify(type)}`);
      fields = {};
    }
    await reader.all(padding(size));
  }
  unzip.resume();
  await feed;
}

function parseExtended(text: string): Record<string, string> {
  return Object.fromEntries([...text.matchAll(/\d+ (\w+)=(.*)\n/g)].map(([, key = '', value = '']) => [key, value]));
}

/** A path is not believed: it must not lead out, nor through a link. */
function inside(directory: string, path: string): string {
  const place = resolve(directory, path);
  if (path === '' || !place.startsWith(directory + sep))
    throw new Error(`it holds ${JSON.stringify(path)}, which leads out of it`);
  return place;
}
