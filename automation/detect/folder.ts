import { execFileSync } from 'node:child_process';
import { accessSync, constants, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { delimiter, join, relative, resolve, sep } from 'node:path';
import { childEnvironment } from '../../infra/lib/child-environment.ts';

/** A read-only view of an application's folder: all that the detectors see. */
export interface Folder {
  /** The name of the folder itself. */
  readonly name: string;
  /** Paths of the files with `/`, sorted, without what is installed or generated. */
  readonly files: readonly string[];
  /** Text of a file; undefined if there is none, or it is larger than a source file is. */
  read(path: string): string | undefined;
  /** Tags of the repository, the newest version first; empty outside a repository, or below its root. */
  readonly tags: readonly string[];
  /**
   * A program as a service has to name it: as it is if the services' own search path finds the same one, or else its
   * absolute path. As it is, too, where this machine has none.
   */
  program(name: string): string;
}

/** Folders that hold what is installed or generated. */
const skipped =
  /^(node_modules|vendor|venv|\.venv|env|dist|build|out|target|coverage|__pycache__|\.next|\.nuxt|\.svelte-kit|\.output|\.greenlight|\.git|\.idea|\.vscode|\.tox|\.mypy_cache|tmp|log)$/;
/** Bounds of the walk: more does not help to recognise an application. */
const limits = { depth: 7, files: 8000, bytes: 512 * 1024 };

/** The view of a folder on disk. `servicePath`: where services look for programs. */
export function openFolder(directory: string, servicePath: readonly string[] = []): Folder {
  const files = walk(directory);
  const texts = new Map<string, string | undefined>();
  return {
    name: resolve(directory).split(sep).at(-1) ?? 'application',
    files,
    tags: tagsOf(directory),
    read(path) {
      if (!texts.has(path)) texts.set(path, textOf(join(directory, path)));
      return texts.get(path);
    },
    program: (name) => programOf(name, servicePath),
  };
}

/** A view of files that are given as text, for tests of detectors. */
export function folderOf(contents: Readonly<Record<string, string>>, tags: readonly string[] = []): Folder {
  return {
    name: 'shop',
    files: Object.keys(contents).sort(),
    tags,
    read: (path) => contents[path],
    program: (name) => name,
  };
}

function walk(directory: string): string[] {
  const found: string[] = [];
  const visit = (at: string, depth: number): void => {
    if (depth > limits.depth) return;
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      if (found.length >= limits.files) return;
      const path = join(at, entry.name);
      if (entry.isDirectory()) {
        if (!skipped.test(entry.name)) visit(path, depth + 1);
      } else if (entry.isFile()) found.push(relative(directory, path).split(sep).join('/'));
    }
  };
  visit(directory, 0);
  return found.sort();
}

function textOf(path: string): string | undefined {
  try {
    return statSync(path).size > limits.bytes ? undefined : readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The tags of a repository whose root is this folder: those of a repository around it are about something else. */
function tagsOf(directory: string): string[] {
  const git = (...args: string[]): string =>
    execFileSync('git', args, {
      cwd: directory,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      env: childEnvironment().env,
    }).trim();
  try {
    if (realpathSync(git('rev-parse', '--show-toplevel')) !== realpathSync(directory)) return [];
    return git('tag', '--list', '--merged', 'HEAD', '--sort=-v:refname').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}

function programOf(name: string, servicePath: readonly string[]): string {
  const search = (directories: readonly string[]): string | undefined =>
    directories.map((one) => join(one, name)).find(isProgram);
  const callers = search((process.env['PATH'] ?? '').split(delimiter).filter(Boolean));
  const services = search(servicePath);
  if (services !== undefined || callers === undefined) return name;
  return callers;
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
