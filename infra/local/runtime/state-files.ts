import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { replaceFile } from '../../lib/atomic-file.ts';
import type { StateFiles } from '../../platform/engine.ts';

/** Files of Pulumi's file backend below `root`. */
export function directoryStateFiles(root: string): StateFiles {
  const at = (path: string): string => join(root, ...path.split('/'));
  return {
    read: (path) => readFile(at(path), 'utf8').catch(ifMissing(undefined)),

    async write(path, text) {
      const file = at(path);
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      await replaceFile(file, text);
    },

    async list(directory) {
      const entries = await readdir(at(directory), { recursive: true, withFileTypes: true }).catch(ifMissing([]));
      const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
      return files.map((file) => relative(root, file).split(sep).join('/')).sort();
    },

    remove: (path) => rm(at(path), { force: true }),
  };
}

const ifMissing =
  <T>(fallback: T) =>
  (error: NodeJS.ErrnoException): T => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return fallback;
    throw error;
  };
