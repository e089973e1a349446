import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import type { StateFiles } from '../../platform/engine.ts';

/** The files of Pulumi's file backend. */
export function directoryStateFiles(root: string): StateFiles {
  const at = (path: string): string => join(root, ...path.split('/'));
  return {
    read: (path) => readFile(at(path), 'utf8').catch(orNothing(undefined)),

    /** Whole or not at all, also where this program or the machine dies meanwhile. */
    async write(path, text) {
      const file = at(path);
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      const draft = await open(`${file}.new`, 'w', 0o600);
      try {
        await draft.writeFile(text);
        await draft.sync();
      } finally {
        await draft.close();
      }
      await rename(`${file}.new`, file);
    },

    async list(directory) {
      const entries = await readdir(at(directory), { recursive: true, withFileTypes: true }).catch(orNothing([]));
      const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
      return files.map((file) => relative(root, file).split(sep).join('/')).sort();
    },

    remove: (path) => rm(at(path), { force: true }),
  };
}

const orNothing =
  <T>(nothing: T) =>
  (error: NodeJS.ErrnoException): T => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return nothing;
    throw error;
  };
