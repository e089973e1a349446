import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { messageOf, OperationError } from '../../infra/lib/errors.ts';
import { isInstalled, packageRoot, projectRoot } from '../../infra/lib/paths.ts';
import { annotate } from '../config/annotate.ts';
import { definitionName as fileName, givenPath } from '../config/project.ts';
import { releaseDefinition } from '../config/schema.ts';

/** The annotated release definition that `npm run init` writes. `importPath`: module of `defineRelease`. */
export function renderReleaseDefinition(importPath: string): string {
  return [
    `import { defineRelease } from '${importPath}';`,
    '',
    '// Release definition. The settings below are examples: change them. The commented settings show the defaults.',
    'export default defineRelease({',
    ...annotate(releaseDefinition),
    '});',
    '',
  ].join('\n');
}

/**
 * Writes an annotated `greenlight.config.ts` into `directory`. Resolves to the exit code. Rejects with an
 * OperationError if it exists and `force` is not set, or if it cannot be written.
 */
export async function runInit(
  options: { directory: string; force?: boolean },
  print = (text: string): unknown => process.stdout.write(`${text}\n`),
): Promise<number> {
  const directory = givenPath(options.directory);
  const path = join(directory, fileName);
  const doing = `writing ${path}`;
  if (existsSync(path) && options.force !== true) {
    const todo = 'nothing was changed; --force overwrites it, --directory writes elsewhere';
    throw new OperationError(doing, 'it exists already', todo);
  }
  const toDefine = relative(directory, join(packageRoot, 'automation', 'config', 'define.ts'))
    .split(sep)
    .join('/');
  const importPath = isInstalled ? 'greenlight' : toDefine.startsWith('.') ? toDefine : `./${toDefine}`;
  try {
    await writeFile(path, renderReleaseDefinition(importPath));
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (missing) throw new OperationError(doing, 'there is no such folder', `mkdir -p ${directory}`, { cause: error });
    throw new OperationError(doing, messageOf(error), 'choose another --directory', { cause: error });
  }
  print(`Written: ${path}`);
  // The definition at the project's root is read without --config.
  const named = directory === projectRoot() ? '' : `--config ${path} `;
  print(`Change the examples in it, then see what a release would do: npm run release -- ${named}--dry-run`);
  return 0;
}
