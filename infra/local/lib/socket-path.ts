import { createHash } from 'node:crypto';
import { lstat, mkdir } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { OperationError } from '../../lib/errors.ts';

/**
 * Bytes that a socket's path may have: 104 on macOS, 108 on Linux, less the `.<pid>.tmp` that HAProxy appends while it
 * binds.
 */
const longest = 90;

/**
 * Where the unix socket `name` of a part with its files in `directory` is: there, or, if that path is too long for a
 * socket, in a directory of this user's own below the system's temporary directory, named after `directory`.
 */
export function socketPath(directory: string, name: string): string {
  const wanted = join(directory, name);
  if (Buffer.byteLength(wanted) <= longest) return wanted;
  const hash = createHash('sha256').update(directory).digest('hex').slice(0, 16);
  return join(tmpdir(), `greenlight-${hash}`, name);
}

/** Makes the directory that the socket goes into, closed to others. Throws an OperationError where it is somebody else's. */
export async function prepareSocketDirectory(socket: string): Promise<void> {
  const directory = dirname(socket);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const found = await lstat(directory);
  if (!found.isDirectory() || found.uid !== userInfo().uid || (found.mode & 0o022) !== 0) {
    throw new OperationError(
      `preparing a directory for ${socket}`,
      `${directory} is not a directory that only this user may write to`,
      'remove it, or set TMPDIR to a directory of your own',
    );
  }
}
