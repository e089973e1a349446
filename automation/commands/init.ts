import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { OperationError } from '../../infra/errors.ts';
import { projectRoot } from '../../infra/paths.ts';
import { annotate } from '../config/annotate.ts';
import { releaseDefinition } from '../config/schema.ts';

const fileName = 'greenlight.config.ts';

/** The annotated release definition that `npm run init` writes. `importPath` is where `defineRelease` comes from. */
export function renderReleaseDefinition(importPath: string): string {
  return [
    `import { defineRelease } from '${importPath}';`,
    '',
    '// Release definition. Settings below are examples to be changed; comments show what holds without them.',
    'export default defineRelease({',
    ...annotate(releaseDefinition),
    '});',
    '',
  ].join('\n');
}

/**
 * Writes an annotated `greenlight.config.ts` into `directory`. Resolves with its path. Rejects with an OperationError
 * where there is one already and `force` is not set.
 */
export async function runInit({ directory, force }: { directory: string; force: boolean }): Promise<string> {
  const path = join(directory, fileName);
  const doing = `writing ${path}`;
  if (existsSync(path) && !force) {
    throw new OperationError(
      doing,
      'it exists already',
      'nothing was changed; --force overwrites it, --directory writes elsewhere',
    );
  }
  const toDefine = relative(directory, join(projectRoot, 'automation', 'config', 'define.ts'))
    .split(sep)
    .join('/');
  const importPath = toDefine.startsWith('.') ? toDefine : `./${toDefine}`;
  try {
    await writeFile(path, renderReleaseDefinition(importPath));
  } catch (error) {
    throw new OperationError(
      doing,
      error instanceof Error ? error.message : String(error),
      'choose another --directory',
      {
        cause: error,
      },
    );
  }
  return path;
}
