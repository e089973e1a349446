import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Files that are whole, old or new, whatever ends meanwhile: this program, or the machine. Own code, as `write-file-atomic`
 * does not flush the directory: after a power cut the new name may be missing.
 */

export interface FileOptions {
  /** Default 0600. */
  mode?: number;
  owner?: { uid: number; gid: number } | undefined;
}

/** Where a file is written first. Whoever lists the directory sees by `.new` that it is none of the files there. */
const draftOf = (path: string): string => `${path}.${process.pid}-${randomBytes(4).toString('hex')}.new`;

/** Writes a file, or replaces it. Rejects with the system's error; then the old file is as it was. */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  options: FileOptions = {},
): Promise<void> {
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
    await move(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

/** As `replaceFile`, for what must be on disk before this program does anything else. */
export function replaceFileSync(path: string, content: string): void {
  writeDraft(path, content, (draft) => renameSync(draft, path));
}

/** Writes a file unless there is one; false where there is. Of several processes one alone makes it. */
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

/** Renames a file or a directory, and flushes the directories of both names. What is in it has to be flushed already. */
export async function move(from: string, to: string): Promise<void> {
  await rename(from, to);
  for (const directory of new Set([dirname(to), dirname(from)])) await flush(directory);
}

/** Writes a file's content, or a directory's names, through to the disk. */
export async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
