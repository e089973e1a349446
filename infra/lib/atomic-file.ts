import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Atomic file writes: after a crash of this program or of the machine, a file has either its old or its new content.
 * The package `write-file-atomic` is not enough: it does not flush the directory, so a power cut can lose the new name.
 */

export interface FileOptions {
  /** Default 0600. */
  mode?: number;
  owner?: { uid: number; gid: number } | undefined;
}

/** Path of the temporary file. Code that lists the directory recognises it by `.new`. */
const draftOf = (path: string): string => `${path}.${process.pid}-${randomBytes(4).toString('hex')}.new`;

/**
 * Creates or replaces a file. Rejects with the system's error. The old file is then unchanged, unless only flushing the
 * directory failed.
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  options: FileOptions = {},
): Promise<void> {
  const draft = await draftFile(path, content, options);
  try {
    await move(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

/** The longer half of `replaceFile`, for who has no time later: writes and flushes what `path` will hold. `move` ends it. Resolves to the draft's path. */
export async function draftFile(
  path: string,
  content: string | Uint8Array,
  options: FileOptions = {},
): Promise<string> {
  const draft = draftOf(path);
  try {
    const file = await open(draft, 'wx', options.mode ?? 0o600);
    try {
      await file.writeFile(content);
      if (options.owner !== undefined) await file.chown(options.owner.uid, options.owner.gid);
      await file.sync();
    } finally {
      await file.close();
    }
    return draft;
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

/** Synchronous `replaceFile`, for content that must be on disk before this program does anything else. */
export function replaceFileSync(path: string, content: string): void {
  writeDraft(path, content, (draft) => renameSync(draft, path));
}

/** Creates a file. Returns false if it exists. If several processes try at once, exactly one succeeds. */
export function createFileSync(path: string, content: string): boolean {
  try {
    writeDraft(path, content, (draft) => linkSync(draft, path));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function writeDraft(path: string, content: string, place: (draft: string) => void): void {
  const draft = draftOf(path);
  try {
    const file = openSync(draft, 'wx', 0o600);
    try {
      writeFileSync(file, content);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    place(draft);
    const directory = openSync(dirname(path), 'r');
    fsyncSync(directory);
    closeSync(directory);
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Renames a file or directory and flushes both parent directories. The caller flushes the content first. */
export async function move(from: string, to: string): Promise<void> {
  await rename(from, to);
  for (const directory of new Set([dirname(to), dirname(from)])) await flush(directory);
}

/** fsync of a file or directory. */
export async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
