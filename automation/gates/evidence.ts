import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Redactor } from '../../infra/lib/redact.ts';
import type { EvidenceFolder } from '../journal/verdict.ts';

/** An evidence folder that a gate writes to. `seal` redacts the secrets in the files that tools wrote. */
export interface OpenEvidence extends EvidenceFolder {
  /** Resolves to the paths of all files, relative to the release's directory, sorted. */
  seal(): Promise<string[]>;
}

/**
 * Makes `evidence/<gate>/` in a release's directory. A second run of the same gate gets `<gate>-2`, so that no evidence
 * is overwritten.
 */
export async function openEvidence(releaseDirectory: string, gate: string, redactor: Redactor): Promise<OpenEvidence> {
  const directory = await freshDirectory(join(releaseDirectory, 'evidence'), gate);
  return {
    file: (name) => join(directory, name),
    write: (name, content) => writeFile(join(directory, name), redactor.redact(content), { mode: 0o600 }),
    async seal() {
      const files: string[] = [];
      for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const path = join(entry.parentPath, entry.name);
        await redactFile(path, redactor);
        files.push(relative(releaseDirectory, path));
      }
      return files.sort();
    },
  };
}

async function redactFile(path: string, redactor: Redactor): Promise<void> {
  const bytes = await readFile(path);
  const before = bytes.toString('utf8');
  // A binary file is left unchanged: decoding it as text would damage it.
  if (!Buffer.from(before).equals(bytes)) return;
  const after = redactor.redact(before);
  if (after !== before) await writeFile(path, after);
}

async function freshDirectory(parent: string, gate: string): Promise<string> {
  await mkdir(parent, { recursive: true });
  for (let run = 1; ; run++) {
    const directory = join(parent, run === 1 ? gate : `${gate}-${run}`);
    try {
      await mkdir(directory);
      return directory;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
