import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { existsSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { execa } from 'execa';
import { childEnvironment } from '../../../infra/lib/child-environment.ts';
import { messageOf, OperationError } from '../../../infra/lib/errors.ts';
import { projectRoot } from '../../../infra/lib/paths.ts';
import type { ReleaseDefinition } from '../../config/schema.ts';

/** A build that is a copy of a folder, as it can be run. */
export type FolderBuild = Extract<ReleaseDefinition['application']['build'], { directory: string }>;

const cure = 'correct application.build';

/**
 * Copies what a version is into `out`: the files of a git ref, or those of the working tree that git knows or does not ignore, with
 * what `include` names. Without git every file but `.git`, `.greenlight` and `node_modules/.cache`.
 */
export async function copyFolder(build: FolderBuild, version: string, out: string, signal: AbortSignal): Promise<void> {
  const source = resolve(projectRoot(), build.directory);
  const doing = `copying ${build.directory} as ${version}`;
  if (!existsSync(source) || !statSync(source).isDirectory())
    throw new OperationError(doing, `there is no folder ${source}`, cure);
  if (build.ref !== undefined) {
    await extract(source, build.ref.replaceAll('${version}', version), { doing, out, signal });
    for (const path of build.exclude) await rm(join(out, path), { recursive: true, force: true });
    return;
  }
  const isWanted = (file: string): boolean =>
    !isIn(file, [...alwaysLeftOut, ...build.exclude]) && existsSync(join(source, file));
  const files = (await filesOfGit(source, signal)) ?? (await filesBelow(source, source));
  for (const path of build.include)
    if (!existsSync(join(source, path))) throw new OperationError(doing, `there is no ${path} to include`, cure);
  const included = await Promise.all(build.include.map((path) => filesBelow(source, join(source, path))));
  for (const file of new Set([...files.filter(isWanted), ...included.flat().filter(isWanted)])) {
    const target = join(out, file);
    await mkdir(dirname(target), { recursive: true });
    // A submodule is one entry, and a folder.
    await cp(join(source, file), target, { recursive: true, verbatimSymlinks: true });
  }
}

const alwaysLeftOut = ['.git', '.greenlight', 'node_modules/.cache'];

const isIn = (file: string, folders: readonly string[]): boolean =>
  folders.some((folder) => file === folder || file.startsWith(`${folder.replace(/\/+$/, '')}/`));

/** Relative to `source`; undefined where it is not under version control. */
async function filesOfGit(source: string, signal: AbortSignal): Promise<string[] | undefined> {
  const git = await execa('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    ...childEnvironment(),
    cwd: source,
    reject: false,
    cancelSignal: signal,
    stripFinalNewline: false,
  });
  signal.throwIfAborted();
  return git.exitCode === 0 ? git.stdout.split('\0').filter(Boolean) : undefined;
}

/** Files and links below a path, or the path itself where it is one, relative to `source`. */
async function filesBelow(source: string, path: string): Promise<string[]> {
  if (!statSync(path).isDirectory()) return [relative(source, path)];
  const files: string[] = [];
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const inside = join(path, entry.name);
    const name = relative(source, inside).split(sep).join('/');
    if (isIn(name, alwaysLeftOut)) continue;
    if (entry.isDirectory()) files.push(...(await filesBelow(source, inside)));
    else files.push(name);
  }
  return files;
}

/** The files of a ref, of the folder `source` alone. */
async function extract(
  source: string,
  ref: string,
  { doing, out, signal }: { doing: string; out: string; signal: AbortSignal },
): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'greenlight-ref-'));
  const options = { ...childEnvironment(), cwd: source, cancelSignal: signal };
  try {
    const archive = join(work, 'tree.tar');
    await execa('git', ['archive', '--format=tar', '-o', archive, ref], options);
    await execa('tar', ['-xf', archive, '-C', out], options);
  } catch (error) {
    signal.throwIfAborted();
    const [, said = messageOf(error)] = /^fatal: (.*)$/m.exec(messageOf(error)) ?? [];
    throw new OperationError(doing, `git cannot give ${ref}: ${said}`, `tag that version, or ${cure}.ref`, {
      cause: error,
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
