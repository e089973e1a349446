import { createHash } from 'node:crypto';
import { lstat, mkdir } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { OperationError } from '../../lib/errors.ts';

/**
 * Maximum length of a socket path in bytes. The limit is 104 on macOS and 108 on Linux, minus `.<pid>.tmp`, which
 * HAProxy appends while it binds.
 */
const longest = 90;

/**
 * Path of the unix socket `name` of a component whose files are in `directory`. It is in `directory`, or, if that path
 * is too long, in a directory below the system's temporary directory whose name contains a hash of `directory`.
 */
export function socketPath(directory: string, name: string): string {
  const wanted = join(directory, name);
  if (Buffer.byteLength(wanted) <= longest) return wanted;
  const hash = createHash('sha256').update(directory).digest('hex').slice(0, 16);
  return join(tmpdir(), `greenlight-${hash}`, name);
}

/**
 * Creates the socket's directory with mode 0700. Rejects with an OperationError if other users own it or can write to
 * it.
 */
export async function prepareSocketDirectory(socket: string): Promise<void> {
  const directory = dirname(socket);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const found = await lstat(directory);
  if (!found.isDirectory() || found.uid !== userInfo().uid || (found.mode & 0o022) !== 0) {
    throw new OperationError(
      `preparing a directory for ${socket}`,
      `${directory} is not a directory that only this user owns and can write to`,
      'remove it, or set TMPDIR to a directory of your own',
    );
  }
}
